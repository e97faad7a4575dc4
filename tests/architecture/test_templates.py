"""Pages and mails: every template renders in every language, strictly, small and without tricks."""

import gzip
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from flows.login import enrol_totp
from idp import i18n, markdown
from idp.settings import LANGUAGES
from tests.support.kit import ALICE, C1, Installation, RelyingParty

FOLDER = i18n.templates_folder()
PARTS = {
    "account/frame.html",
    "base.html",
    "parts.html",
    "mail/base.html",
    "mail/base.txt",
    "mail/parts.html",
}
TEMPLATES = sorted(
    str(path.relative_to(FOLDER))
    for kind in ("*.html", "*.txt")
    for path in FOLDER.rglob(kind)
    if str(path.relative_to(FOLDER)) not in PARTS
)
PAGES = [name for name in TEMPLATES if not name.startswith("mail/")]
EVIL = "<script>alert('関所')</script>\"'"
LINKS = {"client_terms_url": "https://a.test/terms", "client_privacy_url": "https://a.test/privacy"}
# What every page is given that asks somebody to prove something (flows/login/visit.py: Question).
QUESTION: dict[str, Any] = {
    "action": "/",
    "csrf": "t",
    "application": EVIL,
    "identifier": EVIL,
    "not_you_url": "/",
    "other_way_url": "/",
    "why": EVIL,
    "leave_url": "/leave",
    "account_url": "/account",
    "may_remember": True,
    "remember_days": 30,
    "error": EVIL,
    "lost_device_url": "/",
}
# What every page of the account is given (flows/account/entry.py: Frame).
FRAME = SimpleNamespace(
    account="s1",
    csrf="t",
    name=EVIL,
    email="a@a.test",
    organization=EVIL,
    switch_url="/",
    home_url="/",
    sign_out_url="/",
)
FACTOR = SimpleNamespace(
    kind="otp", id="f1", kind_name=EVIL, name=f"my {EVIL}", added="now", used=None, url="/"
)
# What each page is given at most; `None` members are tried as well, see `variants`.
CONTEXTS: dict[str, dict[str, Any]] = {
    "account/factor.html": {
        "frame": FRAME,
        "factor": FACTOR,
        "action": "/",
        "may_rename": True,
        "warnings": [EVIL],
        "name": EVIL,
        "error": EVIL,
    },
    "account/security.html": {
        "frame": FRAME,
        "done": EVIL,
        "login_method": EVIL,
        "signed_in_since": "now",
        "signed_in_with": [EVIL, EVIL],
        "factors": [FACTOR],
        "when_asked": EVIL,
        "addable": [SimpleNamespace(method="otp", name=EVIL, about=EVIL)],
        "add_url": "/",
        "recovery_code_made": "now",
        "browsers": [
            SimpleNamespace(
                id="b1", name=EVIL, place="192.0.2.1", is_this=True, last_used="now", until="then"
            )
        ],
        "forget_url": "/",
    },
    "demo_mails.html": {
        "mails": [
            SimpleNamespace(
                to="a@a.test", subject=EVIL, at="now", text="a\nhttps://a.test", html_url="/"
            )
        ]
    },
    "error.html": {
        "title": EVIL,
        "message": EVIL,
        "advice": EVIL,
        "code": EVIL,
        "request_id": "r1",
        "time": "now",
        "return_url": "https://a.test/",
    },
    "form_post.html": {"action": "https://a.test/cb", "fields": {"state": EVIL}},
    "home.html": {
        "accounts": [EVIL],
        "security_url": "/account/security",
        "logout_url": "/logout",
    },
    "hand_over.html": {"url": "https://a.test/cb?a=b&c=d", "application": EVIL},
    "logout.html": {
        "action": "/logout",
        "csrf": "t",
        "accounts": [EVIL],
        "application": EVIL,
        "hidden": {"state": EVIL},
        "stay_url": "https://a.test/",
    },
    "unlock.html": {"action": "/", "csrf": "t", "account": EVIL},
    "unlocked.html": {"is_usable": True},
    "signed_out.html": {"application": EVIL, "return_url": "https://a.test/"},
    "login/change_password.html": {
        "action": "/",
        "csrf": "t",
        "application": EVIL,
        "identifier": EVIL,
        "asks_current": True,
        "minimum": 8,
        "maximum": 128,
        "error": EVIL,
        "error_field": "password",
    },
    "login/terms.html": {
        "action": "/",
        "csrf": "t",
        "application": EVIL,
        "identifier": EVIL,
        "terms_id": "t1",
        "organization": EVIL,
        "version": 3,
        "date": "today",
        "text": markdown.render(EVIL),
    },
    "login/choose_account.html": {
        "action": "/",
        "csrf": "t",
        "application": EVIL,
        "accounts": [
            SimpleNamespace(id="s1", name=EVIL, email="a@a.test", organization=EVIL, signed_in=True)
        ],
    },
    "login/other_way.html": {
        **QUESTION,
        "title": EVIL,
        "ways": [SimpleNamespace(method="otp", name=EVIL, about=EVIL)],
        "back_url": "/",
    },
    "login/consent.html": {
        "action": "/",
        "csrf": "t",
        "application": EVIL,
        "user": SimpleNamespace(name=EVIL, email="a@a.test"),
        "items": [EVIL],
        **LINKS,
    },
    "login/identify.html": {
        "action": "/",
        "csrf": "t",
        "application": EVIL,
        "identifier": EVIL,
        "error": EVIL,
        "passkey": SimpleNamespace(action="/", options={"challenge": EVIL}),
        "accounts": [
            SimpleNamespace(id="s1", name=EVIL, email="a@a.test", organization=EVIL, signed_in=True)
        ],
        "forgot_url": "/forgot",
        **LINKS,
    },
    "login/enrol.html": QUESTION
    | {"kinds": [SimpleNamespace(method="otp", name=EVIL, about=EVIL)]},
    "login/enrol_totp.html": QUESTION
    | {
        "picture": enrol_totp.picture("otpauth://totp/x?secret=y"),
        "uri": "otpauth://totp/x?secret=y",
        "key": "ABCD EFGH",
        "name": EVIL,
        "field": "name",
        "may_choose": True,
    },
    "login/password.html": QUESTION,
    "login/code.html": {
        **QUESTION,
        "code": SimpleNamespace(
            told=EVIL,
            hint=EVIL,
            is_numeric=True,
            advice=EVIL,
            resend=SimpleNamespace(text=EVIL, seconds=9, wait=EVIL, ready=EVIL),
            comes_to_phone=True,
            other_number=EVIL,
        ),
    },
    "login/no_sms.html": QUESTION,
    "login/enrol_phone.html": QUESTION
    | {
        "phone": EVIL,
        "country": "JP",
        "common": [SimpleNamespace(code="JP", name=EVIL)],
        "countries": [SimpleNamespace(code="JP", name=EVIL), SimpleNamespace(code="US", name="US")],
        "field": "phone",
        "may_choose": True,
    },
    "login/recovery_code.html": QUESTION,
    "login/save_recovery_code.html": QUESTION | {"code": "ABCD-EFGH", "shown": "0"},
    "login/totp.html": QUESTION,
    "login/passkey.html": {
        **QUESTION,
        "options": {"challenge": EVIL},
        "is_second": True,
        "identify_url": "/",
    },
    "login/enrol_passkey.html": {
        **QUESTION,
        "options": {"challenge": EVIL},
        "name": EVIL,
        "name_length": 64,
        "may_choose": True,
    },
}
MAIL = {
    "user_name": EVIL,
    "organization": EVIL,
    "contact": "help@a.test",
    "idp_url": "https://a.test",
    "when": "now",
    "until": "later",
    "is_own_browser": "",
    "unlock_url": "https://a.test/unlock/secret",
    "unlock_until": "later",
    "browser": "Firefox (Linux)",
    "place": "192.0.2.1",
    "subject": EVIL,
    "application": EVIL,
    "code": "1234 5678",
    "purpose": "sign_in",
    "title": EVIL,
    "happened": EVIL,
}
# Mails with nothing to open.
WITHOUT_LINKS = {"mail/login_code.html", "mail/login_code.txt"}
OPTIONAL = {
    "done",
    "may_rename",
    "recovery_code_made",
    "advice",
    "return_url",
    "application",
    "stay_url",
    "client_terms_url",
    "client_privacy_url",
    "asks_current",
    "organization",
    "is_usable",
    "error",
    "forgot_url",
    "lost_device_url",
    "account_url",
    "leave_url",
    "not_you_url",
    "other_way_url",
    "passkey",
    "why",
}
LISTS = {"accounts", "addable", "browsers", "factors", "warnings"}
BRAND = {
    "organization": EVIL,
    "logo_url": None,
    "contact_url": "https://a.test",
    "help_url": "https://a.test",
    "terms_url": "https://a.test",
    "privacy_url": "https://a.test",
}


def environment(language: str, folder: str = "") -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / folder),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    catalog = i18n.catalog(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]
        catalog.gettext, catalog.ngettext, newstyle=True
    )
    made.globals["asset"] = lambda name: f"/static/0/{name}"
    return made


def variants(name: str) -> Iterator[dict[str, Any]]:
    """What a template is rendered with: everything given, and everything optional absent."""
    if name.startswith("mail/"):
        yield MAIL
        yield {**MAIL, "contact": "", "purpose": "second"}
        yield {**MAIL, "place": "", "purpose": "verify"}
        yield {**MAIL, "until": "", "place": ""}
        yield {**MAIL, "unlock_url": ""}
        yield {**MAIL, "unlock_url": "", "is_own_browser": "yes"}
        return
    full = CONTEXTS[name]
    least = {key: None if key in OPTIONAL else full[key] for key in full}
    least |= {key: [] for key in LISTS & set(full)}
    for page in (full, least):
        for brand in (BRAND, dict.fromkeys(BRAND)):
            yield {
                "page": SimpleNamespace(**page),
                "brand": SimpleNamespace(**brand),
                "nonce": "n0nce",
                "languages": [(code, i18n.NAMES[code], f"?lang={code}") for code in LANGUAGES],
            }


def rendered(name: str, language: str) -> Iterator[str]:
    folder, _, file = name.rpartition("/")
    # Mails have a frame of their own.
    template = (
        environment(language, folder).get_template(file)
        if folder == "mail"
        else environment(language).get_template(name)
    )
    for context in variants(name):
        yield template.render(language=language, **context)


def test_every_page_is_known_here() -> None:
    assert sorted(CONTEXTS) == PAGES


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_renders_with_all_and_with_nothing_optional(
    name: str, language: str
) -> None:
    for text in rendered(name, language):
        assert text.strip()
        if name.endswith(".html"):
            assert f'<html lang="{language}">' in text
            assert "<title>" in text
            assert EVIL not in text
            assert "&lt;script&gt;" in text or EVIL not in str(list(variants(name)))


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_anything_inline(name: str) -> None:
    for text in rendered(name, "en"):
        assert "<style" not in text
        assert not re.search(r"<[^>]*\sstyle\s*=", text)
        assert not re.search(r"<[^>]*\son\w+\s*=", text)
        assert "javascript:" not in text
        for script in re.findall(r"<script[^>]*>.*?</script>", text, re.S):
            assert re.fullmatch(
                r'<script src="/static/[^"]+" nonce="n0nce" defer></script>', script
            )
        loaded = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"', text)
        assert all(address.startswith("/static/") for address in loaded)


@pytest.mark.parametrize("name", PAGES)
def test_the_main_button_of_a_page_is_called_continue(name: str) -> None:
    texts = list(rendered(name, "en"))
    # After lifting a lock there is nothing to go on with: no application is known.
    assert texts[0].count('id="continue"') == (name != "unlocked.html")
    for text in texts:
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), "an id is used twice"
        for field in re.findall(r'<input(?![^>]*type="hidden")[^>]*\bid="([^"]+)"', text):
            assert f'<label for="{field}"' in text
        pointed = re.findall(r'(?:aria-labelledby|aria-describedby)="([^"]+)"', text)
        assert set(" ".join(pointed).split()) <= set(ids)


@pytest.mark.parametrize(
    ("name", "field", "autocomplete"),
    [
        ("login/identify.html", "identifier", "username"),
        ("login/password.html", "password", "current-password"),
        ("login/code.html", "code", "one-time-code"),
    ],
)
def test_fields_have_stable_ids_and_tell_password_managers_what_they_are(
    name: str, field: str, autocomplete: str
) -> None:
    for text in rendered(name, "ja"):
        [tag] = re.findall(rf'<input id="{field}"[^>]*>', text)
        assert f'name="{field}"' in tag
        # `webauthn` behind it offers passkeys, too.
        assert re.search(rf'autocomplete="{autocomplete}( webauthn)?"', tag)
        assert ('aria-describedby="problem"' in tag) == ('role="alert"' in text)


def test_a_mail_has_a_text_and_an_html_part() -> None:
    mails = {name.rpartition(".")[0] for name in TEMPLATES if name.startswith("mail/")}
    assert {f"{mail}.{kind}" for mail in mails for kind in ("html", "txt")} <= set(TEMPLATES)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.startswith("mail/")])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_loads_nothing_and_has_its_link_in_plain(name: str, language: str) -> None:
    for text in rendered(name, language):
        assert ("https://a.test" in text) == (name not in WITHOUT_LINKS)
        assert ("://" in text) == (name not in WITHOUT_LINKS)
        if name.endswith(".html"):
            assert not re.search(r"<(img|script|link|iframe)\b", text)
            assert "url(" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_page_is_light(sqlite_installation: Installation, language: str) -> None:
    browser = sqlite_installation.browser()
    start = browser.authorize(RelyingParty(sqlite_installation, C1).request())
    page = browser.get(start.path, {"lang": language})
    loaded = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"', page.text)
    files = {path: len(browser.get(path).data) for path in set(loaded)}
    assert all(files.values())
    headers = len(str(page.headers))
    assert len(page.data) + headers + sum(files.values()) <= 20_000
    assert len(gzip.compress(page.data)) <= 6_000


def test_the_pages_work_without_their_scripts(sqlite_installation: Installation) -> None:
    answer = sqlite_installation.browser().signed_in(
        ALICE, RelyingParty(sqlite_installation, C1).request()
    )
    assert answer.is_hand_over
    assert "<script" not in answer.page.html
