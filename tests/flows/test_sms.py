"""Text messages at the sign-in pages: a second factor, set up, capped, never gone around."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from idp import assurance
from idp.accounts.phones import PER_NUMBER
from idp.worker import Worker
from tests.conftest import Install
from tests.support.apps import set_up
from tests.support.kit import ALICE, BELLA, C1, Browser, Installation, Outcome, RelyingParty
from tests.support.site import Reply, site
from tests.support.texts import NUMBER, give_phone, texts

OTHER = "+818087654321"


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    sqlite_installation.change_policy("A", factors=["sms"])
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def claims_of(application: RelyingParty, answer: Outcome) -> dict[str, object]:
    response = application.redeem(answer.code)
    return application.verify(response.get_json()["id_token"])


def newest(browser: Browser) -> str:
    return texts(browser.installation)[-1].code


def to_code(application: RelyingParty, browser: Browser) -> Outcome:
    """Somebody with a phone, to the page that asks for the code."""
    give_phone(application.installation, ALICE)
    application.installation.sql("UPDATE users SET required_actions = ''")
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "sms"
    return page


def to_enrolment(application: RelyingParty, browser: Browser) -> Outcome:
    """Somebody without a factor, where policy demands one."""
    application.installation.change_policy("A", second_factor="always", factors=["sms"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol_phone"
    return page


def save_recovery_code(browser: Browser, page: Outcome) -> Outcome:
    assert page.step == "save_recovery_code"
    return browser.submit(page, saved="yes")


# The code ----------------------------------------------------------------------------------------


def test_a_code_by_text_message_is_a_second_factor(installation: Installation) -> None:
    installation.change_policy("A", factors=["sms"])
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = to_code(application, browser)
    assert "•••5678" in page.page.html
    assert NUMBER not in page.page.html
    assert "12345678" not in page.page.html
    claims = claims_of(application, browser.submit(page, code=newest(browser)))
    assert claims["amr"] == ["pwd", "sms", "mfa"]
    assert claims["acr"] == assurance.MULTIPLE
    [row] = installation.sql("SELECT last_used_at FROM phones")
    assert row["last_used_at"] is not None


def test_a_code_may_be_typed_as_people_type(browser: Browser, application: RelyingParty) -> None:
    page = to_code(application, browser)
    code = newest(browser)
    wide = "".join(chr(ord(c) + 0xFEE0) for c in code.lower())
    assert browser.submit(page, code=f" {wide[:3]}ー{wide[3:]} ").code


def test_looking_again_sends_nothing_more_and_the_button_does(
    browser: Browser, application: RelyingParty
) -> None:
    page = to_code(application, browser)
    for _ in range(3):
        assert browser.follow(browser.get(page.path)).step == "sms"
    assert len(texts(browser.installation)) == 1
    page = browser.submit(page, resend="1")
    assert len(texts(browser.installation)) == 1
    assert "Send a new code (in 30 s)" in page.page.html
    browser.installation.pass_time(seconds=30)
    page = browser.submit(page, resend="1")
    old, new = texts(browser.installation)
    assert browser.submit(page, code=old.code).page.is_alert
    assert browser.submit(page, code=new.code).code


def test_what_is_no_code_is_no_attempt(browser: Browser, application: RelyingParty) -> None:
    page = to_code(application, browser)
    for typed in ("", "12345", "1234567", "x" * 500):
        page = browser.submit(page, code=typed)
        assert page.page.is_alert
        assert "6 characters" in page.page.html
    assert browser.submit(page, code=newest(browser)).code


# BF-06, BF-07
def test_guesses_add_up_over_visits_and_resends(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    give_phone(sqlite_installation, ALICE)
    sqlite_installation.sql("UPDATE users SET required_actions = ''")
    guesses = 0
    for visit in range(4):
        browser = sqlite_installation.browser(f"198.51.{100 + visit}.1")
        page = browser.signed_in(ALICE, application.request())
        for _ in range(3):
            page = browser.submit(page, code="AAAAAA")
            guesses += 1
        right = newest(browser)
        sqlite_installation.pass_time(seconds=31)
    assert guesses == 12
    # Ten were compared in this hour: now even the right one is not.
    assert browser.submit(page, code=right).page.is_alert
    sqlite_installation.pass_time(hours=1)
    browser = sqlite_installation.browser("198.51.110.1")
    page = browser.signed_in(ALICE, application.request())
    assert browser.submit(page, code=newest(browser)).code


# BF-08
def test_a_code_is_redeemed_once_however_many_send_it(installation: Installation) -> None:
    installation.change_policy("A", factors=["sms"])
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = to_code(application, browser)
    sent = {**page.page.fields, "code": newest(browser)}
    start = threading.Barrier(6)

    def one(_: int) -> int:
        twin = installation.browser()
        twin.client._cookies = dict(browser.client._cookies or {})
        start.wait()
        return twin.post(page.path, sent).status_code

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(one, range(6)))
    assert len(installation.sql("SELECT id FROM sessions")) == 1
    assert installation.events().count("login.succeeded") == 1


# BF-08
def test_a_code_of_one_visit_is_none_in_another(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    first = sqlite_installation.browser()
    to_code(application, first)
    stolen = newest(first)
    second = sqlite_installation.browser("198.51.100.9")
    page = second.signed_in(ALICE, application.request())
    assert second.submit(page, code=stolen).page.is_alert


# BF-09
def test_a_code_lives_ten_minutes(browser: Browser, application: RelyingParty) -> None:
    page = to_code(application, browser)
    browser.installation.pass_time(minutes=9, seconds=59)
    page = browser.follow(browser.get(page.path))
    browser.installation.pass_time(seconds=2)
    assert browser.submit(page, code=newest(browser)).page.is_alert


# BF-13
@pytest.mark.parametrize("name", ["phone", "number", "to", "phone_number", "phone[]"])
def test_no_form_says_where_a_code_goes(
    browser: Browser, application: RelyingParty, name: str
) -> None:
    page = to_code(application, browser)
    browser.installation.pass_time(minutes=1)
    page = browser.submit(page, resend="1", **{name: OTHER})
    browser.submit(page, code="AAAAAA", **{name: OTHER})
    assert {message.to for message in texts(browser.installation)} == {NUMBER}
    assert len(texts(browser.installation)) == 2
    assert browser.installation.sql("SELECT number FROM phones") == [{"number": NUMBER}]


# BF-14
def test_a_cap_names_the_other_ways_and_opens_nothing(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    sqlite_installation.change_policy("A", factors=["sms", "otp"])
    app = set_up(sqlite_installation, ALICE)
    give_phone(sqlite_installation, ALICE)
    sqlite_installation.change_policy("A", factors=["sms"])
    for number in range(PER_NUMBER[0].count):
        browser = sqlite_installation.browser(f"198.51.{number}.1")
        assert browser.signed_in(ALICE, application.request()).step == "sms"
    sent = len(texts(sqlite_installation))
    browser = sqlite_installation.browser("198.51.200.1")
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "sms"
    assert page.page.is_alert
    assert "Text messages cannot be sent right now" in page.page.html
    assert "code" not in page.page.fields
    assert "lost-device" in page.page.html
    for fields in ({}, {"resend": "1"}, {"code": ""}, {"code": "AAAAAA"}):
        assert browser.submit(page, **fields).step == "sms"
    interaction = urlsplit(page.path).path.split("/")[2]
    assert browser.follow(browser.get(f"/authorize/resume/{interaction}")).step == "sms"
    assert browser.authorize(application.request(prompt="none")).error == "login_required"
    assert len(texts(sqlite_installation)) == sent == PER_NUMBER[0].count
    assert app.recovery_code


def test_a_code_that_came_before_the_cap_still_works(
    browser: Browser, application: RelyingParty
) -> None:
    page = to_code(application, browser)
    code = newest(browser)
    browser.installation.sql("UPDATE failures SET failures = 1000 WHERE bucket LIKE 'sms:%'")
    browser.installation.pass_time(minutes=1)
    page = browser.submit(page, resend="1")
    assert "still works" in page.page.html
    assert browser.submit(page, code=code).code


def test_a_gateway_that_refuses_is_tried_again_and_the_code_still_works(install: Install) -> None:
    with site() as gateway:
        installation = install(
            sms_url=gateway.url("/send"), outbound_networks=("127.0.0.0/8", "::1/128")
        )
        installation.change_policy("A", factors=["sms"])
        application, browser = RelyingParty(installation, C1), installation.browser()
        gateway.answers["/send"] = Reply(status=500)
        page = to_code(application, browser)
        worker = Worker(installation.services)
        worker.run_once()
        gateway.answers["/send"] = Reply(status=200)
        installation.pass_time(seconds=10)
        worker.run_once()
        body = gateway.at("/send")[-1].body.decode()
        [code] = re.findall(r"code is ([0-9A-Z]{6})", body)
        assert NUMBER in body
        assert browser.submit(page, code=code).code


# Setting one up ----------------------------------------------------------------------------------


def test_a_first_sign_in_sets_up_a_phone_saves_the_recovery_code_and_goes_on(
    installation: Installation,
) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = to_enrolment(application, browser)
    page = browser.submit(page, phone="０９０ー１２３４ー５６７８")
    assert page.step == "enrol_phone"
    assert "•••5678" in page.page.html
    [message] = texts(installation)
    assert message.to == NUMBER
    assert installation.sql("SELECT number FROM phones") == []
    page = browser.submit(page, code="AAAAAA")
    assert page.page.is_alert
    page = browser.submit(page, code=message.code)
    assert installation.sql("SELECT number FROM phones") == [{"number": NUMBER}]
    claims = claims_of(application, save_recovery_code(browser, page))
    assert claims["amr"] == ["pwd", "sms", "mfa"]
    assert claims["acr"] == assurance.MULTIPLE
    assert "factor.added" in installation.events()


def test_the_number_lies_sealed_in_the_interaction(
    browser: Browser, application: RelyingParty
) -> None:
    browser.submit(to_enrolment(application, browser), phone=NUMBER)
    for entry in browser.installation.state_entries():
        assert b"9012345678" not in entry


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "not a mobile phone number"),
        ("03-1234-5678", "not a mobile phone number"),
        ('"><script>alert(1)</script>', "not a mobile phone number"),
        ("+1 201 555 0123", "cannot send text messages to that country"),
        ("+44 909 879 0123", "cannot send text messages to that country"),
    ],
)
def test_a_number_that_cannot_be_is_refused_and_shown_again(
    browser: Browser, application: RelyingParty, typed: str, told: str
) -> None:
    page = browser.submit(to_enrolment(application, browser), phone=typed, country="US")
    assert page.page.is_alert
    assert told in page.page.html
    assert page.page.fields["phone"] == typed[:40]
    assert "<script>alert" not in page.page.html
    assert texts(browser.installation) == []


def test_another_number_can_be_given_and_codes_of_the_first_prove_nothing(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(to_enrolment(application, browser), phone=NUMBER)
    first = newest(browser)
    page = browser.submit(page, change="yes")
    assert page.page.fields["phone"] == ""
    page = browser.submit(page, phone=OTHER)
    assert "Please wait 30 seconds" in page.page.html
    # BF-13: the code of the one number with the other in another tab.
    browser.installation.pass_time(seconds=30)
    page = browser.submit(page, phone=OTHER)
    assert "•••4321" in page.page.html
    assert browser.submit(page, code=first).page.is_alert
    assert [message.to for message in texts(browser.installation)] == [NUMBER, OTHER]
    browser.submit(page, code=newest(browser))
    assert browser.installation.sql("SELECT number FROM phones") == [{"number": OTHER}]


def test_the_same_number_again_goes_on_with_the_code_that_is_there(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(to_enrolment(application, browser), phone=NUMBER)
    page = browser.submit(browser.submit(page, change="yes"), phone="090 1234 5678")
    assert len(texts(browser.installation)) == 1
    assert browser.submit(page, code=newest(browser)).step == "save_recovery_code"


# BF-13
def test_a_form_cannot_name_a_number_beside_the_code(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(to_enrolment(application, browser), phone=NUMBER)
    code = newest(browser)
    for name in ("number", "to", "phone[]"):
        browser.submit(page, code="AAAAAA", **{name: OTHER})
    browser.submit(page, code=code, phone=OTHER)
    assert browser.installation.sql("SELECT number FROM phones") == []
    assert {message.to for message in texts(browser.installation)} == {NUMBER}


# BF-12
@pytest.mark.parametrize("factor", ["sms", "otp"])
def test_who_has_a_factor_cannot_set_up_a_phone_without_showing_it(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, factor: str
) -> None:
    sqlite_installation.change_policy("A", second_factor="always", factors=["sms", "otp"])
    if factor == "otp":
        set_up(sqlite_installation, ALICE)
    else:
        give_phone(sqlite_installation, ALICE)
    page = browser.signed_in(ALICE, application.request())
    step = "totp" if factor == "otp" else "sms"
    assert page.step == step
    sent = len(texts(sqlite_installation))
    interaction = urlsplit(page.path).path.split("/")[2]
    enrolment = f"/login/{interaction}/enrol_phone"
    assert browser.follow(browser.get(enrolment)).step == step
    for fields in ({"phone": OTHER}, {"code": "AAAAAA"}, {"choose": "yes"}, {"resend": "1"}):
        sent_form = page.page.fields | fields
        assert browser.follow(browser.post(enrolment, sent_form)).step == step
    assert {message.to for message in texts(sqlite_installation)} <= {NUMBER}
    assert len(texts(sqlite_installation)) == sent
    assert sqlite_installation.sql("SELECT number FROM phones WHERE number = :n", n=OTHER) == []


# AZ-12
def test_nobody_sets_up_a_phone_before_the_password(
    browser: Browser, application: RelyingParty
) -> None:
    application.installation.change_policy("A", second_factor="always", factors=["sms"])
    page = browser.submit(browser.authorize(application.request()), identifier=ALICE.email)
    interaction = urlsplit(page.path).path.split("/")[2]
    for step in ("enrol_phone", "sms"):
        path = f"/login/{interaction}/{step}"
        assert browser.follow(browser.get(path)).step == "password"
        form = page.page.fields | {"phone": OTHER}
        assert browser.follow(browser.post(path, form)).step == "password"
    assert texts(browser.installation) == []


def test_enrolment_can_be_interrupted_and_resumed(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(to_enrolment(application, browser), phone=NUMBER)
    again = browser.follow(browser.get(page.path))
    assert "•••5678" in again.page.html
    later = browser.installation.browser()
    assert later.signed_in(ALICE, application.request()).step == "enrol_phone"
    assert browser.submit(again, code=newest(browser)).step == "save_recovery_code"


# BF-14
def test_a_cap_at_enrolment_says_so_and_sets_up_nothing(
    browser: Browser, application: RelyingParty
) -> None:
    page = to_enrolment(application, browser)
    application.installation.sql("DELETE FROM failures")
    for number in range(PER_NUMBER[0].count):
        browser.installation.pass_time(seconds=31)
        page = browser.submit(page, phone=NUMBER)
        page = browser.submit(page, change="yes")
        assert len(texts(browser.installation)) == number + 1
    browser.installation.pass_time(seconds=31)
    page = browser.submit(page, phone=NUMBER)
    assert "Text messages cannot be sent right now" in page.page.html
    assert page.step == "enrol_phone"
    assert browser.installation.sql("SELECT number FROM phones") == []


def test_another_kind_may_be_chosen_instead(browser: Browser, application: RelyingParty) -> None:
    application.installation.change_policy("A", second_factor="always", factors=["sms", "otp"])
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "enrol"
    page = browser.submit(page, method="sms")
    assert page.step == "enrol_phone"
    assert "least safe" in page.page.html
    page = browser.submit(page, phone=NUMBER)
    page = browser.submit(browser.submit(page, change="yes"), choose="yes")
    assert page.step == "enrol"


def test_a_form_offers_the_countries_that_are_served_in_the_language_of_the_page(
    install: Install,
) -> None:
    installation = install(sms_countries=("*",))
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = to_enrolment(application, browser)
    assert 'value="US" selected>United States (+1)' in page.page.html
    page = browser.follow(browser.get(page.path + "?lang=ja"))
    assert 'value="JP" selected>日本 (+81)' in page.page.html
    page = browser.submit(page, phone="06 12 34 56 78", country="FR")
    assert [message.to for message in texts(installation)] == ["+33612345678"]


def test_where_no_text_messages_are_sent_none_are_offered(install: Install) -> None:
    installation = install(sms_url="")
    application, browser = RelyingParty(installation, C1), installation.browser()
    installation.change_policy("A", second_factor="always", factors=["sms", "otp"])
    assert browser.signed_in(ALICE, application.request()).step == "enrol_totp"
    installation.change_policy("B", second_factor="always", factors=["sms"])
    other = installation.browser()
    assert other.signed_in(BELLA, application.request()).error == "access_denied"
