"""Signing in with a mailed code, and verifying an address by one: from the application and back."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idp import outbox
from idp.accounts import users
from idp.accounts.users import Action
from idp.mail import build
from idp.outbox import OutboxRow
from tests.support.kit import (
    ADAM,
    ALICE,
    BELLA,
    C1,
    DORA,
    FRED,
    PASSWORD,
    PEOPLE,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)

REGISTERED = "your registered e-mail address"
WRONG = "That didn&#39;t work."


def sign_in_by_mail(installation: Installation, *people: Person) -> None:
    for person in people:
        installation.sql(
            "UPDATE users SET login_method = 'email' WHERE email = :email", email=person.email
        )


@pytest.fixture
def by_mail(installation: Installation) -> Installation:
    """Everybody of organisation A signs in with a mailed code."""
    sign_in_by_mail(installation, ALICE, ADAM, DORA, FRED)
    return installation


@pytest.fixture
def sqlite_by_mail(sqlite_installation: Installation) -> Installation:
    sign_in_by_mail(sqlite_installation, ALICE, ADAM, DORA, FRED)
    return sqlite_installation


def mails(installation: Installation) -> list[dict[str, Any]]:
    with installation.database() as session:
        rows = session.query(OutboxRow).order_by(OutboxRow.created_at).all()
        return [outbox.open_payload(row, installation.services.sealer) for row in rows]


def code_in(mail: dict[str, Any]) -> str:
    """As a person copies it from the text."""
    [found] = re.findall(r"^    ([\d ]+)$", mail["text"], re.M)
    return str(found)


def newest_code(installation: Installation) -> str:
    return code_in(mails(installation)[-1])


def another(code: str) -> str:
    """One that looks alike and is wrong."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def to_code_page(browser: Browser, application: RelyingParty, identifier: str) -> Outcome:
    return browser.submit(browser.authorize(application.request()), identifier=identifier)


def claims_of(application: RelyingParty, answer: Outcome) -> Any:
    return application.verify(application.redeem(answer.code).get_json()["id_token"])


def test_somebody_signs_in_with_the_code_from_the_mail(by_mail: Installation) -> None:
    application, browser = RelyingParty(by_mail, C1), by_mail.browser()
    page = to_code_page(browser, application, ALICE.email)
    assert (page.step, page.status) == ("email_code", 200)
    assert "We sent a code to a•••@a.example. Check your inbox." in page.page.html
    [sent] = mails(by_mail)
    assert sent["to"] == ALICE.email
    assert re.fullmatch(r"\d{4} \d{4}", code_in(sent))
    claims = claims_of(application, browser.submit(page, code=code_in(sent)))
    assert claims["sub"] == by_mail.sub(ALICE)
    assert claims["amr"] == ["email"]
    assert claims["acr"] == "urn:sekisho:acr:single"
    assert by_mail.events()[-2:] == ["code.sent", "login.succeeded"]


@pytest.mark.parametrize("identifier", ["alice", "ALICE@A.example", "ａｌｉｃｅ＠ａ．example"])
def test_the_address_is_shown_masked_and_only_to_who_typed_it(
    sqlite_by_mail: Installation, identifier: str
) -> None:
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), identifier)
    told = re.findall(r"<p>(We sent.*?)</p>", page.page.html)
    where = REGISTERED if identifier == "alice" else "a•••@a.example"
    assert told == [f"We sent a code to {where}. Check your inbox."]
    if identifier == "alice":
        assert "@" not in re.sub(r"<[^>]*>", "", page.page.html)
    assert mails(sqlite_by_mail)[0]["to"] == ALICE.email


@pytest.mark.parametrize("form", ["{} {}", "{}-{}", "　{}　{}　", "{}{}\r\n", "「{}ー{}」"])
def test_the_code_may_be_pasted_with_all_that_came_along(
    sqlite_by_mail: Installation, form: str
) -> None:
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), ALICE.email)
    halves = newest_code(sqlite_by_mail).split()
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    assert browser.submit(page, code=form.format(*halves).translate(wide)).code


def test_looking_again_sends_nothing(sqlite_by_mail: Installation) -> None:
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), ALICE.email)
    for minutes in (0, 1, 8, 9, 9):
        sqlite_by_mail.pass_time(minutes=minutes)
        # The store's clock is the machine's, so the visit is still there.
        again = browser.follow(browser.get(page.path))
        assert again.step == "email_code"
        assert browser.get(f"/login/{page.path.split('/')[2]}").status_code == 303
    assert len(mails(sqlite_by_mail)) == 1


def test_looking_at_the_same_time_sends_one_mail(by_mail: Installation) -> None:
    browser = by_mail.browser()
    start = browser.authorize(RelyingParty(by_mail, C1).request())
    form = start.page.fields | {"identifier": ALICE.email}
    to = browser.post(start.page.action, form).location or ""
    barrier = threading.Barrier(8)

    def look(number: int) -> int:
        other = by_mail.browser(f"192.0.2.{number}")
        for name, value in browser.cookies().items():
            other.client.set_cookie(name, value, domain="id.example.test", secure=True)
        barrier.wait()
        return other.get(to).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(look, range(8))) == [200] * 8
    assert len(mails(by_mail)) == 1
    page = browser.follow(browser.get(to))
    assert browser.submit(page, code=newest_code(by_mail)).code


# BF-07, BF-09
def test_the_button_sends_a_new_code_after_half_a_minute(by_mail: Installation) -> None:
    browser = by_mail.browser()
    page = to_code_page(browser, RelyingParty(by_mail, C1), ALICE.email)
    assert "Send a new code (in 30 s)" in page.page.html
    by_mail.pass_time(seconds=12)
    page = browser.submit(page, resend="1")
    assert browser.trail[-2].status_code == 303
    assert "Send a new code (in 18 s)" in page.page.html
    assert len(mails(by_mail)) == 1
    by_mail.pass_time(seconds=18)
    page = browser.follow(browser.get(page.path))
    assert ">Send a new code</button>" in page.page.html
    page = browser.submit(page, resend="1")
    assert "Send a new code (in 30 s)" in page.page.html
    old, new = (code_in(mail) for mail in mails(by_mail))
    page = browser.submit(page, code=old)
    assert WRONG in page.page.html
    assert browser.submit(page, code=new).code


# BF-09
@pytest.mark.parametrize(("seconds", "is_right"), [(599, True), (601, False)])
def test_a_code_is_dead_after_ten_minutes(
    sqlite_by_mail: Installation, seconds: int, is_right: bool
) -> None:
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), ALICE.email)
    sqlite_by_mail.pass_time(seconds=seconds)
    assert bool(browser.submit(page, code=newest_code(sqlite_by_mail)).answer) is is_right


# BF-08
def test_a_code_is_good_in_the_visit_that_asked_for_it(sqlite_by_mail: Installation) -> None:
    application = RelyingParty(sqlite_by_mail, C1)
    mine, theirs = sqlite_by_mail.browser(), sqlite_by_mail.browser("198.51.100.9")
    to_code_page(mine, application, ALICE.email)
    first = newest_code(sqlite_by_mail)
    stranger = to_code_page(theirs, application, ALICE.email)
    assert WRONG in theirs.submit(stranger, code=first).page.html


# BF-08
def test_the_right_code_sent_fifty_times_at_once_signs_in_once(by_mail: Installation) -> None:
    application, browser = RelyingParty(by_mail, C1), by_mail.browser()
    page = to_code_page(browser, application, ALICE.email)
    form = page.page.fields | {"code": newest_code(by_mail)}
    barrier = threading.Barrier(20)

    def send(number: int) -> None:
        other = by_mail.browser(f"198.51.{number}.1")
        for name, value in browser.cookies().items():
            other.client.set_cookie(name, value, domain="id.example.test", secure=True)
        barrier.wait()
        other.post(page.path, form)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(send, range(20)))
    assert by_mail.events().count("login.succeeded") == 1
    assert len(by_mail.sql("SELECT id FROM sessions")) == 1


@pytest.mark.parametrize("typed", ["", "1234567", "123456789", "abcdefghi", " - "])
def test_what_cannot_be_a_code_is_no_try(sqlite_by_mail: Installation, typed: str) -> None:
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), ALICE.email)
    before = sqlite_by_mail.counts()
    page = browser.submit(page, code=typed)
    assert page.page.is_alert
    assert "Enter the 8 digits from the mail." in page.page.html
    assert page.page.fields["code"] == ""
    assert sqlite_by_mail.counts() == before


# BF-13
def test_nobody_chooses_where_the_code_goes(sqlite_by_mail: Installation) -> None:
    browser = sqlite_by_mail.browser()
    start = browser.authorize(RelyingParty(sqlite_by_mail, C1).request())
    evil = {"email": "eve@evil.example", "to": "eve@evil.example", "address": "eve@evil.example"}
    page = browser.submit(start, identifier=ALICE.email, **evil)
    sqlite_by_mail.pass_time(seconds=31)
    browser.submit(page, resend="eve@evil.example", **evil)
    assert [mail["to"] for mail in mails(sqlite_by_mail)] == [ALICE.email] * 2


def traces(installation: Installation, identifier: str, network: int) -> list[Any]:
    """All that somebody sees of the whole way, and how much each step wrote."""
    browser = installation.browser(f"198.51.{network}.1")
    seen: list[Any] = []
    page = browser.authorize(RelyingParty(installation, C1).request())
    counts = installation.counts() | {"hashes": installation.services.passwords.computed}

    def note(outcome: Outcome) -> Outcome:
        nonlocal counts
        after = installation.counts() | {"hashes": installation.services.passwords.computed}
        answers = [
            (
                answer.status_code,
                sorted(
                    (name, "" if name == "Content-Security-Policy" else value)
                    for name, value in answer.headers
                    if name not in ("Location", "Set-Cookie", "Content-Length")
                ),
                sorted(value.partition("=")[0] for value in answer.headers.getlist("Set-Cookie")),
                plain(answer.text, identifier),
            )
            for answer in browser.trail
        ]
        grown = {name: after[name] - counts[name] for name in after if name != "outbox"}
        seen.append((outcome.step, answers, grown))
        counts = after
        browser.trail.clear()
        return outcome

    note(page)
    page = note(browser.submit(page, identifier=identifier))
    page = note(browser.submit(page, code="0000"))
    for _ in range(6):
        page = note(browser.submit(page, code="00000000"))
    page = note(browser.submit(page, resend="1"))
    for _ in range(6):
        installation.pass_time(seconds=31)
        page = note(browser.submit(page, resend="1"))
    for _ in range(6):
        page = note(browser.submit(page, code="00000000"))
    return seen


def plain(html: str, identifier: str) -> str:
    """A page without what differs between any two visits."""
    for pattern in (
        r'nonce="[^"]*"',
        r'value="\w{64}"',
        r"/login/[\w-]+",
        r"(?<![\w-])[\w-]{43}(?![\w-])",
    ):
        html = re.sub(pattern, "", html)
    # Whose page it looks like is a neighbour's for nobody.
    return html.replace(identifier, "IDENTIFIER").replace("Organisation B", "Organisation A")


# EN-01, EN-04, EN-09
@pytest.mark.parametrize(
    ("ghost", "like"),
    [
        ("nadia@a.example", "alice@a.example"),
        (DORA.email, "alice@a.example"),
        ("nadia", "alice"),
    ],
)
def test_nobody_and_somebody_cannot_be_told_apart_on_the_whole_way(
    by_mail: Installation, ghost: str, like: str
) -> None:
    sign_in_by_mail(by_mail, *PEOPLE)
    real = traces(by_mail, like, 1)
    sent = len(mails(by_mail))
    assert sent == 5
    other = traces(by_mail, ghost, 2)
    masked = f"{ghost[0]}•••", f"{like[0]}•••"
    assert len(other) == len(real)
    for step, (seen, expected) in enumerate(zip(other, real, strict=True)):
        assert repr(seen).replace(*masked) == repr(expected), step
    assert len(mails(by_mail)) == sent


def test_another_identifier_in_the_same_visit_gets_its_own_code(
    sqlite_by_mail: Installation,
) -> None:
    sign_in_by_mail(sqlite_by_mail, BELLA)
    application, browser = RelyingParty(sqlite_by_mail, C1), sqlite_by_mail.browser()
    page = to_code_page(browser, application, ALICE.email)
    alices = newest_code(sqlite_by_mail)
    [link] = re.findall(r'href="(/login/[^"]+/identify)"', page.page.html)
    page = browser.submit(browser.follow(browser.get(link)), identifier=BELLA.email)
    assert [mail["to"] for mail in mails(sqlite_by_mail)] == [ALICE.email, BELLA.email]
    page = browser.submit(page, code=alices)
    assert WRONG in page.page.html
    answer = browser.submit(page, code=newest_code(sqlite_by_mail))
    assert claims_of(application, answer)["sub"] == sqlite_by_mail.sub(BELLA)


def test_somebody_known_is_mailed_a_code_when_the_application_asks_again(
    sqlite_by_mail: Installation,
) -> None:
    application, browser = RelyingParty(sqlite_by_mail, C1), sqlite_by_mail.browser()
    page = to_code_page(browser, application, ALICE.email)
    assert browser.submit(page, code=newest_code(sqlite_by_mail)).code
    page = browser.authorize(application.request(prompt="login"))
    assert page.step == "email_code"
    assert browser.submit(page, code=newest_code(sqlite_by_mail)).code
    assert len(mails(sqlite_by_mail)) == 2


# As second factor --------------------------------------------------------------------------------


@pytest.fixture
def second(installation: Installation) -> Installation:
    """In organisation A a mailed code follows the password on new browsers."""
    installation.change_policy("A", second_factor="new_browser", factors=["email"])
    return installation


def test_a_mailed_code_follows_the_password_and_is_no_mfa(second: Installation) -> None:
    application, browser = RelyingParty(second, C1), second.browser()
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "email_code"
    assert "a•••@a.example" in page.page.html
    assert "You are new on this browser" in page.page.html
    code = newest_code(second)
    assert re.fullmatch(r"\d{3} \d{3}", code)
    assert "they probably know your password" in mails(second)[0]["text"]
    page = browser.submit(page, code=another(code))
    assert WRONG in page.page.html
    claims = claims_of(application, browser.submit(page, code=code, remember="yes"))
    assert claims["amr"] == ["pwd", "email"]
    assert claims["acr"] == "urn:sekisho:acr:single"
    again = browser.signed_in(ALICE, application.request(prompt="login"))
    assert again.code


def test_the_registered_address_shows_masked_after_the_password(second: Installation) -> None:
    browser = second.browser()
    page = browser.authorize(RelyingParty(second, C1).request())
    page = browser.submit(page, identifier="alice")
    page = browser.submit(page, password=PASSWORD)
    assert "a•••@a.example" in page.page.html


# AZ-12
def test_the_second_factor_cannot_be_skipped(second: Installation) -> None:
    browser = second.browser()
    page = browser.signed_in(ALICE, RelyingParty(second, C1).request())
    visit = page.path.split("/")[2]
    for path in (f"/login/{visit}", f"/authorize/resume/{visit}", f"/login/{visit}/consent"):
        assert browser.follow(browser.get(path)).step == "email_code"
    assert second.sql("SELECT id FROM sessions") == []


# Verifying an address ----------------------------------------------------------------------------


# ID-05
def test_an_address_is_verified_by_a_code_that_went_there(installation: Installation) -> None:
    installation.change_policy("A", verify_address=True)
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = browser.signed_in(ADAM, application.request(scope="openid email"))
    assert page.step == "verify_address"
    assert "Please confirm that a•••@a.example is your address" in page.page.html
    [mail] = mails(installation)
    assert mail["subject"] == "Your code to confirm your address at Organisation A"
    code = code_in(mail)
    page = browser.submit(page, code=another(code))
    assert WRONG in page.page.html
    assert installation.user(ADAM).email_verified_at is None
    claims = claims_of(application, browser.submit(page, code=code))
    assert claims["email_verified"] is True
    assert claims["amr"] == ["pwd"]
    assert installation.events().count("address.verified") == 1


# ID-05
def test_an_address_is_verified_again_when_that_is_required(
    sqlite_installation: Installation,
) -> None:
    with sqlite_installation.database() as session:
        users.require(session, sqlite_installation.sub(ALICE), Action.VERIFY_ADDRESS)
    application, browser = RelyingParty(sqlite_installation, C1), sqlite_installation.browser()
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "verify_address"
    silent = sqlite_installation.browser()
    assert silent.signed_in(ALICE, application.request()).step == "verify_address"
    assert silent.authorize(application.request(prompt="none")).error == "interaction_required"
    sqlite_installation.pass_time(seconds=31)
    page = browser.submit(page, resend="1")
    assert browser.submit(page, code=newest_code(sqlite_installation)).code
    assert sqlite_installation.user(ALICE).required_actions == ""


# ID-05
def test_a_code_to_an_address_that_was_changed_meanwhile_verifies_nothing(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.change_policy("A", verify_address=True)
    browser = sqlite_installation.browser()
    page = browser.signed_in(ADAM, RelyingParty(sqlite_installation, C1).request())
    sub = sqlite_installation.sub(ADAM)
    with sqlite_installation.database() as session:
        users.change_stamp(session, sub, now=sqlite_installation.services.clock.now())
    page = browser.submit(page, code=newest_code(sqlite_installation))
    assert WRONG in page.page.html
    assert sqlite_installation.user(ADAM).email_verified_at is None


# BF-08
def test_a_code_to_sign_in_does_not_verify_and_the_other_way_round(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.change_policy(
        "A", verify_address=True, second_factor="always", factors=["email"]
    )
    with sqlite_installation.database() as session:
        users.require(session, sqlite_installation.sub(ALICE), Action.VERIFY_ADDRESS)
    browser = sqlite_installation.browser()
    page = browser.signed_in(ALICE, RelyingParty(sqlite_installation, C1).request())
    assert page.step == "email_code"
    second = newest_code(sqlite_installation)
    page = browser.submit(page, code=second)
    assert page.step == "verify_address"
    page = browser.submit(page, code=second)
    assert WRONG in page.page.html
    assert browser.submit(page, code=newest_code(sqlite_installation)).code


# ID-05
def test_who_signs_in_by_mail_has_verified_the_address(sqlite_by_mail: Installation) -> None:
    sqlite_by_mail.change_policy("A", verify_address=True)
    application, browser = RelyingParty(sqlite_by_mail, C1), sqlite_by_mail.browser()
    page = to_code_page(browser, application, ADAM.email)
    answer = browser.submit(page, code=newest_code(sqlite_by_mail))
    assert answer.code
    assert sqlite_by_mail.user(ADAM).email_verified_at is not None
    assert sqlite_by_mail.events().count("address.verified") == 1


# The mail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["ja", "en"])
def test_the_mail_is_in_the_persons_language_and_has_nothing_to_open(
    sqlite_by_mail: Installation, locale: str
) -> None:
    sqlite_by_mail.sql(
        "UPDATE users SET profile = :profile WHERE email = :email",
        profile=f'{{"locale": "{locale}"}}',
        email=ALICE.email,
    )
    browser = sqlite_by_mail.browser()
    page = browser.follow(
        browser.get(
            "/authorize",
            RelyingParty(sqlite_by_mail, C1).request(),
            headers={"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Chrome/140"},
        )
    )
    start = browser.post(page.page.action, page.page.fields | {"identifier": ALICE.email})
    browser.get(start.location or "", headers={"User-Agent": "Mozilla/5.0 (Windows) Chrome/140"})
    [mail] = mails(sqlite_by_mail)
    subjects = {
        "ja": "【Organisation A】サインインの確認コード",
        "en": "Your sign-in code for Organisation A",
    }
    assert mail["subject"] == subjects[locale]
    code = code_in(mail)
    for part in (mail["text"], mail["html"]):
        assert code in part
        for word in ("Application c1", "Organisation A", "Chrome (Windows)", "192.0.2.10", "Alice"):
            assert word in part
        assert not re.search(r"https?:|href|<img|src=", part)
    assert ("受信" in mail["text"] or "確認コード" in mail["text"]) == (locale == "ja")


# ML-01
def test_names_and_headers_of_strangers_put_nothing_into_the_mail(
    sqlite_by_mail: Installation,
) -> None:
    evil = "x\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>"
    sqlite_by_mail.sql(
        "UPDATE users SET name = :name WHERE email = :email", name=evil, email=ALICE.email
    )
    browser = sqlite_by_mail.browser()
    page = to_code_page(browser, RelyingParty(sqlite_by_mail, C1), ALICE.email)
    sqlite_by_mail.pass_time(seconds=31)
    browser.post(
        page.path,
        page.page.fields | {"resend": "1"},
        headers={"User-Agent": "Chrome <script> http://evil.example"},
    )
    for sent in mails(sqlite_by_mail):
        built = build(sent, sender="a@a.example", clock=sqlite_by_mail.clock)
        assert built["Bcc"] is None
        assert [address.addr_spec for address in built["To"].addresses] == [ALICE.email]
        assert "<script>" not in sent["html"]
        assert "evil.example" not in sent["text"].replace(evil, "")
