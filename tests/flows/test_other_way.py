"""The choice of another way: what is offered, and that nothing is skipped by it."""

import re

import pytest

from tests.support.apps import set_up
from tests.support.kit import ALICE, C1, C3, PASSWORD, Browser, Installation, Outcome, RelyingParty


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def beside(page: Outcome, step: str = "other_way") -> str:
    return page.path.rpartition("/")[0] + "/" + step


def offered(page: Outcome) -> list[str]:
    return re.findall(r'name="method" value="(\w+)"', page.page.html)


def test_another_first_factor_can_be_chosen_and_given_up_again(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    choice = browser.follow(browser.get(page.page.links["other-way"]))
    assert (choice.step, offered(choice)) == ("other_way", ["pwd", "passkey"])
    assert browser.follow(browser.get(choice.page.links["back"])).step == "password"
    passkey = browser.submit(choice, method="passkey")
    assert passkey.step == "passkey"
    choice = browser.follow(browser.get(passkey.page.links["other-way"]))
    page = browser.submit(choice, method="pwd")
    assert page.step == "password"
    assert browser.submit(page, password=PASSWORD).code


def test_after_the_first_factor_the_second_ones_are_offered(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    app = set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    choice = browser.follow(browser.get(page.page.links["other-way"]))
    assert offered(choice) == ["otp", "recovery"]
    assert "Lost your device?" in choice.page.html
    lost = browser.submit(choice, method="recovery")
    assert lost.step == "recovery_code"
    page = browser.follow(browser.post(beside(lost), {**choice.page.fields, "method": "otp"}))
    assert page.step == "totp"
    assert browser.submit(page, code=app.code()).code


# AZ-12
@pytest.mark.parametrize("method", ["", "recovery", "sms", "email", "otp", "done", "\u202e", "PWD"])
def test_what_is_not_offered_is_not_taken(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    method: str,
) -> None:
    set_up(sqlite_installation, ALICE)
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    again = browser.follow(browser.post(beside(page), {**page.page.fields, "method": method}))
    assert (again.step, offered(again)) == ("other_way", ["pwd", "passkey"])
    assert browser.follow(browser.get(beside(page, ""))).step in ("password", "")


# AZ-12
@pytest.mark.parametrize("method", ["pwd", "passkey", "email"])
def test_a_first_factor_is_no_second_one(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    method: str,
) -> None:
    set_up(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    again = browser.follow(browser.post(beside(page), {**page.page.fields, "method": method}))
    assert (again.step, offered(again)) == ("other_way", ["otp", "recovery"])


def test_where_there_is_nothing_to_prove_there_is_no_choice(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.authorize(application.request())
    assert browser.follow(browser.get(beside(page))).step == "identify"
    consent = browser.signed_in(ALICE, RelyingParty(browser.installation, C3).request())
    assert consent.step == "consent"
    assert browser.follow(browser.get(beside(consent))).step == "consent"


def test_the_kinds_to_set_up_can_be_chosen_on_the_way(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="always")
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol"
    page = browser.submit(page, method="otp")
    choice = browser.follow(browser.get(beside(page)))
    assert offered(choice) == ["passkey", "otp", "sms"]
    assert browser.submit(choice, method="passkey").step == "enrol_passkey"


# EN-01, EN-04
def test_the_choice_does_not_tell_who_exists(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    set_up(sqlite_installation, ALICE)
    pages = []
    for identifier in ("alice@a.example", "nobod@a.example"):
        browser = sqlite_installation.browser()
        page = browser.submit(browser.authorize(application.request()), identifier=identifier)
        choice = browser.follow(browser.get(beside(page)))
        text = choice.page.html.replace(identifier, "•").replace(page.path.split("/")[2], "•")
        text = text.replace(choice.page.fields["csrf"], "•")
        pages.append((choice.status, re.sub(r'nonce="[^"]+"', "", text)))
    assert pages[0] == pages[1]


def test_who_will_not_set_anything_up_goes_back_to_the_application(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["passkey"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol_passkey"
    assert "Cancel and return to Application c1" in page.page.html
    fields = {"csrf": page.page.fields["csrf"], "leave": "yes"}
    left = browser.follow(browser.post(beside(page), fields))
    assert left.error == "access_denied"
    assert not sqlite_installation.sql("SELECT id FROM sessions")
