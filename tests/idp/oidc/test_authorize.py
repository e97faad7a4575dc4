"""The authorization endpoint: who is asked, who is not, and what the relying party gets."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from idp import assurance
from tests.support.kit import (
    A1,
    ALICE,
    BELLA,
    C1,
    C2,
    C3,
    N1,
    P1,
    Application,
    Browser,
    Installation,
    RelyingParty,
)

FORM = "application/x-www-form-urlencoded"
ESSENTIAL_MFA = json.dumps(
    {"id_token": {"acr": {"essential": True, "values": [assurance.MULTIPLE]}}}
)


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_a_sign_in_ends_with_a_code_in_the_mode_that_was_asked_for(
    application: RelyingParty, browser: Browser, mode: str
) -> None:
    request = application.request(response_mode=mode)
    after_pages = browser.signed_in(ALICE, request)
    silent = browser.authorize(request)
    for outcome in (after_pages, silent):
        assert outcome.mode == mode
        assert set(outcome.answer) == {"code", "state", "iss"}
        assert application.redeem(outcome.code).status_code == 200
    assert after_pages.is_hand_over == (mode != "form_post")


def test_the_code_is_128_bits_at_least_and_never_the_same(
    application: RelyingParty, signed_in: Browser
) -> None:
    codes = {signed_in.authorize(application.request()).code for _ in range(5)}
    assert len(codes) == 5 and all(len(code) >= 22 for code in codes)


def test_a_query_of_the_redirect_uri_is_kept(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C2)
    outcome = application.arrive(sqlite_installation.browser(), ALICE)
    assert outcome.location.startswith("https://c2.example.test/cb?tenant=7&")
    assert outcome.answer["tenant"] == "7" and outcome.code


def test_state_that_was_not_sent_does_not_come_back(
    application: RelyingParty, signed_in: Browser
) -> None:
    assert set(signed_in.authorize(application.request(state=None)).answer) == {"code", "iss"}


def test_the_order_of_parameters_and_scopes_does_not_matter(
    application: RelyingParty, signed_in: Browser
) -> None:
    request = application.request(scope="email unknown openid profile offline_access")
    assert signed_in.authorize(urlencode(list(reversed(request.items())))).code


# AZ-06
@pytest.mark.parametrize(
    ("registered", "changes", "error"),
    [
        (C1, {}, ""),
        (C1, {"max_age": "1000"}, ""),
        (C1, {"max_age": "30"}, "login_required"),
        (C1, {"claims": ESSENTIAL_MFA}, "interaction_required"),
        (C1, {"acr_values": assurance.MULTIPLE}, "interaction_required"),
        (C1, {"prompt": "none login"}, "invalid_request"),
        (C1, {"prompt": "none select_account"}, "invalid_request"),
        (C3, {}, "consent_required"),
        (A1, {}, ""),
    ],
    ids=lambda value: getattr(value, "client_id", str(value)),
)
def test_prompt_none_answers_without_a_page(
    signed_in: Browser,
    application: RelyingParty,
    registered: Application,
    changes: dict[str, str],
    error: str,
) -> None:
    installation = application.installation
    installation.pass_time(seconds=60)
    cookies, before = signed_in.cookies(), installation.counts()
    request = RelyingParty(installation, registered).request(**({"prompt": "none"} | changes))
    outcome = signed_in.authorize(request)
    assert outcome.error == error and outcome.location
    assert outcome.response.status_code == 303
    assert "Set-Cookie" not in outcome.response.headers and signed_in.cookies() == cookies
    assert installation.counts() == before | {"state": before["state"] + (not error)}


# AZ-06
def test_prompt_none_without_a_session_is_login_required(
    application: RelyingParty, browser: Browser
) -> None:
    outcome = browser.authorize(application.request(prompt="none"))
    assert outcome.error == "login_required"
    assert browser.cookies() == {}


# AZ-06, AZ-15
def test_prompt_none_for_a_client_of_another_organisation_is_interaction_required(
    application: RelyingParty, browser: Browser
) -> None:
    assert application.code(browser, BELLA)
    request = RelyingParty(application.installation, A1).request(prompt="none")
    assert browser.authorize(request).error == "interaction_required"


# AZ-06, AZ-14
@pytest.mark.parametrize(
    "switch_off",
    [
        "UPDATE users SET disabled_at = 1",
        "UPDATE organizations SET disabled_at = 1",
        "UPDATE sessions SET ended_at = 1",
    ],
)
def test_what_is_switched_off_is_no_session_from_the_next_request_on(
    application: RelyingParty, signed_in: Browser, switch_off: str
) -> None:
    application.installation.sql(switch_off)
    assert signed_in.authorize(application.request(prompt="none")).error == "login_required"
    assert signed_in.authorize(application.request()).step == "identify"


# AZ-06
def test_prompt_none_with_two_accounts_answers_with_the_one_that_is_meant(
    application: RelyingParty, signed_in: Browser
) -> None:
    installation = application.installation
    installation.pass_time(seconds=90)
    page = signed_in.authorize(application.request(prompt="select_account"))
    assert page.step == "account"
    signed_in.sign_in(signed_in.submit(page, account="other"), BELLA)
    for changes, person in [({}, BELLA), ({"login_hint": "Alice@A.example"}, ALICE)]:
        outcome = signed_in.authorize(application.request(prompt="none", **changes))
        token = application.redeem(outcome.code).get_json()["id_token"]
        assert application.verify(token)["sub"] == installation.sub(person)


# SE-03
def test_silent_polling_keeps_no_session_alive(
    application: RelyingParty, signed_in: Browser
) -> None:
    installation = application.installation
    for _ in range(6):
        installation.pass_time(minutes=9)
        assert signed_in.authorize(application.request(prompt="none")).code
    installation.pass_time(minutes=6)
    assert signed_in.authorize(application.request(prompt="none")).error == "login_required"


# AZ-17
@pytest.mark.parametrize("registered", [C1, P1, N1], ids=lambda one: one.client_id)
def test_a_request_posted_by_another_site_signs_in_with_the_session(
    signed_in: Browser, application: RelyingParty, registered: Application
) -> None:
    installation = application.installation
    request = RelyingParty(installation, registered).request()
    before = installation.counts()
    stranger = installation.browser()
    posted = stranger.post(
        "/authorize", request, headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"}
    )
    assert posted.status_code == 303 and posted.location.startswith("/authorize?")
    assert "Set-Cookie" not in posted.headers and installation.counts() == before
    assert signed_in.follow(signed_in.get(posted.location)).code


# AZ-17
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"client_id=c1", "text/plain"),
        (b'{"client_id": "c1"}', "application/json"),
        (b"client_id=c1&padding=" + b"a" * 20_000, FORM),
        (b"client_id=" + b"%41" * 6000, FORM),
    ],
)
def test_a_posted_request_that_is_no_small_form_is_refused(
    application: RelyingParty, browser: Browser, body: bytes, content_type: str
) -> None:
    response = browser.post("/authorize", data=body, content_type=content_type)
    assert response.status_code in (400, 413) and not response.location
    assert application.installation.counts()["state"] == 0
