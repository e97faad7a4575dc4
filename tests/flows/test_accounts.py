"""The accounts of a browser: offered on the first page, chosen, taken off the list."""

import gzip
import re

import pytest

from idp.accounts import organizations, users
from tests.support.kit import (
    ADAM,
    ALICE,
    BELLA,
    C1,
    OLGA,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)

DEVICE = "__Host-sekisho-device"


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def offered(page: Outcome) -> dict[str, str]:
    """Names of the accounts on a page, and what their buttons send."""
    pairs = re.findall(
        r'name="account" value="(\w{32})"[^>]*>.*?<b>([^<]+)</b>', page.page.html, re.S
    )
    return {name: sent for sent, name in pairs}


def sign_out(browser: Browser) -> None:
    page = browser.follow(browser.get("/logout"))
    browser.submit(page)


def after_signing_in(browser: Browser, application: RelyingParty, *people: Person) -> None:
    """A browser on which these signed in, and nobody is signed in any more."""
    for person in people:
        application.code(browser, person)
        sign_out(browser)


def test_the_first_page_offers_who_signed_in_here_before_the_last_one_first(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    for person in (ALICE, BELLA):
        after_signing_in(browser, application, person)
        sqlite_installation.pass_time(minutes=1)
    page = browser.authorize(application.request())
    assert page.step == "identify"
    assert list(offered(page)) == [BELLA.name, ALICE.name]
    for text in (ALICE.email, "Organisation A", BELLA.email, "Organisation B"):
        assert text in page.page.html
    assert "Signed in" not in page.page.html


def test_picking_an_account_leads_to_its_first_factor_and_through(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, ALICE, BELLA)
    page = browser.authorize(application.request())
    page = browser.submit(page, account=offered(page)[ALICE.name])
    assert page.step == "password"
    assert ALICE.email in page.page.html
    claims = application.redeem(browser.submit(page, password=PASSWORD).code).get_json()
    assert application.verify(claims["id_token"])["sub"] == application.installation.sub(ALICE)


def test_scripts_that_fill_in_the_identifier_go_on_working(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, ALICE)
    page = browser.authorize(application.request())
    assert page.page.html.count('id="continue"') == 1
    assert '<input id="identifier" name="identifier"' in page.page.html
    # An Enter in the field belongs to its own form, whose first button is the main one.
    form = page.page.html.split('<input id="identifier"')[0].rpartition("<form")[2]
    assert "<button" not in form
    assert browser.submit(page, identifier="bella").step == "password"


def test_only_those_who_signed_in_fully_are_offered(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    browser.submit(page, password="wrong")
    assert offered(browser.authorize(application.request())) == {}


def test_what_the_application_says_is_filled_in_instead(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, ALICE)
    page = browser.authorize(application.request(login_hint="bella"))
    assert (page.step, page.page.fields["identifier"]) == ("identify", "bella")
    assert offered(page) == {}


def test_a_signed_out_account_is_offered_where_a_choice_is_asked_for(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, BELLA)
    page = browser.authorize(application.request(prompt="select_account"))
    assert page.step == "account"
    assert list(offered(page)) == [BELLA.name]
    page = browser.submit(page, account=offered(page)[BELLA.name])
    assert page.step == "password"
    assert browser.submit(page, password=PASSWORD).code


def test_signed_in_and_signed_out_accounts_stand_in_one_list(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, BELLA)
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    assert list(offered(page)) == [ALICE.name, BELLA.name]
    assert page.page.html.count('class="state"') == 1
    assert browser.submit(page, account=offered(page)[ALICE.name]).code
    page = browser.authorize(application.request(prompt="select_account"))
    page = browser.submit(page, account="other")
    assert page.step == "identify"
    assert offered(page) == {}, "who says 'another' is not asked the same again"


def test_an_account_is_taken_off_the_list_of_this_browser_alone(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    elsewhere = sqlite_installation.browser()
    for each in (browser, elsewhere):
        after_signing_in(each, application, ALICE, BELLA)
    page = browser.authorize(application.request())
    again = browser.submit(page, remove=offered(page)[ALICE.name])
    assert (again.step, list(offered(again))) == ("identify", [BELLA.name])
    assert ALICE.email not in again.page.html
    assert ALICE.name in offered(elsewhere.authorize(application.request()))
    assert browser.sign_in(again, ALICE).code


def test_an_account_is_removed_where_a_choice_is_asked_for(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, BELLA)
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    page = browser.submit(page, remove=offered(page)[BELLA.name])
    assert (page.step, list(offered(page))) == ("account", [ALICE.name])
    # Who is signed in is signed out by it.
    page = browser.submit(page, remove=offered(page)[ALICE.name])
    assert (page.step, offered(page)) == ("identify", {})
    assert application.installation.events()[-1] == "session.ended"
    assert browser.authorize(application.request(prompt="none")).error == "login_required"


def test_the_account_that_a_visit_was_about_is_forgotten_with_its_entry(
    browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, ALICE)
    page = browser.authorize(application.request())
    page = browser.submit(page, account=offered(page)[ALICE.name])
    [link] = re.findall(r'href="(/login/[^"]+/identify)"', page.page.html)
    page = browser.follow(browser.get(link))
    assert page.page.fields["identifier"] == ALICE.email
    page = browser.submit(page, remove=offered(page)[ALICE.name])
    assert (page.step, page.page.fields["identifier"]) == ("identify", "")


# EN-01, AZ-11
@pytest.mark.parametrize("field", ["account", "remove"])
@pytest.mark.parametrize("kind", ["browser", "session", "user", "made up", "strange"])
def test_an_entry_of_another_browser_is_nothing_here(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    field: str,
    kind: str,
) -> None:
    elsewhere = sqlite_installation.browser()
    application.code(elsewhere, ADAM)
    after_signing_in(browser, application, ALICE)
    adam = sqlite_installation.sub(ADAM)
    [row] = sqlite_installation.sql("SELECT id FROM browsers WHERE user_id = :u", u=adam)
    [session] = sqlite_installation.sql("SELECT id FROM sessions WHERE user_id = :u", u=adam)
    forged = {
        "browser": row["id"],
        "session": session["id"],
        "user": adam,
        "made up": "0" * 32,
        "strange": "\u202e\0'; --",
    }[kind]
    before = sqlite_installation.counts()
    for prompt in ({}, {"prompt": "select_account"}):
        page = browser.authorize(application.request(**prompt))
        again = browser.submit(page, **{field: forged})
        assert again.step == page.step
        assert list(offered(again)) == [ALICE.name]
        assert ADAM.email not in again.page.html
    after = sqlite_installation.counts()
    assert (after["browsers"], after["sessions"]) == (before["browsers"], before["sessions"])
    assert application.claims(elsewhere, ADAM)["sub"] == adam


# SE-14
def test_a_copied_list_is_of_no_use_without_its_cookie(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    after_signing_in(browser, application, ALICE)
    assert offered(browser.authorize(application.request()))
    browser.client.delete_cookie(DEVICE, domain="id.example.test")
    assert offered(browser.authorize(application.request())) == {}


@pytest.mark.parametrize("table", ["users", "organizations"])
def test_who_was_switched_off_is_offered_no_more(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, table: str
) -> None:
    after_signing_in(browser, application, ALICE)
    sqlite_installation.sql(f"UPDATE {table} SET disabled_at = 1")  # noqa: S608
    assert offered(browser.authorize(application.request())) == {}


def test_ten_accounts_with_long_names_fit_on_a_light_page(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    people = []
    with sqlite_installation.database() as session:
        organization = organizations.find(session, "Organisation A")
        now = sqlite_installation.clock.now()
        hashed = sqlite_installation.services.passwords.hash(PASSWORD)
        for number in range(12):
            email = f"{'long.' * 11}name{number}@{'very-' * 10}long.example"
            users.add(
                session,
                email,
                organization=organization,
                name=f"{'株式会社さくら国際総合物流' * 4} {number}",
                now=now,
                password_hash=hashed,
            )
            people.append(Person(email, email, email))
    for person in people:
        after_signing_in(browser, application, person)
        sqlite_installation.pass_time(minutes=1)
    page = browser.authorize(application.request())
    assert len(offered(page)) == 10
    assert len(gzip.compress(page.response.data)) <= 6_000
    assert browser.submit(page, account=list(offered(page).values())[9]).step == "password"


# AZ-07: per session, not per account.
def test_freshness_is_asked_of_each_session_by_itself(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    sqlite_installation.pass_time(minutes=5)
    page = browser.authorize(application.request(prompt="select_account"))
    assert browser.sign_in(browser.submit(page, account="other"), BELLA).code
    fresh = {"prompt": "select_account", "max_age": "120"}
    page = browser.authorize(application.request(**fresh))
    assert browser.submit(page, account=offered(page)[BELLA.name]).code

    def auth_times() -> list[tuple[str, int]]:
        rows = sqlite_installation.sql("SELECT user_id, auth_time FROM sessions")
        return [(row["user_id"], row["auth_time"]) for row in rows]

    bella = dict(auth_times())[sqlite_installation.sub(BELLA)]
    sqlite_installation.pass_time(minutes=1)
    page = browser.authorize(application.request(**fresh))
    stale = browser.submit(page, account=offered(page)[ALICE.name])
    assert stale.step == "password"
    assert ALICE.email in stale.page.html
    answer = browser.submit(stale, password=PASSWORD)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["sub"] == sqlite_installation.sub(ALICE)
    times = dict(auth_times())
    assert times[sqlite_installation.sub(BELLA)] == bella
    assert times[sqlite_installation.sub(ALICE)] > bella


# AZ-13
def test_two_tabs_choose_different_accounts(browser: Browser, application: RelyingParty) -> None:
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    assert browser.sign_in(browser.submit(page, account="other"), BELLA).code
    tabs = [browser.authorize(application.request(prompt="select_account")) for _ in range(2)]
    for tab, person in zip(tabs, (ALICE, BELLA), strict=True):
        answer = browser.submit(tab, account=offered(tab)[person.name])
        claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
        assert claims["sub"] == application.installation.sub(person)


def test_the_list_works_with_both_databases(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    after_signing_in(browser, application, ALICE, OLGA)
    page = browser.authorize(application.request())
    page = browser.submit(page, remove=offered(page)[OLGA.name])
    assert browser.submit(page, account=offered(page)[ALICE.name]).step == "password"
