"""The account pages: who gets in, and what can be changed there."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.accounts import passkeys, phones, recovery_codes, users
from idp.accounts.passkeys import NewKey
from idp.accounts.users import Action
from tests.support.apps import App, row_of, set_up, somewhere
from tests.support.kit import (
    ALICE,
    BELLA,
    C1,
    C3,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)

SECURITY = "/account/security"


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


def open_page(browser: Browser, path: str = SECURITY) -> Outcome:
    return browser.follow(browser.get(path))


def enter(browser: Browser, person: Person = ALICE, app: App | None = None) -> Outcome:
    """The security page, after whatever is asked on the way."""
    page = open_page(browser)
    if page.step in ("identify", "password"):
        page = browser.sign_in(page, person)
    if page.step == "totp":
        assert app is not None
        page = browser.submit(page, code=app.code())
        browser.installation.pass_time(seconds=30)
    assert is_security(page), page.path
    return page


def is_security(page: Outcome) -> bool:
    return urlsplit(page.path).path == SECURITY and page.status == 200


def send(browser: Browser, page: Outcome, path: str, **fields: str) -> Outcome:
    """Sends a form of the account page to one of its addresses."""
    kept = {name: page.page.fields[name] for name in ("csrf", "account")}
    return browser.follow(browser.post(path, kept | fields))


def remember(browser: Browser, application: RelyingParty, app: App, person: Person = ALICE) -> None:
    """Signs in with the app and has this browser remembered."""
    page = browser.signed_in(person, application.request(prompt="login"))
    assert page.step == "totp"
    assert browser.submit(page, code=app.code(), remember="yes").code
    browser.installation.pass_time(seconds=30)


# Getting in --------------------------------------------------------------------------------------


def test_who_is_not_signed_in_signs_in_and_arrives(installation: Installation) -> None:
    browser = installation.browser()
    page = open_page(browser)
    assert page.step == "identify"
    assert "Sign in to your account" in page.page.html
    page = browser.sign_in(page, ALICE)
    assert is_security(page)
    assert ALICE.email in page.page.html
    assert "Password" in page.page.html


def test_who_signed_in_for_an_application_just_now_gets_in_straight(
    browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    assert is_security(open_page(browser))


# SE-17
def test_an_older_session_is_confirmed_first(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    sqlite_installation.pass_time(seconds=600)
    page = open_page(browser)
    assert is_security(page)
    sqlite_installation.pass_time(seconds=1)
    late = send(browser, page, SECURITY + "/browsers", forget="all")
    assert late.step == "password"
    assert "confirm it is you" in late.page.html
    assert open_page(browser).step == "password"
    page = browser.submit(late, password=PASSWORD)
    assert is_security(page)
    assert application.claims(browser, ALICE)["auth_time"] == int(
        sqlite_installation.clock.now().timestamp()
    )


# SE-17, SE-14
def test_a_remembered_browser_shows_the_factor_all_the_same(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    remember(browser, application, app)
    assert is_security(open_page(browser)), "shown a moment ago"
    sqlite_installation.pass_time(minutes=11)
    page = open_page(browser)
    assert page.step == "password"
    page = browser.submit(page, password=PASSWORD)
    assert page.step == "totp"
    assert not is_security(open_page(browser))
    assert is_security(browser.submit(page, code=app.code()))


# SE-17
def test_a_waived_session_is_strengthened_before_it_sees_the_account(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    remember(browser, application, app)
    page = browser.signed_in(ALICE, application.request(prompt="login"))
    assert page.code, "waived"
    page = open_page(browser)
    assert page.step == "totp", "the password was shown just now"
    [row] = sqlite_installation.sql("SELECT methods FROM sessions")
    assert row["methods"] == "pwd"
    assert is_security(browser.submit(page, code=app.code()))


# SE-17: a mailed code may satisfy the organisation's rule, and is no way to change the account.
def test_a_mailed_code_does_not_do_where_a_real_factor_is_set_up(
    sqlite_installation: Installation, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["email", "otp"])
    app = set_up(sqlite_installation, ALICE)
    sqlite_installation.sql("UPDATE users SET email_verified_at = 1")
    page = browser.sign_in(open_page(browser), ALICE)
    assert page.step == "totp"
    browser.submit(page, code=app.code())
    sqlite_installation.pass_time(minutes=1)
    sqlite_installation.sql("UPDATE sessions SET methods = 'pwd email'")
    page = open_page(browser)
    assert page.step == "totp"
    assert "other-way" not in page.page.links or "email" not in page.page.html


def test_a_factor_that_cannot_make_two_kinds_is_shown_and_nothing_new_is_forced(
    sqlite_installation: Installation, browser: Browser
) -> None:
    """Who signs in with an app and has nothing else has shown all there is."""
    app = set_up(sqlite_installation, ALICE)
    sqlite_installation.sql("UPDATE users SET login_method = 'otp'")
    page = browser.submit(open_page(browser), identifier="alice")
    assert page.step == "totp"
    assert is_security(browser.submit(page, code=app.code()))


# AZ-12
def test_who_has_proven_half_sees_nothing_of_the_account(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    set_up(sqlite_installation, ALICE)
    half = browser.signed_in(ALICE, application.request())
    assert half.step == "totp"
    interaction = half.path.split("/")[2]
    for path in (
        SECURITY,
        SECURITY + "/factors/otp/" + "0" * 32,
        f"/authorize/resume/{interaction}",
    ):
        page = open_page(browser, path)
        assert page.step in ("identify", "totp"), path
        assert "Remembered browsers" not in page.page.html
    for path in ("/browsers", "/factors", "/factors/otp/" + "0" * 32):
        answer = browser.post(
            SECURITY + path, {"csrf": half.page.fields["csrf"], "forget": "all", "method": "otp"}
        )
        assert answer.status_code == 403


# AZ-12
def test_a_visit_to_the_account_cannot_be_resumed_before_its_end(
    sqlite_installation: Installation, browser: Browser
) -> None:
    set_up(sqlite_installation, ALICE)
    page = open_page(browser)
    interaction = page.path.split("/")[2]
    resume = f"/authorize/resume/{interaction}"
    assert open_page(browser, resume).step == "identify"
    page = browser.submit(page, identifier="alice")
    assert open_page(browser, resume).step == "password"
    page = browser.submit(page, password=PASSWORD)
    assert open_page(browser, resume).step == "totp"


# The account pages are no application that anybody could pretend to be.
@pytest.mark.parametrize("client_id", ["(account)", "%28account%29", "account", "sekisho-account"])
def test_nobody_can_ask_for_the_account_from_outside(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    client_id: str,
) -> None:
    application.code(browser, ALICE)
    for redirect_uri in (SECURITY, "https://id.example.test" + SECURITY, C1.redirect_uri):
        asked = application.request(
            client_id=client_id, redirect_uri=redirect_uri, enrols="otp", prompt="none"
        )
        answer = browser.authorize(asked)
        assert (answer.status, answer.location) == (400, "")
    form = {
        "grant_type": "authorization_code",
        "code": "x" * 43,
        "client_id": client_id,
        "redirect_uri": SECURITY,
        "code_verifier": "v" * 43,
    }
    assert browser.post("/token", form).get_json()["error"] == "invalid_client"


def test_no_code_is_made_for_the_account(
    sqlite_installation: Installation, browser: Browser
) -> None:
    enter(browser)
    assert not [entry for entry in sqlite_installation.state_entries() if b"account" in entry]
    assert all("code=" not in (answer.location or "") for answer in browser.trail)


def test_what_is_due_is_due_here_as_well(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    with sqlite_installation.database() as session:
        users.require(session, sqlite_installation.sub(ALICE), Action.SAVE_RECOVERY_CODE)
    assert open_page(browser).step == "save_recovery_code"


# SE-12
def test_signing_out_ends_it(browser: Browser) -> None:
    page = enter(browser)
    browser.submit(browser.follow(browser.get("/logout")))
    assert open_page(browser).step == "identify"
    assert send(browser, page, SECURITY + "/browsers", forget="all").step == "identify"


# AZ-14
@pytest.mark.parametrize("table", ["users", "organizations"])
def test_who_was_switched_off_is_out(
    sqlite_installation: Installation, browser: Browser, table: str
) -> None:
    enter(browser)
    sqlite_installation.sql(f"UPDATE {table} SET disabled_at = 1")  # noqa: S608
    assert open_page(browser).step == "identify"


# Several accounts --------------------------------------------------------------------------------


def sign_in_both(browser: Browser, application: RelyingParty) -> None:
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    assert browser.sign_in(browser.submit(page, account="other"), BELLA).code


def test_the_account_is_switched_by_choosing_one(
    browser: Browser, application: RelyingParty
) -> None:
    sign_in_both(browser, application)
    page = open_page(browser)
    [link] = re.findall(r'href="([^"]+)">Switch account', page.page.html)
    chooser = open_page(browser, link)
    assert chooser.step == "account"
    sent = re.findall(
        r'name="account" value="(\w{32})"[^>]*>.*?<b>([^<]+)</b>', chooser.page.html, re.S
    )
    for sid, name in sent:
        chosen = browser.submit(open_page(browser, link), account=sid)
        assert parse_qs(urlsplit(chosen.path).query) == {"account": [sid]}
        assert f"<b>{name}</b>" in chosen.page.html


# WB-01, AZ-13
def test_a_form_changes_the_account_that_it_was_made_for_and_no_other(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    sign_in_both(browser, application)
    rows = sqlite_installation.sql("SELECT id, user_id FROM sessions")
    alice, bella = (
        next(row["id"] for row in rows if row["user_id"] == sqlite_installation.sub(person))
        for person in (ALICE, BELLA)
    )
    page = open_page(browser, f"{SECURITY}?account={alice}")
    assert page.page.fields["account"] == alice
    forged = {"csrf": page.page.fields["csrf"], "account": bella, "forget": "all"}
    for query in ("", f"?account={alice}"):
        assert browser.post(SECURITY + "/browsers" + query, forged).status_code == 403
    changed = send(browser, page, SECURITY + f"/browsers?account={bella}", forget="all")
    assert changed.page.fields["account"] == alice


@pytest.mark.parametrize("account", ["x", "0" * 32, "\u202e", "other"])
def test_an_account_that_is_not_here_is_none(
    browser: Browser, application: RelyingParty, account: str
) -> None:
    application.code(browser, ALICE)
    page = browser.follow(browser.get(SECURITY, {"account": account}))
    assert page.step == "account" if account == "other" else is_security(page)


# Remembered browsers -----------------------------------------------------------------------------


def test_remembered_browsers_are_listed_and_forgotten_one_by_one(
    installation: Installation,
) -> None:
    application = RelyingParty(installation, C1)
    app = set_up(installation, ALICE)
    here, there = installation.browser(), installation.browser("198.51.100.77")
    for each in (here, there):
        remember(each, application, app)
    page = enter(here, ALICE, app)
    entries = re.findall(r'name="forget" value="(\w{32})"', page.page.html)
    assert len(entries) == 2
    assert page.page.html.count("This browser") == 1
    assert "198.51.100.77" in page.page.html
    [row] = installation.sql("SELECT id FROM browsers WHERE address = '198.51.100.77'")
    page = send(here, page, SECURITY + "/browsers", forget=row["id"])
    assert is_security(page)
    assert "no longer remembered" in page.page.html
    assert re.findall(r'name="forget" value="(\w{32})"', page.page.html) == [
        entry for entry in entries if entry != row["id"]
    ]
    assert installation.events()[-1] == "browser.forgotten"
    # A new sign-in there shows the factor again; here it does not.
    assert there.signed_in(ALICE, application.request(prompt="login")).step == "totp"
    assert here.signed_in(ALICE, application.request(prompt="login")).code


# SE-14
def test_a_session_on_a_forgotten_browser_is_asked_for_a_factor(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    app = set_up(sqlite_installation, ALICE)
    lost, mine = sqlite_installation.browser(), sqlite_installation.browser()
    remember(lost, application, app)
    assert lost.signed_in(ALICE, application.request(prompt="login")).code, "waived"
    page = enter(mine, ALICE, app)
    assert "all_forgotten" in send(mine, page, SECURITY + "/browsers", forget="all").path
    assert lost.authorize(application.request()).step == "totp"
    assert lost.authorize(application.request(prompt="none")).error == "interaction_required"


# SE-14
def test_a_changed_factor_ends_what_remembered_browsers_waived(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    app = set_up(sqlite_installation, ALICE)
    waived, mine = sqlite_installation.browser(), sqlite_installation.browser()
    remember(waived, application, app)
    assert waived.signed_in(ALICE, application.request(prompt="login")).code, "waived"
    page = enter(mine, ALICE, app)
    page = send(mine, page, SECURITY + "/factors", method="recovery")
    assert is_security(mine.submit(page, saved="yes"))
    assert waived.authorize(application.request()).step == "totp"
    assert waived.signed_in(ALICE, application.request(prompt="login")).step == "totp"


# EN-01, SE-14
@pytest.mark.parametrize("kind", ["another's", "made up", "nothing"])
def test_only_the_own_browsers_can_be_forgotten(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, kind: str
) -> None:
    app = set_up(sqlite_installation, BELLA)
    remember(sqlite_installation.browser(), application, app, BELLA)
    [row] = sqlite_installation.sql("SELECT id FROM browsers")
    page = enter(browser)
    wanted = {"another's": row["id"], "made up": "0" * 32, "nothing": ""}[kind]
    send(browser, page, SECURITY + "/browsers", forget=wanted)
    assert sqlite_installation.sql("SELECT id FROM browsers WHERE remembered_at IS NOT NULL") == [
        row
    ]
    assert "browser.forgotten" not in sqlite_installation.events()


def test_a_remembered_browser_that_ran_out_is_not_listed(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    remember(sqlite_installation.browser(), application, app)
    sqlite_installation.pass_time(days=31)
    assert "No browser is remembered" in enter(browser, ALICE, app).page.html


# Factors -----------------------------------------------------------------------------------------


def test_a_first_app_is_set_up_with_a_recovery_code_and_is_listed(
    installation: Installation,
) -> None:
    browser = installation.browser()
    page = enter(browser)
    assert "Nothing is set up yet" in page.page.html
    page = send(browser, page, SECURITY + "/factors", method="otp")
    assert page.step == "enrol_totp"
    [key] = re.findall(r'<code id="key"[^>]*>([A-Z2-7 ]+)</code>', page.page.html)
    app = App(installation, key.replace(" ", ""))
    page = browser.submit(page, code=app.code(), name="My phone")
    assert page.step == "save_recovery_code"
    page = browser.submit(page, saved="yes")
    assert is_security(page), "the new factor was shown by setting it up"
    assert "My phone" in page.page.html
    assert "Make a new recovery code" in page.page.html
    events = installation.events()
    assert {"factor.added", "recovery_code.made", "factor.shown"} <= set(events)
    installation.pass_time(minutes=11)
    page = browser.submit(open_page(browser), password=PASSWORD)
    assert page.step == "totp", "from now on it is asked for"


# BF-12, SE-17
def test_a_second_app_is_set_up_by_who_has_shown_the_first(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = enter(browser, ALICE, app)
    sqlite_installation.pass_time(minutes=11)
    page = send(browser, page, SECURITY + "/factors", method="otp")
    assert page.step == "password"
    page = browser.submit(page, password=PASSWORD)
    assert page.step == "totp"
    interaction = page.path.split("/")[2]
    assert open_page(browser, f"/login/{interaction}/enrol_totp").step == "totp"
    sqlite_installation.pass_time(minutes=1)
    page = browser.submit(page, code=app.code())
    assert page.step == "enrol_totp"
    [key] = re.findall(r'<code id="key"[^>]*>([A-Z2-7 ]+)</code>', page.page.html)
    second = App(sqlite_installation, key.replace(" ", ""))
    page = browser.submit(page, code=second.code(), name="Tablet")
    assert is_security(page)
    assert page.page.html.count("/factors/otp/") == 2


# BF-12
def test_a_waived_session_sets_up_nothing(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    remember(browser, application, app)
    page = open_page(browser)
    assert browser.signed_in(ALICE, application.request(prompt="login")).code
    assert send(browser, page, SECURITY + "/factors", method="otp").step == "totp"


def test_setting_up_can_be_left_without_a_trace(browser: Browser) -> None:
    page = enter(browser)
    page = send(browser, page, SECURITY + "/factors", method="otp")
    interaction = page.path.split("/")[2]
    before = browser.installation.counts()
    assert is_security(open_page(browser, f"/authorize/resume/{interaction}"))
    after = browser.installation.counts()
    assert after | {"state": 0} == before | {"state": 0}


@pytest.mark.parametrize("method", ["pwd", "email", "made up", "", "enrol_totp"])
def test_what_is_no_kind_of_factor_cannot_be_set_up(browser: Browser, method: str) -> None:
    page = enter(browser)
    assert send(browser, page, SECURITY + "/factors", method=method).status == 404


def test_what_policy_does_not_allow_is_not_set_up(
    sqlite_installation: Installation, browser: Browser
) -> None:
    page = enter(browser)
    sqlite_installation.change_policy("A", factors=["sms"])
    assert 'value="otp"' not in open_page(browser).page.html
    assert is_security(send(browser, page, SECURITY + "/factors", method="otp"))


def give(installation: Installation, kind: str, person: Person = ALICE) -> None:
    """Sets up a factor of this kind."""
    services, now = installation.services, installation.clock.now()
    if kind == "otp":
        set_up(installation, person)
        return
    user = row_of(installation, person)
    if kind == "sms":
        assert phones.add(services, user, "+819012345678", source=somewhere(), now=now)
    else:
        key = NewKey(b"a name", b"a key", 0, "internal", "", is_synced=True)
        passkeys.add(services, user, key, name="My phone", source=somewhere(), now=now)
    user = row_of(installation, person)
    code = recovery_codes.propose(services, user, "a visit")
    assert recovery_codes.keep(services, user, code, source=somewhere(), now=now)


def with_everything_shown(
    installation: Installation, browser: Browser, application: RelyingParty
) -> Outcome:
    """The security page in a session that has seen two kinds of factor."""
    application.code(browser, ALICE)
    installation.sql("UPDATE sessions SET methods = 'pwd recovery'")
    page = open_page(browser)
    assert is_security(page)
    return page


KINDS = ["passkey", "otp", "sms"]


@pytest.mark.parametrize("kind", ["passkey", "otp"])
def test_a_factor_is_renamed(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, kind: str
) -> None:
    application.code(browser, ALICE)
    give(sqlite_installation, kind)
    page = with_everything_shown(sqlite_installation, browser, application)
    [link] = re.findall(rf'href="([^"]+/factors/{kind}/\w+)"', page.page.html)
    page = open_page(browser, link)
    assert page.page.fields["name"] == "My phone"
    for name in ("x" * 65, " ", "a\u202eb"):
        refused = send(browser, page, link, do="rename", name=name)
        assert refused.page.is_alert
    assert "x" * 65 in send(browser, page, link, do="rename", name="x" * 65).page.html
    page = send(browser, page, link, do="rename", name="  Work   phone ")
    assert is_security(page)
    assert "Work phone" in page.page.html
    assert sqlite_installation.events()[-1] == "factor.changed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_of_every_kind_is_listed_and_removed_with_all_that_goes_with_it(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, kind: str
) -> None:
    application.code(browser, ALICE)
    give(sqlite_installation, kind)
    sqlite_installation.sql("UPDATE browsers SET remembered_at = 1")
    before = sqlite_installation.user(ALICE).security_stamp
    mails = len(sqlite_installation.sql("SELECT id FROM outbox"))
    page = with_everything_shown(sqlite_installation, browser, application)
    [link] = re.findall(rf'href="([^"]+/factors/{kind}/\w+)"', page.page.html)
    page = send(browser, open_page(browser, link), link, do="remove")
    assert is_security(page)
    assert f"/factors/{kind}/" not in page.page.html
    assert "We have sent you a mail" in page.page.html
    assert sqlite_installation.events()[-1] == "factor.removed"
    assert sqlite_installation.user(ALICE).security_stamp != before
    assert sqlite_installation.sql("SELECT * FROM browsers WHERE remembered_at > 0") == []
    assert len(sqlite_installation.sql("SELECT id FROM outbox")) == mails + 1
    assert is_security(send(browser, page, link, do="remove")), "gone is gone"


# BF-12, BF-20, SE-17
@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("held", KINDS)
def test_nothing_is_set_up_beside_a_factor_that_was_not_shown(
    install: Any, held: str, new: str
) -> None:
    installation: Installation = install(sms_url="https://gateway.example.test/")
    browser, application = installation.browser(), RelyingParty(installation, C1)
    page = enter(browser)
    give(installation, held)
    before = installation.counts()
    asked = {"passkey": "passkey", "otp": "totp", "sms": "sms"}[held]
    sent = send(browser, page, SECURITY + "/factors", method=new)
    assert sent.step == asked
    interaction = sent.path.split("/")[2]
    for step in ("enrol_passkey", "enrol_totp", "enrol_phone", "save_recovery_code", "enrol"):
        assert open_page(browser, f"/login/{interaction}/{step}").step == asked
        form = {"csrf": sent.page.fields["csrf"], "code": "123456", "phone": "09012345679"}
        assert browser.follow(browser.post(f"/login/{interaction}/{step}", form)).step == asked
    after = installation.counts()
    for table in ("passkeys", "authenticators", "phones", "recovery_codes"):
        assert after[table] == before[table]
    assert application.code(browser, ALICE)


@pytest.mark.parametrize("demand", ["off", "always"])
def test_the_last_app_is_removed_after_a_warning(
    sqlite_installation: Installation, browser: Browser, demand: str
) -> None:
    sqlite_installation.change_policy("A", second_factor=demand)
    app = set_up(sqlite_installation, ALICE)
    page = enter(browser, ALICE, app)
    [link] = re.findall(r'href="([^"]+/factors/otp/\w+)"', page.page.html)
    page = open_page(browser, link)
    told = "you will have to set up another" if demand == "always" else "protected less"
    assert told in page.page.html
    page = send(browser, page, link, do="remove")
    assert is_security(page)
    assert "/factors/otp/" not in page.page.html


def test_the_app_that_somebody_signs_in_with_stays(
    sqlite_installation: Installation, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    sqlite_installation.sql("UPDATE users SET login_method = 'otp'")
    page = browser.submit(open_page(browser), identifier="alice")
    page = browser.submit(page, code=app.code())
    [link] = re.findall(r'href="([^"]+/factors/otp/\w+)"', page.page.html)
    refused = send(browser, page, link, do="remove")
    assert refused.page.is_alert
    assert "cannot be removed" in refused.page.html


# AU: another's factor is as if it were not there.
def test_the_factor_of_somebody_else_cannot_be_seen_or_changed(
    sqlite_installation: Installation, browser: Browser
) -> None:
    set_up(sqlite_installation, BELLA, name="Bella's phone")
    [row] = sqlite_installation.sql("SELECT id FROM authenticators")
    page = enter(browser)
    link = f"{SECURITY}/factors/otp/{row['id']}"
    assert "Bella" not in open_page(browser, link).page.html
    for fields in ({"do": "remove"}, {"do": "rename", "name": "mine"}):
        assert is_security(send(browser, page, link, **fields))
    [row] = sqlite_installation.sql("SELECT name FROM authenticators")
    assert row["name"] == "Bella's phone"


@pytest.mark.parametrize("path", ["pwd/" + "0" * 32, "otp/..", "otp/%00", "otp/\u0661"])
def test_there_are_no_other_factors(browser: Browser, path: str) -> None:
    enter(browser)
    assert browser.get(f"{SECURITY}/factors/{path}").status_code == 404


def test_a_new_recovery_code_replaces_the_old_one_once_it_is_saved(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = enter(browser, ALICE, app)
    [old] = sqlite_installation.sql("SELECT code_hash FROM recovery_codes")
    page = send(browser, page, SECURITY + "/factors", method="recovery")
    assert page.step == "save_recovery_code"
    assert sqlite_installation.sql("SELECT code_hash FROM recovery_codes") == [old]
    assert application.code(browser, ALICE), "not saved: nothing is due for it"
    page = browser.submit(page, saved="yes")
    assert is_security(page)
    assert sqlite_installation.sql("SELECT code_hash FROM recovery_codes") != [old]
    assert sqlite_installation.events()[-1] == "recovery_code.made"


def test_the_home_page_leads_to_the_account_of_who_is_signed_in(
    browser: Browser, application: RelyingParty
) -> None:
    assert SECURITY not in browser.get("/").text
    application.code(browser, ALICE)
    assert f'href="{SECURITY}"' in browser.get("/").text


def test_the_account_is_no_place_for_consent(browser: Browser) -> None:
    other = RelyingParty(browser.installation, C3)
    page = browser.signed_in(ALICE, other.request())
    assert page.step == "consent"
    assert is_security(open_page(browser))
