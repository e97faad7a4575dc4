"""Second factors at the sign-in pages: asked for, set up, shown, lost, and waived."""

from __future__ import annotations

import re

import pytest

from idp import assurance
from idp.policy import Method
from tests.support.apps import App, row_of, set_up
from tests.support.kit import (
    ADAM,
    ALICE,
    C1,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
)


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def claims_of(application: RelyingParty, answer: Outcome) -> dict[str, object]:
    response = application.redeem(answer.code)
    return application.verify(response.get_json()["id_token"])


def typed_key(page: Outcome) -> str:
    [key] = re.findall(r'<code id="key"[^>]*>([A-Z2-7 ]+)</code>', page.page.html)
    return str(key)


def shown_code(page: Outcome) -> str:
    [code] = re.findall(r'<code id="recovery"[^>]*>([0-9A-Z-]+)</code>', page.page.html)
    return str(code)


def choose(browser: Browser, page: Outcome, method: str) -> Outcome:
    """Asks for another way, as the pages' links and buttons do."""
    other_way = page.path.rpartition("/")[0] + "/other_way"
    fields = {"csrf": page.page.fields["csrf"], "method": method}
    return browser.follow(browser.post(other_way, fields))


def enrol(browser: Browser, page: Outcome) -> tuple[App, Outcome]:
    """From the page with the key to the page with the recovery code."""
    app = App(browser.installation, typed_key(page).replace(" ", ""))
    return app, browser.submit(page, code=app.code())


@pytest.mark.parametrize("demand", ["new_browser", "always"])
def test_a_first_sign_in_sets_up_an_app_saves_the_recovery_code_and_goes_on(
    installation: Installation, demand: str
) -> None:
    installation.change_policy("A", second_factor=demand)
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol"
    offered = re.findall(r'name="method" value="(\w+)"', page.page.html)
    assert offered == ["passkey", "otp", "sms"]
    page = browser.submit(page, method="otp")
    assert page.step == "enrol_totp"
    app, page = enrol(browser, page)
    assert page.step == "save_recovery_code"
    code = shown_code(page)
    assert browser.submit(page).step == "save_recovery_code", "without the tick"
    answer = browser.submit(page, saved="yes")
    claims = claims_of(application, answer)
    assert claims["amr"] == ["pwd", "otp", "mfa"]
    assert claims["acr"] == assurance.MULTIPLE
    assert code.replace("-", "") not in str(installation.state_entries())
    assert app.secret not in str(installation.state_entries())
    assert installation.user(ALICE).required_actions == ""


# BF-12
def test_the_page_shows_the_same_key_again_until_it_is_active_and_then_never(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol_totp", "there is nothing to choose"
    key = typed_key(page)
    again = browser.follow(browser.get(page.path))
    assert typed_key(again) == key
    assert again.response.headers["Cache-Control"] == "no-store"
    other = sqlite_installation.browser().signed_in(ALICE, application.request())
    assert typed_key(other) != key, "another visit has another key"
    wrong = browser.submit(page, code="000000")
    assert wrong.page.is_alert
    assert typed_key(wrong) == key
    assert sqlite_installation.sql("SELECT * FROM authenticators") == []
    _, saved = enrol(browser, page)
    gone = browser.follow(browser.get(page.path))
    assert gone.step == "save_recovery_code"
    assert key not in gone.page.html
    posted = browser.follow(browser.post(page.path, saved.page.fields | {"code": "000000"}))
    assert key not in posted.page.html


# BF-12, BF-22
def test_who_has_an_app_cannot_set_up_another_instead_of_showing_it(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    set_up(sqlite_installation, ALICE)
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp", "sms"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "totp"
    visit = page.path.rpartition("/")[0]
    for step in ("enrol", "enrol_totp", "save_recovery_code", "recovery_code", "consent"):
        assert browser.follow(browser.get(f"{visit}/{step}")).step == "totp", step
        fields = page.page.fields | {"method": "otp", "saved": "yes", "code": "0" * 24}
        assert browser.follow(browser.post(f"{visit}/{step}", fields)).step == "totp", step
    for wanted in ("sms", "email", "passkey", "enrol", "pwd", "nothing"):
        refused = choose(browser, page, wanted)
        assert refused.step == "other_way", wanted
        assert browser.follow(browser.get(visit)).step == "totp", wanted
    assert sqlite_installation.sql("SELECT id FROM sessions") == []


# BF-12
def test_an_app_set_up_elsewhere_meanwhile_ends_setting_up_here(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    set_up(sqlite_installation, ALICE)
    # A credential that is changed elsewhere takes the proofs of a half-finished sign-in away.
    _, after = enrol(browser, page)
    assert after.step == "password"
    assert browser.submit(after, password=PASSWORD).step == "totp"
    assert len(sqlite_installation.sql("SELECT id FROM authenticators")) == 1


def test_an_interrupted_sign_in_is_resumed_where_it_was(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    visit = page.path.rpartition("/")[0]
    assert browser.follow(browser.get(visit)).step == "enrol_totp"
    app, saving = enrol(browser, page)
    # The recovery code was not saved, and the browser is closed: the next visit asks for it.
    later = sqlite_installation.browser()
    sqlite_installation.pass_time(minutes=10)
    page = later.signed_in(ALICE, application.request())
    assert page.step == "totp"
    page = later.submit(page, code=app.code())
    assert page.step == "save_recovery_code"
    assert shown_code(page) != shown_code(saving)
    assert shown_code(later.follow(later.get(page.path))) == shown_code(page)
    assert later.submit(page, saved="yes").code


def test_the_recovery_code_downloads_as_a_text_file(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    _, page = enrol(browser, browser.signed_in(ALICE, application.request()))
    file = browser.post(page.path, page.page.fields | {"download": "yes"})
    assert file.mimetype == "text/plain"
    assert file.headers["Content-Disposition"].startswith("attachment; filename=")
    assert file.headers["Cache-Control"] == "no-store"
    assert shown_code(page) in file.text
    assert ALICE.email in file.text
    assert browser.submit(page, saved="yes").code


def test_a_recovery_code_that_is_shown_no_more_is_not_what_is_kept(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    _, page = enrol(browser, browser.signed_in(ALICE, application.request()))
    # Another credential was changed in the meantime.
    sqlite_installation.sql("UPDATE users SET security_stamp = 'another'")
    again = browser.submit(page, saved="yes")
    assert again.step == "save_recovery_code"
    assert again.page.is_alert
    assert shown_code(again) != shown_code(page)
    assert browser.submit(again, saved="yes").code


def test_a_code_that_is_none_is_no_attempt_and_a_wrong_one_is(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "totp", "who has set up an app is asked, whatever the organisation says"
    counted = "SELECT * FROM failures WHERE bucket LIKE 'otp:%'"
    for typed in ("", "12345", "1234567"):
        assert browser.submit(page, code=typed).page.is_alert
        assert sqlite_installation.sql(counted) == []
    assert browser.submit(page, code="000000").page.is_alert
    assert sqlite_installation.sql(counted)
    assert claims_of(application, browser.submit(page, code=app.code()))["amr"] == [
        "pwd",
        "otp",
        "mfa",
    ]


# BF-10
def test_a_code_signs_in_once_also_in_another_browser(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    other = sqlite_installation.browser("203.0.113.7")
    pages = [who.signed_in(ALICE, application.request()) for who in (browser, other)]
    assert browser.submit(pages[0], code=app.code()).code
    assert other.submit(pages[1], code=app.code()).page.is_alert


def test_the_recovery_code_stands_in_for_a_lost_device_and_is_replaced(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    assert 'name="method" value="recovery"' in page.page.html
    page = choose(browser, page, Method.RECOVERY_CODE)
    assert page.step == "recovery_code"
    assert browser.submit(page, code="0" * 24).page.is_alert
    assert "24 letters" in browser.submit(page, code="ABCD").page.html
    page = browser.submit(page, code=app.recovery_code.lower())
    assert page.step == "save_recovery_code"
    new = shown_code(page)
    answer = browser.submit(page, saved="yes")
    assert claims_of(application, answer)["amr"] == ["pwd", "recovery", "mfa"]
    later = sqlite_installation.browser()
    page = choose(later, later.signed_in(ALICE, application.request()), Method.RECOVERY_CODE)
    assert later.submit(page, code=app.recovery_code).page.is_alert
    assert later.submit(page, code=new).step == "save_recovery_code"


# AZ-08
def test_a_step_up_asks_for_the_code_alone(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    first = application.claims(browser, ALICE)
    assert first["amr"] == ["pwd"]
    app = set_up(sqlite_installation, ALICE)
    page = browser.authorize(application.request(acr_values=assurance.MULTIPLE))
    assert page.step == "totp"
    assert "This application asks for a second confirmation." in page.page.html
    answer = browser.submit(page, code=app.code())
    claims = claims_of(application, answer)
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp", "mfa"], assurance.MULTIPLE)
    assert claims["sid"] == first["sid"]


def remembered(installation: Installation, application: RelyingParty, person: str) -> Browser:
    """A browser in which the second factor was shown and the box ticked."""
    who = {ALICE.email: ALICE, ADAM.email: ADAM}[person]
    app, browser = set_up(installation, who), installation.browser()
    page = browser.signed_in(who, application.request())
    assert ('name="remember"' in page.page.html) == (who is ALICE)
    assert browser.submit(page, code=app.code(), remember="yes").code
    installation.pass_time(minutes=1)
    return browser


# SE-14
def test_a_remembered_browser_is_not_asked_and_does_not_say_mfa(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    browser = remembered(sqlite_installation, application, ALICE.email)
    answer = browser.sign_in(browser.authorize(application.request(prompt="login")), ALICE)
    claims = claims_of(application, answer)
    assert (claims["amr"], claims["acr"]) == (["pwd"], assurance.SINGLE)
    page = browser.authorize(application.request(acr_values=assurance.MULTIPLE))
    assert page.step == "totp", "a waiver is no factor"
    other = sqlite_installation.browser().signed_in(ALICE, application.request())
    assert other.step == "totp"


# SE-14
@pytest.mark.parametrize("change", ["always", "factor", "idle", "forgotten"])
def test_a_remembered_browser_is_asked_again(
    sqlite_installation: Installation, application: RelyingParty, change: str
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    browser = remembered(sqlite_installation, application, ALICE.email)
    if change == "always":
        sqlite_installation.change_policy("A", second_factor="always")
    elif change == "factor":
        set_up(sqlite_installation, ALICE, "Another phone")
    elif change == "idle":
        sqlite_installation.pass_time(days=30)
    else:
        sqlite_installation.change_policy("A", remember_days=0)
    page = browser.sign_in(browser.authorize(application.request(prompt="login")), ALICE)
    assert page.step == "totp"


# SE-14
def test_the_browsers_of_those_with_a_role_are_not_remembered(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    browser = remembered(sqlite_installation, application, ADAM.email)
    page = browser.sign_in(browser.authorize(application.request(prompt="login")), ADAM)
    assert page.step == "totp"


def by_code(installation: Installation) -> None:
    """Everybody of both organisations signs in by app."""
    installation.sql("UPDATE users SET login_method = 'otp'")


def test_an_app_may_be_the_way_to_sign_in(
    installation: Installation,
) -> None:
    app = set_up(installation, ALICE)
    by_code(installation)
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    assert page.step == "totp"
    assert "lost-device" not in page.page.html
    claims = claims_of(application, browser.submit(page, code=app.code()))
    assert (claims["amr"], claims["acr"]) == (["otp"], assurance.SINGLE)


# EN-01, EN-04
def test_nobody_is_asked_for_a_code_like_anybody(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    set_up(sqlite_installation, ALICE)
    by_code(sqlite_installation)
    seen = {}
    for identifier in ("alice@a.example", "fred@a.example", "ghost@a.example", "dora@a.example"):
        browser = sqlite_installation.browser("203.0.113.9")
        asked = browser.submit(browser.authorize(application.request()), identifier=identifier)
        answers = []
        for answer in (asked, browser.submit(asked, code="000000")):
            text = answer.page.html
            for changing in (
                answer.page.fields["csrf"],
                answer.path.split("/")[2],
                answer.response.headers["Content-Security-Policy"].split("'nonce-")[1][:22],
                identifier,
            ):
                text = text.replace(changing, "•")
            answers.append((answer.status, answer.step, text, sorted(browser.cookies())))
        assert asked.step == "totp"
        seen[identifier] = answers
    assert len({str(answers) for answers in seen.values()}) == 1
    told = sqlite_installation.sql("SELECT bucket FROM failures WHERE bucket LIKE 'otp:%'")
    assert len({row["bucket"] for row in told}) == 2 * 4


def test_the_picture_is_a_plain_svg_and_says_what_the_key_says(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    [svg] = re.findall(r'<div class="qr"[^>]*>(<svg.*?</svg>)', page.page.html, re.S)
    assert re.fullmatch(
        r'<svg viewBox="0 0 \d+ \d+">(<path [a-z]+="#[0-9a-f]{3}" d="[-0-9a-zA-Z .]+"/>){2}</svg>',
        svg,
    )
    uri = page.page.links["open-app"]
    assert f"secret={typed_key(page).replace(' ', '')}" in uri
    assert "issuer=Organisation%20A" in uri
    assert row_of(sqlite_installation, ALICE).email.replace("@", "%40") in uri
    assert page.page.fields["name"] == "Authenticator app"
    assert browser.submit(page, code="000000", name="x" * 65).page.is_alert


def test_another_kind_may_be_chosen_as_long_as_none_is_set_up(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always")
    page = browser.signed_in(ALICE, application.request())
    assert browser.submit(page, method="email").step == "enrol", "not among those offered"
    page = browser.submit(page, method="otp")
    assert browser.submit(page, choose="yes").step == "enrol"


def test_the_password_alone_opens_nothing(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    visit = page.path.split("/")[2]
    assert browser.follow(browser.get(f"/authorize/resume/{visit}")).step == "totp"
    assert browser.submit(page, password=PASSWORD).step == "totp"
    assert (
        sqlite_installation.browser().authorize(application.request(prompt="none")).error
        == "login_required"
    )


# BF-20, SE-17
def test_a_session_that_was_left_open_is_not_enough_to_set_up_a_factor(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    assert browser.signed_in(ALICE, application.request()).code
    sqlite_installation.pass_time(minutes=11)
    page = browser.authorize(application.request(acr_values=assurance.MULTIPLE))
    assert page.step == "password"
    interaction = page.path.rpartition("/")[0]
    for step in ("enrol", "enrol_totp", "enrol_passkey", "enrol_phone", "save_recovery_code"):
        fields = {"csrf": page.page.fields["csrf"], "method": "otp", "code": "000000"}
        assert browser.follow(browser.get(f"{interaction}/{step}")).step == "password"
        assert browser.follow(browser.post(f"{interaction}/{step}", fields)).step == "password"
    page = choose(browser, browser.submit(page, password=PASSWORD), "otp")
    assert page.step == "enrol_totp"
    _, page = enrol(browser, page)
    answer = browser.submit(page, saved="yes")
    claims = claims_of(application, answer)
    assert claims["amr"] == ["pwd", "otp", "mfa"]


def test_somebody_else_may_not_prove_it_for_a_session_that_was_left_open(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    assert browser.signed_in(ALICE, application.request()).code
    sqlite_installation.pass_time(minutes=11)
    page = browser.authorize(application.request(acr_values=assurance.MULTIPLE))
    back = browser.follow(browser.get(page.path.replace("password", "identify")))
    page = browser.sign_in(browser.submit(back, identifier=ADAM.email), ADAM)
    _, page = enrol(browser, choose(browser, page, "otp"))
    claims = claims_of(application, browser.submit(page, saved="yes"))
    assert claims["sub"] == sqlite_installation.sub(ADAM)
    rows = sqlite_installation.sql("SELECT user_id FROM authenticators")
    assert {row["user_id"] for row in rows} == {sqlite_installation.sub(ADAM)}
