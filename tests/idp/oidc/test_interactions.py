"""Between the request and its answer: nothing can be skipped, swapped, carried over or replayed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from urllib.parse import urlencode

import pytest

from tests.support.kit import (
    A1,
    ADAM,
    ALICE,
    BELLA,
    C1,
    C2,
    C3,
    DORA,
    FRED,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)

PAGES = ("account", "identify", "password", "consent")


@pytest.fixture
def third_party(sqlite_installation: Installation) -> RelyingParty:
    """C3, which needs consent."""
    return RelyingParty(sqlite_installation, C3)


def interaction_of(outcome: Outcome) -> str:
    return outcome.path.split("/")[2]


# AZ-11, WB-02
def test_the_address_of_a_page_opens_nothing_in_another_browser(application: RelyingParty) -> None:
    attacker, victim = (application.installation.browser() for _ in range(2))
    page = attacker.authorize(application.request())
    for path in (page.path, f"/login/{interaction_of(page)}"):
        shown = victim.follow(victim.get(path))
        assert (shown.status, shown.page.fields) == (400, {})
    # With the attacker's CSRF token and with one of his own.
    own = victim.authorize(application.request())
    for fields in (page.page.fields, own.page.fields):
        answer = victim.post(page.path, fields | {"identifier": ALICE.email})
        assert answer.status_code in (400, 403)
    resumed = victim.follow(victim.get(f"/authorize/resume/{interaction_of(page)}"))
    assert (resumed.status, resumed.location) == (400, "")


# AZ-11
def test_somebody_who_signs_in_finishes_nobody_elses_visit(application: RelyingParty) -> None:
    attacker, victim = (application.installation.browser() for _ in range(2))
    page = attacker.authorize(application.request())
    assert application.code(victim, ALICE)
    victim.get(page.path)
    resumed = attacker.follow(attacker.get(f"/authorize/resume/{interaction_of(page)}"))
    assert resumed.step == "identify"


def steps_too_early(third_party: RelyingParty, browser: Browser) -> Iterator[Outcome]:
    """The visit of somebody new at a client that needs consent, step by step."""
    page = browser.authorize(third_party.request())
    yield page
    page = browser.submit(page, identifier=ALICE.email)
    yield page
    page = browser.submit(page, password=PASSWORD)
    yield page


# AZ-12
def test_no_step_can_be_skipped_by_its_address_or_an_empty_form(
    third_party: RelyingParty, browser: Browser
) -> None:
    everything = {"identifier": ADAM.email, "decision": "allow", "account": "other"}
    seen = []
    for page in steps_too_early(third_party, browser):
        seen.append(page.step)
        interaction = interaction_of(page)
        csrf = {"csrf": page.page.fields["csrf"]}
        for path in (f"/authorize/resume/{interaction}", f"/login/{interaction}"):
            assert browser.follow(browser.get(path)).step == page.step
        for other, extra in product(set(PAGES) - {page.step, "identify"}, [{}, everything]):
            path = f"/login/{interaction}/{other}"
            assert browser.follow(browser.get(path)).step == page.step
            assert browser.follow(browser.post(path, csrf | extra)).step == page.step
        assert browser.follow(browser.post(page.path, csrf)).step == page.step
        assert third_party.installation.sql("SELECT count(*) AS n FROM consents") == [{"n": 0}]
    assert seen == ["identify", "password", "consent"]


# AZ-12
def test_no_form_is_taken_without_its_csrf_token(
    third_party: RelyingParty, browser: Browser
) -> None:
    other = browser.authorize(third_party.request()).page.fields["csrf"]
    values = {"identifier": ALICE.email, "password": PASSWORD, "decision": "allow"}
    for page in steps_too_early(third_party, browser):
        before = third_party.installation.counts()
        for token in ("", "0" * 64, other, "é"):
            assert browser.post(page.path, values | {"csrf": token}).status_code == 403
        own = page.page.fields
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = browser.post(page.path, own | values, headers=headers)
            assert answer.status_code == 403, headers
        assert third_party.installation.counts() == before


# AZ-12
def test_going_back_to_say_who_one_is_starts_over(
    application: RelyingParty, browser: Browser
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier=ALICE.email)
    back = browser.follow(
        browser.get(page.page.links.get("not-you") or page.path[:-8] + "identify")
    )
    assert back.step == "identify"
    assert browser.sign_in(browser.submit(back, identifier=BELLA.email), BELLA).code


def test_an_answer_is_given_once(application: RelyingParty, browser: Browser) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier=ALICE.email)
    assert browser.submit(page, password=PASSWORD).code
    for path in (f"/authorize/resume/{interaction_of(page)}", page.path):
        again = browser.follow(browser.get(path))
        assert (again.status, again.location) == (400, "")
    assert browser.post(page.path, page.page.fields | {"password": PASSWORD}).status_code == 400


# AZ-13
def test_twenty_visits_in_one_browser_keep_their_parameters_apart(
    application: RelyingParty, browser: Browser
) -> None:
    parties = [RelyingParty(application.installation, one) for one in (C1, C2, C3)]
    opened = []
    for number in range(20):
        party = parties[number % 3]
        request = party.request(state=f"state {number}", nonce=f"nonce {number}")
        opened.append((party, number, browser.authorize(request)))
    for party, number, page in reversed(opened):
        here = browser.follow(browser.get(page.path))
        outcome = browser.sign_in(here, ALICE) if here.is_page else here
        if outcome.step == "consent":
            outcome = browser.submit(outcome, decision="allow")
        assert outcome.answer["state"] == f"state {number}"
        assert outcome.location.startswith(party.application.redirect_uri)
        token = party.redeem(outcome.code).get_json()["id_token"]
        assert party.verify(token, nonce=f"nonce {number}")["sub"]


SWITCH_OFF = {
    "user": "UPDATE users SET disabled_at = 1",
    "organisation": "UPDATE organizations SET disabled_at = 1",
    "session": "UPDATE sessions SET ended_at = 1",
    "client": "UPDATE clients SET disabled_at = 1",
}


# AZ-14
@pytest.mark.parametrize("what", SWITCH_OFF)
def test_what_is_switched_off_during_the_pages_gets_no_code(
    third_party: RelyingParty, browser: Browser, what: str
) -> None:
    *_, page = steps_too_early(third_party, browser)
    assert page.step == "consent"
    third_party.installation.sql(SWITCH_OFF[what])
    outcome = browser.submit(page, decision="allow")
    assert "code" not in outcome.answer
    assert outcome.step == "consent" or outcome.status in (200, 303, 400)
    resumed = browser.follow(browser.get(f"/authorize/resume/{interaction_of(page)}"))
    assert "code" not in resumed.answer


# AZ-14, TK-15
@pytest.mark.parametrize("what", SWITCH_OFF)
def test_what_is_switched_off_after_the_code_gets_no_token(
    application: RelyingParty, browser: Browser, what: str
) -> None:
    code = application.code(browser, ALICE)
    application.installation.sql(SWITCH_OFF[what])
    response = application.redeem(code)
    assert response.get_json()["error"] == (
        "invalid_client" if what == "client" else "invalid_grant"
    )


# AZ-14
@pytest.mark.parametrize("person", [DORA, FRED], ids=lambda one: one.login_id)
def test_nobody_without_a_usable_password_gets_past_the_password_page(
    application: RelyingParty, browser: Browser, person: Person
) -> None:
    outcome = browser.signed_in(person, application.request())
    assert outcome.step == "password" and outcome.page.is_alert


# AZ-15
def test_a_client_of_one_organisation_refuses_the_others_on_every_road(
    application: RelyingParty, browser: Browser
) -> None:
    restricted = RelyingParty(application.installation, A1)
    assert browser.signed_in(BELLA, restricted.request()).error == "access_denied"
    assert browser.authorize(restricted.request()).error == "access_denied"
    assert browser.authorize(restricted.request(prompt="none")).error == "interaction_required"
    other = application.installation.browser()
    assert restricted.redeem(restricted.code(other, ALICE)).status_code == 200


# AZ-15
def test_a_restriction_made_after_the_code_still_holds(
    application: RelyingParty, browser: Browser
) -> None:
    code = application.code(browser, BELLA)
    application.installation.sql(
        "UPDATE clients SET organization_id = (SELECT id FROM organizations"
        " WHERE name = 'Organisation A')"
    )
    response = application.redeem(code)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")


def test_a_visit_ends_after_its_time(application: RelyingParty, browser: Browser) -> None:
    page = browser.authorize(application.request())
    application.installation.pass_time(minutes=29)
    page = browser.submit(page, identifier=ALICE.email)
    application.installation.pass_time(minutes=1)
    assert browser.submit(page, password=PASSWORD).status == 400
    assert application.installation.sql("SELECT count(*) AS n FROM sessions") == [{"n": 0}]


# RU-04
@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "https://id.example.test@evil.example/",
        "/x\r\nLocation: //evil",
        "%252f%252fevil.example",
    ],
)
def test_no_parameter_makes_the_provider_go_elsewhere(
    application: RelyingParty, browser: Browser, target: str
) -> None:
    names = ("return_to", "next", "redirect", "redirect_uri", "url", "continue", "lang", "state")
    query = urlencode(dict.fromkeys(names, target))
    page = browser.authorize(application.request())
    interaction = interaction_of(page)
    for path in (
        page.path, f"/login/{interaction}", f"/authorize/resume/{interaction}", "/logout",
        "/end_session", f"/login/{target}", f"/{target}", "/login//evil.example/x",
    ):  # fmt: skip
        response = browser.get(f"{path}?{query}")
        location = response.headers.get("Location", "/").removeprefix(
            application.installation.issuer
        )
        assert location.startswith("/") and not location.startswith(("//", "/\\")), path
        assert response.status_code < 500
