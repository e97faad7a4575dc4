"""The sign-in pages: any order of pages, tabs and browsers, and nothing can be skipped."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from flows.login import BY_NAME
from tests.support.kit import (
    A1,
    ADAM,
    ALICE,
    BELLA,
    C1,
    C2,
    C3,
    DORA,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
)

STEPS = tuple(BY_NAME)
# Who somebody is may be typed, or be said by a passkey: both are open until something is proven.
OPEN_AT_FIRST = {"identify", "passkey"}


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def third_party(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C3)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def interaction_of(outcome: Outcome) -> str:
    return urlsplit(outcome.path).path.split("/")[2]


def at(browser: Browser, interaction: str, step: str = "") -> Outcome:
    return browser.follow(browser.get(f"/login/{interaction}" + (f"/{step}" if step else "")))


def post(browser: Browser, interaction: str, step: str, **fields: str) -> Outcome:
    """Sends a form of this interaction, with a token that is good for all of them."""
    token = re.findall(r'name="csrf" value="(\w+)"', at(browser, interaction).page.html)
    sent = {"csrf": token[0] if token else "", **fields}
    return browser.follow(browser.post(f"/login/{interaction}/{step}", sent))


def test_the_pages_come_in_order_and_the_answer_last(
    browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.authorize(third_party.request(scope="openid email"))
    assert (page.step, page.status) == ("identify", 200)
    assert "Application c3" in page.page.html
    page = browser.submit(page, identifier="alice")
    assert page.step == "password"
    assert ">alice<" in page.page.html
    page = browser.submit(page, password=PASSWORD)
    assert page.step == "consent"
    assert "Alice Hart" in page.page.html
    assert "Your e-mail address" in page.page.html
    answer = browser.submit(page, decision="allow")
    assert answer.is_hand_over
    assert answer.answer["state"] == "the state"
    assert third_party.redeem(answer.code).status_code == 200


def test_every_step_after_a_form_is_a_303(browser: Browser, application: RelyingParty) -> None:
    assert browser.signed_in(ALICE, application.request()).code
    forms = [answer for answer in browser.trail if answer.request.method == "POST"]
    assert [answer.status_code for answer in forms] == [303, 303]


@pytest.mark.parametrize("typed", ["", "   ", "x" * 255, "a\0b", "a\u202eb", "\n"], ids=ascii)
def test_an_identifier_that_is_none_shows_the_page_again(
    browser: Browser, application: RelyingParty, typed: str
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier=typed)
    assert page.step == "identify"
    assert page.page.is_alert
    assert "Enter your sign-in ID or e-mail address." in page.page.html


@pytest.mark.parametrize("typed", ["<b>x", '"><script>alert(1)</script>', "{{ 7 * 7 }}", "%(a)s"])
def test_what_was_typed_is_shown_as_text(
    browser: Browser, application: RelyingParty, typed: str
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier=typed)
    assert page.step == "password"
    assert typed not in page.page.html or "<" not in typed
    assert page.page.fields["username"] == typed
    assert "49" not in page.page.fields["username"]


def test_an_empty_password_is_no_attempt(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    again = browser.submit(page, password="")
    assert again.page.is_alert
    assert sqlite_installation.sql("SELECT * FROM failures") == []


# WB-12
def test_a_wrong_password_is_never_shown_again(browser: Browser, application: RelyingParty) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    again = browser.submit(page, password="wrong lantern 42")
    assert again.page.is_alert
    assert "wrong lantern" not in again.page.html
    assert again.page.fields["password"] == ""
    assert browser.submit(again, password=PASSWORD).code


# AZ-12
def test_no_page_can_be_opened_before_its_turn(browser: Browser, application: RelyingParty) -> None:
    interaction = interaction_of(browser.authorize(application.request()))
    for step in STEPS:
        reached = at(browser, interaction, step).step
        assert reached == (step if step in OPEN_AT_FIRST else "identify")
    post(browser, interaction, "identify", identifier="alice")
    for step in ("account", "password", "consent", ""):
        assert at(browser, interaction, step).step == "password"


# AZ-12
@pytest.mark.parametrize("progress", ["identify", "password"])
def test_no_form_can_be_sent_before_its_turn(
    sqlite_installation: Installation,
    browser: Browser,
    third_party: RelyingParty,
    progress: str,
) -> None:
    page = browser.authorize(third_party.request())
    interaction = interaction_of(page)
    if progress == "password":
        page = browser.submit(page, identifier="alice")
    before = sqlite_installation.counts()
    everything = {
        "decision": "allow",
        "account": "other",
        "user_id": sqlite_installation.sub(ALICE),
    }
    for step in set(STEPS) - {progress, "other_way"} - OPEN_AT_FIRST:
        assert post(browser, interaction, step, **everything).step == progress
        assert post(browser, interaction, step).step == progress
    resumed = browser.follow(browser.get(f"/authorize/resume/{interaction}"))
    assert resumed.step == progress
    assert sqlite_installation.counts() == before


# AZ-12
def test_after_the_password_the_consent_cannot_be_skipped(
    browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.signed_in(ALICE, third_party.request())
    interaction = interaction_of(page)
    for step in STEPS:
        assert at(browser, interaction, step).step == "consent"
        assert post(browser, interaction, step).step == "consent"
    assert browser.follow(browser.get(f"/authorize/resume/{interaction}")).step == "consent"
    silent = browser.authorize(third_party.request(prompt="none"))
    assert silent.error == "consent_required"


@pytest.mark.parametrize("page", ["done", "open_session", "refused", "TOTP", "", "..", "Password"])
def test_there_are_no_other_pages(browser: Browser, application: RelyingParty, page: str) -> None:
    interaction = interaction_of(browser.authorize(application.request()))
    answer = browser.get(f"/login/{interaction}/{page}")
    assert answer.status_code == 404
    token = browser.get(f"/login/{interaction}/identify").text.split('name="csrf" value="')[1][:64]
    assert browser.post(f"/login/{interaction}/{page}", {"csrf": token}).status_code == 404


def test_not_you_goes_back_without_losing_the_request(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="bella")
    [link] = re.findall(r'href="(/login/[^"]+/identify)"', page.page.html)
    back = browser.follow(browser.get(link))
    assert back.page.fields["identifier"] == "bella"
    answer = browser.sign_in(back, ALICE)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["sub"] == application.installation.sub(ALICE)


def test_going_back_to_a_spent_page_says_that_it_is_over(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.authorize(application.request())
    interaction = interaction_of(page)
    assert browser.sign_in(page, ALICE).code
    for step in (*STEPS, ""):
        over = at(browser, interaction, step)
        assert over.status == 400
        assert "already finished" in over.page.html
    again = browser.follow(browser.post(page.page.action, page.page.fields))
    assert again.status == 400
    resumed = browser.get(f"/authorize/resume/{interaction}")
    assert resumed.status_code == 400


# DS-06
def test_a_visit_ends_after_half_an_hour(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    sqlite_installation.pass_time(minutes=30)
    late = browser.submit(page, password=PASSWORD)
    assert late.status == 400
    assert sqlite_installation.sql("SELECT * FROM sessions") == []


# AZ-11
def test_a_visit_that_somebody_else_began_cannot_be_finished_here(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    attacker, victim = sqlite_installation.browser(), sqlite_installation.browser()
    sent = attacker.authorize(application.request())
    for _ in range(2):
        lured = victim.follow(victim.get(sent.path))
        assert lured.status == 400
        assert "identifier" not in lured.page.fields
        victim.signed_in(BELLA, application.request())
    assert victim.post(sent.path, sent.page.fields | {"identifier": "bella"}).status_code == 403
    assert attacker.follow(attacker.get(sent.path)).step == "identify"
    resumed = victim.get(f"/authorize/resume/{interaction_of(sent)}")
    assert resumed.status_code == 400


# AZ-11
def test_a_planted_cookie_does_not_follow_the_victim_into_the_session(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    attacker, victim = sqlite_installation.browser(), sqlite_installation.browser()
    sent = attacker.authorize(application.request())
    name = "__Host-sekisho-browser"
    planted = attacker.cookies()[name]
    victim.client.set_cookie(name, planted, domain="id.example.test", secure=True)
    answer = victim.sign_in(victim.follow(victim.get(sent.path)), BELLA)
    assert answer.code
    assert attacker.follow(attacker.get(sent.path)).status == 400
    assert attacker.authorize(application.request(prompt="none")).error == "login_required"


# AZ-13
def test_two_tabs_do_not_mix(sqlite_installation: Installation, browser: Browser) -> None:
    one, other = RelyingParty(sqlite_installation, C1), RelyingParty(sqlite_installation, C2)
    first = browser.authorize(one.request(state="first", nonce="first"))
    second = browser.authorize(other.request(state="second", nonce="second", prompt="login"))
    assert interaction_of(first) != interaction_of(second)
    first = browser.submit(first, identifier="alice")
    second = browser.submit(second, identifier="bella")
    done = browser.submit(second, password=PASSWORD)
    assert done.location.startswith(C2.redirect_uri)
    assert done.answer["state"] == "second"
    claims = other.verify(other.redeem(done.code).get_json()["id_token"], nonce="second")
    assert claims["sub"] == sqlite_installation.sub(BELLA)
    assert browser.follow(browser.get(first.path)).step in ("password", "")
    assert one.redeem(done.code).get_json()["error"] == "invalid_grant"


# AZ-13, DS-07
def test_twenty_tabs_of_one_browser_all_work(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    tabs = [browser.authorize(application.request(state=f"tab {n}")) for n in range(20)]
    answers = [browser.follow(browser.get(tab.path)) for tab in tabs]
    first = browser.sign_in(answers[0], ALICE)
    assert first.answer["state"] == "tab 0"
    for number, tab in enumerate(tabs[1:], start=1):
        answer = browser.follow(browser.get(tab.path))
        if answer.is_page:
            answer = browser.sign_in(answer, ALICE)
        assert answer.answer["state"] == f"tab {number}"
    sids = {row["id"] for row in sqlite_installation.sql("SELECT id FROM sessions")}
    assert len(sids) == 1
    assert sum(len(k) + len(v) for k, v in browser.cookies().items()) < 1024


# AZ-13
def test_the_same_page_sent_twice_answers_once(browser: Browser, application: RelyingParty) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    first = browser.submit(page, password=PASSWORD)
    second = browser.submit(page, password=PASSWORD)
    assert first.code
    assert second.status == 400
    assert not second.answer


def test_signing_in_again_keeps_the_session_that_applications_know(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    first = application.claims(browser, ALICE)
    sqlite_installation.pass_time(minutes=5)
    again = application.claims(browser, ALICE, prompt="login")
    assert again["sid"] == first["sid"]
    assert again["auth_time"] == first["auth_time"] + 300
    assert len(sqlite_installation.sql("SELECT id FROM sessions")) == 1


# AZ-07
@pytest.mark.parametrize("demand", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "1"}])
def test_a_demand_to_sign_in_again_cannot_be_gone_around(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    demand: dict[str, str],
) -> None:
    application.code(browser, ALICE)
    sqlite_installation.pass_time(seconds=2)
    page = browser.authorize(application.request(**demand))
    assert page.step == "password"
    assert "alice@a.example" in page.page.html
    interaction = interaction_of(page)
    assert browser.follow(browser.get(f"/authorize/resume/{interaction}")).step == "password"
    for step in STEPS:
        assert at(browser, interaction, step).step in {"password", "other_way", *OPEN_AT_FIRST}
    other_tab = browser.authorize(application.request())
    assert other_tab.code
    assert browser.follow(browser.get(f"/authorize/resume/{interaction}")).step == "password"
    sqlite_installation.pass_time(seconds=2)
    answer = browser.submit(page, password=PASSWORD)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["auth_time"] >= sqlite_installation.clock.now().timestamp() - 1


def test_the_password_page_says_why_it_asks_again(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    sqlite_installation.pass_time(seconds=2)
    asked = browser.authorize(application.request(prompt="login"))
    assert "asks you to confirm that it is you" in asked.page.html
    asked = browser.authorize(application.request(max_age="1"))
    assert "too long ago" in asked.page.html


# AZ-16
@pytest.mark.parametrize(
    "tampering",
    [
        {"decision": "maybe"},
        {"decision": ""},
        {"decision": "ALLOW"},
        {"scope": "openid email org"},
    ],
)
def test_a_consent_that_is_none_asks_again(
    sqlite_installation: Installation,
    browser: Browser,
    third_party: RelyingParty,
    tampering: dict[str, str],
) -> None:
    page = browser.signed_in(ALICE, third_party.request())
    again = browser.submit(page, **tampering)
    assert again.step == "consent"
    assert sqlite_installation.sql("SELECT * FROM consents") == []


# AZ-16
def test_consent_is_to_what_was_shown_whatever_the_form_says(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.signed_in(ALICE, third_party.request(scope="openid email"))
    bella = sqlite_installation.sub(BELLA)
    extra = {
        "scope": "openid profile org",
        "client_id": "c1",
        "user_id": bella,
        "redirect_uri": "x",
    }
    answer = browser.submit(page, decision="allow", **extra)
    assert answer.location.startswith(C3.redirect_uri)
    [row] = sqlite_installation.sql("SELECT client_id, user_id, scope FROM consents")
    assert row == {
        "client_id": "c3",
        "user_id": sqlite_installation.sub(ALICE),
        "scope": "email openid",
    }
    claims = third_party.verify(third_party.redeem(answer.code).get_json()["id_token"])
    assert "org_id" not in claims
    assert "name" not in claims


# AZ-16
def test_consent_to_one_visit_does_not_count_for_another(
    browser: Browser, third_party: RelyingParty
) -> None:
    small = browser.signed_in(ALICE, third_party.request(scope="openid"))
    large = browser.authorize(third_party.request(scope="openid email org"))
    swapped = browser.post(large.page.action, small.page.fields | {"decision": "allow"})
    assert swapped.status_code == 403
    assert browser.submit(small, decision="allow").code
    assert browser.authorize(third_party.request(scope="openid")).code
    assert browser.authorize(third_party.request(scope="openid org")).step == "consent"


def test_a_refused_consent_is_told_to_the_application_and_not_remembered(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.signed_in(ALICE, third_party.request())
    answer = browser.submit(page, decision="deny")
    assert (answer.error, answer.answer["state"]) == ("access_denied", "the state")
    assert sqlite_installation.sql("SELECT * FROM consents") == []
    assert browser.authorize(third_party.request()).step == "consent"


def test_a_given_consent_is_not_asked_for_again_except_on_demand(
    browser: Browser, third_party: RelyingParty
) -> None:
    third_party.code(browser, ALICE)
    assert browser.authorize(third_party.request()).code
    assert browser.authorize(third_party.request(prompt="consent")).step == "consent"


def test_choosing_an_account_shows_who_is_signed_in_here(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    assert browser.sign_in(browser.submit(page, account="other"), BELLA).code
    page = browser.authorize(application.request(prompt="select_account"))
    assert page.step == "account"
    for text in ("Alice Hart", "bella@b.example", "Organisation B"):
        assert text in page.page.html
    assert "adam" not in page.page.html
    chosen = dict(
        re.findall(r'name="account" value="(\w{32})"[^>]*>.*?<b>([^<]+)</b>', page.page.html, re.S)
    )
    for sid, name in chosen.items():
        page = browser.authorize(application.request(prompt="select_account"))
        answer = browser.submit(page, account=sid)
        claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
        assert claims["sid"] == sid
        person = ALICE if name == ALICE.name else BELLA
        assert claims["sub"] == sqlite_installation.sub(person)
    assert len(chosen) == 2


def test_another_account_can_be_chosen(browser: Browser, application: RelyingParty) -> None:
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    page = browser.submit(page, account="other")
    assert page.step == "identify"
    assert page.page.fields["identifier"] == ""
    claims = application.redeem(browser.sign_in(page, BELLA).code).get_json()
    assert application.verify(claims["id_token"])["sub"] == application.installation.sub(BELLA)
    assert len(application.installation.sql("SELECT id FROM sessions")) == 2


@pytest.mark.parametrize("account", ["", "0" * 32, "someone else's", "\u202e"])
def test_an_account_that_is_not_in_this_browser_cannot_be_chosen(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, account: str
) -> None:
    application.code(browser, ALICE)
    application.code(sqlite_installation.browser(), ADAM)
    if account.startswith("someone"):
        rows = sqlite_installation.sql(
            "SELECT id FROM sessions WHERE user_id = :id", id=sqlite_installation.sub(ADAM)
        )
        account = rows[0]["id"]
    page = browser.authorize(application.request(prompt="select_account"))
    assert browser.submit(page, account=account).step == "account"


def test_without_anybody_signed_in_there_is_nothing_to_choose(
    browser: Browser, application: RelyingParty
) -> None:
    page = browser.authorize(application.request(prompt="select_account"))
    assert page.step == "identify"
    assert browser.sign_in(page, ALICE).code


# AZ-15
@pytest.mark.parametrize("road", ["password", "session", "silent"])
def test_an_application_of_one_organisation_is_closed_to_others_on_every_road(
    sqlite_installation: Installation, browser: Browser, road: str
) -> None:
    inside = RelyingParty(sqlite_installation, A1)
    if road != "password":
        RelyingParty(sqlite_installation, C1).code(browser, BELLA)
    answer = browser.authorize(inside.request(**({"prompt": "none"} if road == "silent" else {})))
    if road == "password":
        answer = browser.sign_in(answer, BELLA)
    assert answer.error in ("access_denied", "interaction_required")
    assert inside.code(sqlite_installation.browser(), ALICE)


# AZ-14
@pytest.mark.parametrize(
    "switch_off",
    [
        "UPDATE users SET disabled_at = 1",
        "UPDATE organizations SET disabled_at = 1",
        "UPDATE sessions SET ended_at = 1",
        "UPDATE clients SET disabled_at = 1",
    ],
)
def test_what_is_switched_off_on_the_way_is_off(
    sqlite_installation: Installation,
    browser: Browser,
    third_party: RelyingParty,
    switch_off: str,
) -> None:
    page = browser.signed_in(ALICE, third_party.request())
    assert page.step == "consent"
    sqlite_installation.sql(switch_off)
    answer = browser.submit(page, decision="allow")
    assert "code" not in answer.answer
    assert sqlite_installation.sql("SELECT * FROM consents") == []


def test_a_disabled_person_is_refused_like_a_wrong_password(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    page = browser.authorize(application.request())
    told = browser.sign_in(page, DORA)
    assert told.step == "password"
    assert told.page.is_alert
    assert sqlite_installation.sql("SELECT * FROM sessions") == []


# EN-08
def test_a_known_browser_goes_on_while_strangers_guess(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    for number in range(12):
        stranger = sqlite_installation.browser(f"203.0.{number}.1")
        page = stranger.submit(stranger.authorize(application.request()), identifier="alice")
        stranger.submit(page, password="wrong")
    elsewhere = sqlite_installation.browser("203.0.113.200")
    assert elsewhere.signed_in(ALICE, application.request()).page.is_alert
    assert browser.authorize(application.request(prompt="login")).step == "password"
    assert browser.sign_in(browser.authorize(application.request(prompt="login")), ALICE).code


# BF-17
def test_a_guessing_source_is_told_to_wait_on_a_page(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    for number in range(10):
        page = browser.authorize(application.request())
        browser.submit(browser.submit(page, identifier=f"ghost{number}"), password="wrong")
    page = browser.submit(browser.authorize(application.request()), identifier="alice")
    before = sqlite_installation.services.passwords.computed
    told = browser.submit(page, password=PASSWORD)
    assert told.status == 429
    assert told.response.headers["Retry-After"] == "600"
    assert sqlite_installation.services.passwords.computed == before


def test_the_language_can_be_switched_on_every_page(
    browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.authorize(third_party.request())
    for fields in ({"identifier": "alice"}, {"password": PASSWORD}, {"decision": "allow"}):
        japanese = browser.get(page.path, {"lang": "ja"})
        assert '<html lang="ja">' in japanese.text
        assert '<a href="?lang=en"' in japanese.text
        stays = browser.get(page.path)
        assert '<html lang="ja">' in stays.text
        english = browser.get(page.path, {"lang": "en"})
        assert '<html lang="en">' in english.text
        assert '<a href="?lang=ja"' in english.text
        page = browser.submit(page, **fields)
    assert page.code


@pytest.mark.parametrize("hint", ["alice", "alice@a.example", "nobody@x.example", "<b>", "x" * 255])
def test_a_hint_fills_in_the_identifier(
    browser: Browser, application: RelyingParty, hint: str
) -> None:
    page = browser.authorize(application.request(login_hint=hint))
    assert page.step == "identify"
    assert page.page.fields["identifier"] == hint


# EN-01
def test_the_next_page_does_not_tell_who_exists(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    pages = []
    for identifier in ("alice@a.example", "nobod@a.example"):
        browser = sqlite_installation.browser()
        page = browser.submit(browser.authorize(application.request()), identifier=identifier)
        text = page.page.html.replace(identifier, "•").replace(interaction_of(page), "•")
        text = text.replace(page.page.fields["csrf"], "•")
        pages.append((page.status, page.step, re.sub(r'nonce="[^"]+"', "", text)))
    assert pages[0] == pages[1]


# EN-01, EN-05
def test_whoever_is_unknown_is_shown_the_page_of_somebody_who_is_known(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    def shown(identifier: str) -> str:
        browser = sqlite_installation.browser()
        page = browser.submit(browser.authorize(application.request()), identifier=identifier)
        text = page.page.html.replace(identifier, "•").replace(interaction_of(page), "•")
        text = text.replace(page.page.fields["csrf"], "•")
        return re.sub(r'nonce="[^"]+"', "", text)

    known = {shown(person.email) for person in (ALICE, BELLA)}
    assert len(known) == 2, "each with the organisation's name"
    assert {shown(f"nobody{number}") for number in range(12)} <= known
    assert "Organisation" not in shown("a@nowhere.example")
    assert {shown(f"nobody{number}@b.example") for number in range(3)} == {shown(BELLA.email)}


def test_ids_that_people_script_are_stable(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty
) -> None:
    page = browser.authorize(third_party.request())
    for field, value in (("identifier", "alice"), ("password", PASSWORD), ("", "")):
        assert page.page.html.count('id="continue"') == 1
        if field:
            assert f'<input id="{field}" name="{field}"' in page.page.html
            page = browser.submit(page, **{field: value})
    answer = browser.submit(page, decision="allow")
    assert answer.page.links["continue"] == answer.location


def test_every_page_works_with_both_stores(installation: Installation) -> None:
    application = RelyingParty(installation, C3)
    browser = installation.browser()
    claims: dict[str, Any] = application.claims(browser, ALICE, scope="openid profile")
    assert claims["name"] == ALICE.name
    assert browser.authorize(application.request(prompt="none")).code
