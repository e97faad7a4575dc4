"""Answers through the browser: how they travel, what they carry, what they never are."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from idp.oidc import respond
from tests.support.kit import (
    ALICE,
    C1,
    C2,
    C3,
    ISSUER,
    PASSWORD,
    Browser,
    Installation,
    RelyingParty,
)


# RU-06
def test_no_answer_of_the_whole_road_repeats_a_form_elsewhere(
    sqlite_installation: Installation,
) -> None:
    application, browser = RelyingParty(sqlite_installation, C3), sqlite_installation.browser()
    page = browser.follow(browser.post("/authorize", application.request()))
    page = browser.submit(page, identifier=ALICE.email)
    page = browser.submit(page, password="wrong")
    page = browser.submit(page, password=PASSWORD)
    assert browser.submit(page, decision="allow").code
    browser.submit(browser.follow(browser.post("/end_session", {})))
    assert {response.status_code for response in browser.trail} == {200, 303}
    for response in browser.trail:
        assert response.headers["Cache-Control"] == "no-store"


# RU-06
@pytest.mark.parametrize("path", ["//authorize", "/login//x", "/login/x//password", "//token",
                                  "/authorize/", "/token/", "/logout/"])  # fmt: skip
def test_no_spelling_of_an_address_is_answered_by_repeating_the_form_at_another(
    browser: Browser, path: str
) -> None:
    response = browser.post(path, {"password": PASSWORD, "code": "x"})
    assert response.status_code not in (307, 308)


# RU-07
def test_the_page_that_carries_the_code_tells_no_referrer(
    application: RelyingParty, browser: Browser
) -> None:
    outcome = browser.signed_in(ALICE, application.request())
    assert outcome.is_hand_over
    assert outcome.response.headers["Referrer-Policy"] == "no-referrer"
    assert outcome.page.links["continue"] == outcome.page.refresh == outcome.location


# WB-06
def test_a_form_of_ours_is_never_followed_by_a_redirect_elsewhere(
    application: RelyingParty, browser: Browser
) -> None:
    browser.signed_in(ALICE, application.request())
    for response in browser.trail:
        policy = response.headers.get("Content-Security-Policy", "")
        if response.request.method == "POST":
            assert (response.location or "/").startswith("/")
        if "<form" in response.text:
            assert "form-action 'self'" in policy


# CONFORMANCE: form post
def test_the_form_post_page_works_without_a_script_and_lets_the_form_leave(
    application: RelyingParty, browser: Browser
) -> None:
    outcome = browser.signed_in(ALICE, application.request(response_mode="form_post"))
    assert outcome.page.action == C1.redirect_uri
    assert set(outcome.page.fields) == {"code", "state", "iss"}
    assert 'type="submit"' in outcome.response.text
    policy = outcome.response.headers["Content-Security-Policy"]
    assert "form-action" not in policy and "default-src 'none'" in policy


# RU-08
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"prompt": "none"}, {"scope": "email"}, {"response_type": "token"}, {"max_age": "x"},
     {"request": "x"}, {"claims": "x"}, {"id_token_hint": "x"}, {"nonce": "\x01"}],
    ids=str,
)  # fmt: skip
def test_iss_is_in_every_answer(
    application: RelyingParty, browser: Browser, mode: str, changes: dict[str, str]
) -> None:
    outcome = browser.authorize(application.request(response_mode=mode, **changes))
    if outcome.is_page:
        outcome = browser.sign_in(outcome, ALICE)
    assert outcome.answer["iss"] == ISSUER
    assert outcome.mode == mode


# RU-08
def test_iss_is_in_the_answers_that_end_a_visit(sqlite_installation: Installation) -> None:
    application, browser = RelyingParty(sqlite_installation, C3), sqlite_installation.browser()
    denied = browser.submit(browser.signed_in(ALICE, application.request()), decision="deny")
    assert (denied.error, denied.answer["iss"]) == ("access_denied", ISSUER)


@pytest.mark.parametrize(
    ("uri", "state", "expected"),
    [
        ("https://a.example/out", None, "https://a.example/out"),
        ("https://a.example/out", "a b&c", "https://a.example/out?state=a%20b%26c"),
        ("https://a.example/out?x=y", "s", "https://a.example/out?x=y&state=s"),
        ("https://a.example/out?", "s", "https://a.example/out?state=s"),
        ("https://a.example/out?x&", "s", "https://a.example/out?x&state=s"),
        ("https://a.example/out", "+%41", "https://a.example/out?state=%2B%2541"),
    ],
)
def test_state_is_appended_once_and_encoded_once(
    uri: str, state: str | None, expected: str
) -> None:
    assert respond.post_logout(uri, state) == expected


def test_a_redirect_uri_with_a_query_keeps_it_in_every_mode(
    sqlite_installation: Installation,
) -> None:
    application, browser = RelyingParty(sqlite_installation, C2), sqlite_installation.browser()
    assert application.code(browser, ALICE)
    for mode in ("query", "fragment", "form_post"):
        location = browser.authorize(application.request(response_mode=mode)).location
        assert parse_qs(urlsplit(location).query)["tenant"] == ["7"]
        assert ("code=" in urlsplit(location).query) == (mode == "query")
