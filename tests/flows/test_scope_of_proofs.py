"""What was proven counts for whom it proves, in the sign-in it was proven in, and no longer."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from idp import assurance, sessions
from idp.accounts import attempts, claimants, new_passwords, recovery_codes, totp
from idp.accounts.users import User
from idp.policy import Method
from idp.sessions import SessionRow
from tests.support.apps import App, row_of, set_up, somewhere
from tests.support.kit import ALICE, C1, PASSWORD, Browser, Installation, Outcome, RelyingParty


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def end_sessions(installation: Installation) -> None:
    with installation.database() as session:
        user_id = installation.sub(ALICE)
        sessions.end_others(session, user_id, but=None, now=installation.clock.now())


def again(browser: Browser, page: Outcome) -> Outcome:
    """The visit of this page, opened anew."""
    return browser.follow(browser.get(page.path.rpartition("/")[0]))


def typed_app(installation: Installation, page: Outcome) -> App:
    [key] = re.findall(r'<code id="key"[^>]*>([A-Z2-7 ]+)</code>', page.page.html)
    return App(installation, key.replace(" ", ""))


# AZ-07, AZ-12
def test_a_factor_shown_beside_a_session_is_no_sign_in_when_the_session_grows_old(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    assert browser.submit(page, code=app.code(), remember="yes").code
    end_sessions(sqlite_installation)
    assert browser.signed_in(ALICE, application.request()).code  # waived: the password alone
    sqlite_installation.pass_time(minutes=9)
    demand = application.request(max_age="600", prompt="consent", acr_values=assurance.MULTIPLE)
    page = browser.authorize(demand)
    assert page.step == "totp"
    page = browser.submit(page, code=app.code())
    assert page.step == "consent"
    sqlite_installation.pass_time(minutes=2)
    page = again(browser, page)
    assert page.step in ("identify", "password")
    if page.step == "identify":
        page = browser.submit(page, identifier="whoever@a.example")
    assert page.step == "password"


# SE-12
def test_nor_when_the_session_was_ended(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    assert browser.submit(page, code=app.code()).code
    with sqlite_installation.database() as session:
        session.execute(update(SessionRow).values(methods=Method.PASSWORD.value))
    sqlite_installation.pass_time(seconds=60)
    demand = application.request(prompt="consent", acr_values=assurance.MULTIPLE)
    page = browser.submit(browser.authorize(demand), code=app.code())
    assert page.step == "consent"
    end_sessions(sqlite_installation)
    page = again(browser, page)
    if page.step == "identify":
        page = browser.submit(page, identifier=ALICE.email)
    assert page.step == "password"
    assert not sqlite_installation.sql("SELECT id FROM sessions WHERE ended_at IS NULL")


# AZ-14, LK-12
def test_a_half_finished_sign_in_does_not_survive_a_change_of_the_password(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol_totp"
    changed = new_passwords.set_password(
        sqlite_installation.services,
        row_of(sqlite_installation, ALICE),
        "a brand new Passw0rd",
        actor="test",
        now=sqlite_installation.clock.now(),
        source=somewhere(),
    )
    assert changed
    sent = browser.submit(page, code=typed_app(sqlite_installation, page).code())
    assert sent.step == "password"
    assert browser.submit(sent, password=PASSWORD).step == "password"
    assert not sqlite_installation.sql("SELECT id FROM authenticators")


# AZ-14
def test_who_is_switched_off_on_the_way_gets_neither_factor_nor_session(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["otp"])
    page = browser.signed_in(ALICE, application.request())
    sqlite_installation.switch(ALICE, on=False)
    sent = browser.submit(page, code=typed_app(sqlite_installation, page).code())
    assert sent.error == "access_denied"
    assert not sqlite_installation.sql("SELECT id FROM authenticators")
    assert not sqlite_installation.sql("SELECT id FROM sessions")
    user, now = row_of(sqlite_installation, ALICE), sqlite_installation.clock.now()
    proposal = totp.propose(sqlite_installation.services, user, "a visit")
    code = App(sqlite_installation, proposal.secret).code()
    source = somewhere()
    assert not totp.add(
        sqlite_installation.services, user, proposal, code, name="App", source=source, now=now
    )


# BF-12, BF-22
@pytest.mark.parametrize("demand", ["off", "new_browser", "always"])
def test_a_factor_that_policy_accepts_no_longer_guards_the_account_all_the_same(
    sqlite_installation: Installation,
    application: RelyingParty,
    browser: Browser,
    demand: str,
) -> None:
    set_up(sqlite_installation, ALICE)
    sqlite_installation.change_policy("A", second_factor=demand, factors=["passkey", "sms"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "totp"
    visit = page.path.rpartition("/")[0]
    for step in ("enrol", "enrol_passkey", "enrol_phone", "save_recovery_code"):
        assert browser.follow(browser.get(f"{visit}/{step}")).step == "totp"
    assert browser.follow(browser.get("/account/security")).step != "security"


# SE-04, SE-14
def test_a_change_of_factors_ends_what_was_waived(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    sqlite_installation.change_policy("A", second_factor="new_browser")
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    assert browser.submit(page, code=app.code(), remember="yes").code
    end_sessions(sqlite_installation)
    assert browser.signed_in(ALICE, application.request()).code
    services, now = sqlite_installation.services, sqlite_installation.clock.now()
    claimant = claimants.named(services, sqlite_installation.sub(ALICE))
    assert claimant is not None
    assert recovery_codes.use(services, claimant, app.recovery_code, somewhere(), now=now)
    sqlite_installation.sql("UPDATE users SET required_actions = ''")
    silent = browser.authorize(application.request(prompt="none"))
    assert silent.error == "interaction_required"


def fail(installation: Installation, method: Method, days: int) -> None:
    """As many wrong codes as are evaluated, day after day, each from somewhere else."""
    place = 0
    for _ in range(days):
        for _ in range(4):
            installation.pass_time(minutes=61)
            for _ in range(5):
                place += 1
                met = claimants.named(installation.services, installation.sub(ALICE))
                assert met is not None
                now = installation.clock.now()
                attempts.check(
                    installation.services, met, method, somewhere(place), lambda: False, now=now
                )
        installation.pass_time(days=1)


def is_accepted(installation: Installation, method: Method) -> bool:
    met = claimants.named(installation.services, installation.sub(ALICE))
    assert met is not None
    now = installation.clock.now()
    return attempts.check(installation.services, met, method, somewhere(399), lambda: True, now=now)


# EN-08
def test_strangers_cannot_end_signing_in_by_mail_for_good(
    sqlite_installation: Installation,
) -> None:
    fail(sqlite_installation, Method.EMAIL_CODE, days=6)
    assert is_accepted(sqlite_installation, Method.EMAIL_CODE)


# BF-18
def test_a_hundred_failures_end_an_app_until_another_is_set_up(
    sqlite_installation: Installation,
) -> None:
    set_up(sqlite_installation, ALICE)
    fail(sqlite_installation, Method.TOTP, days=6)
    assert not is_accepted(sqlite_installation, Method.TOTP)
    set_up(sqlite_installation, ALICE, "a new phone")
    assert is_accepted(sqlite_installation, Method.TOTP)


def test_a_right_code_does_not_sign_in_somebody_who_was_switched_off(
    sqlite_installation: Installation,
) -> None:
    with sqlite_installation.database() as session:
        session.execute(
            update(User)
            .where(User.email == ALICE.email)
            .values(disabled_at=sqlite_installation.clock.now())
        )
    assert not is_accepted(sqlite_installation, Method.TOTP)
