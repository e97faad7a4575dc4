"""The authorization request: what is refused, and to whom the refusal goes."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote, urlencode

import pytest

from idp.oidc.request import LENGTHS
from tests.support.kit import (
    ALICE,
    C1,
    C2,
    L1,
    N1,
    P1,
    Application,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
    challenge_of,
)


def assert_page(outcome: Outcome) -> None:
    """A plain page for the person in front, and nothing for anybody else."""
    assert (outcome.status, outcome.location) == (400, "")
    assert outcome.page.is_alert
    assert "Set-Cookie" not in outcome.response.headers


def assert_refused(outcome: Outcome, error: str) -> None:
    """An error for the relying party, as RFC 6749, 4.1.2.1 and RFC 9207 want it."""
    assert outcome.location.startswith(C1.redirect_uri), outcome.response.text
    assert outcome.error == error
    assert outcome.answer["state"] == "the state"
    assert outcome.answer["iss"] == "https://id.example.test"
    assert "code" not in outcome.answer
    description = outcome.answer.get("error_description", "")
    assert description.isascii() and description.isprintable()
    assert not {'"', "\\"} & set(description)


# AZ-01
@pytest.mark.parametrize("name", sorted(LENGTHS))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_repeated_parameter_is_refused_whatever_its_values(
    application: RelyingParty, browser: Browser, name: str, method: str
) -> None:
    good = application.request()
    value = good.get(name, "1")
    for second in (value, "", RelyingParty(application.installation, C2).request().get(name, "2")):
        encoded = urlencode(good | {name: value}) + "&" + urlencode({name: second})
        if method == "GET":
            assert_page(browser.authorize(encoded))
            continue
        form = "application/x-www-form-urlencoded"
        answer = browser.post("/authorize", data=encoded, content_type=form)
        assert_page(browser.follow(answer))


# AZ-01
@pytest.mark.parametrize("in_query", [["client_id"], ["state"], ["unknown", "client_id"]])
def test_parameters_in_query_and_body_at_once_are_refused(
    application: RelyingParty, browser: Browser, in_query: list[str]
) -> None:
    query = urlencode({name: application.request().get(name, "x") for name in in_query})
    assert_page(browser.follow(browser.post(f"/authorize?{query}", application.request())))


def test_unknown_parameters_are_passed_over_even_when_repeated(
    application: RelyingParty, browser: Browser
) -> None:
    encoded = urlencode(application.request()) + "&utm=1&utm=2&%5B%5D=3&__proto__=x"
    assert browser.authorize(encoded).step == "identify"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("value", [None, ""])
def test_without_client_and_redirect_uri_nobody_can_be_answered(
    application: RelyingParty, browser: Browser, name: str, value: str | None
) -> None:
    assert_page(browser.authorize(application.request(**{name: value})))


CAUSES = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": None}, "invalid_request"),
    ({"scope": "profile"}, "invalid_scope"),
    ({"scope": None}, "invalid_scope"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"prompt": "none"}, "login_required"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "create"}, "invalid_request"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "١٢"}, "invalid_request"),
    ({"claims": "{"}, "invalid_request"),
    ({"claims": "[]"}, "invalid_request"),
    ({"claims": '{"id_token": 3}'}, "invalid_request"),
    ({"claims": "[" * 3000}, "invalid_request"),
    ({"id_token_hint": "a.b.c"}, "invalid_request"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://c1.example.test/request"}, "request_uri_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
]


# AZ-02, RU-08
@pytest.mark.parametrize(("changes", "error"), CAUSES, ids=lambda value: str(value)[:40])
def test_a_refusal_goes_to_the_registered_uri_and_never_to_another(
    application: RelyingParty, browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    assert_refused(browser.authorize(application.request(**changes)), error)
    elsewhere = changes | {"redirect_uri": "https://evil.example/cb"}
    assert_page(browser.authorize(application.request(**elsewhere)))
    stranger = changes | {"client_id": "nobody"}
    assert_page(browser.authorize(application.request(**stranger)))
    assert application.installation.counts()["state"] == 0


# AZ-03
@pytest.mark.parametrize("registered", [C1, C2, P1, N1], ids=lambda one: one.client_id)
@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        (None, None),
        (None, "S256"),
        ("a" * 43, "plain"),
        ("a" * 43, None),
        ("a" * 43, "s256"),
        ("a" * 42, "S256"),
        ("a" * 44, "S256"),
        ("a" * 42 + "=", "S256"),
        ("a" * 42 + "+", "S256"),
        ("a" * 43 + "\n", "S256"),
        ("ä" * 43, "S256"),
    ],
)
def test_anything_but_an_s256_challenge_is_refused(
    sqlite_installation: Installation,
    registered: Application,
    challenge: str | None,
    method: str | None,
) -> None:
    application = RelyingParty(sqlite_installation, registered)
    request = application.request(code_challenge=challenge, code_challenge_method=method)
    outcome = sqlite_installation.browser().authorize(request)
    assert outcome.error == "invalid_request"
    assert outcome.location.startswith(registered.redirect_uri)


# AZ-03
def test_an_exempt_client_may_leave_pkce_out_but_not_weaken_it(
    sqlite_installation: Installation,
) -> None:
    application, browser = RelyingParty(sqlite_installation, L1), sqlite_installation.browser()
    without = application.request(code_challenge=None, code_challenge_method=None)
    assert browser.authorize(without).step == "identify"
    for changes in ({"code_challenge_method": "plain"}, {"code_challenge": None}):
        assert browser.authorize(application.request(**changes)).error == "invalid_request"


# AZ-05
@pytest.mark.parametrize(
    "response_type",
    ["token", "id_token", "code id_token", "none", "code code", "code token", "CODE", "code "],
)
def test_no_response_type_but_code_is_answered(
    application: RelyingParty, browser: Browser, response_type: str
) -> None:
    outcome = browser.authorize(application.request(response_type=response_type))
    assert_refused(outcome, "unsupported_response_type")


# AZ-05
@pytest.mark.parametrize("mode", ["query.jwt", "form_post.jwt", "web_message", "Query", "none"])
def test_an_unknown_response_mode_is_refused_in_the_query(
    application: RelyingParty, browser: Browser, mode: str
) -> None:
    outcome = browser.authorize(application.request(response_mode=mode))
    assert_refused(outcome, "invalid_request")
    assert outcome.mode == "query"


# AZ-05
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_errors_travel_in_the_mode_that_was_asked_for(
    application: RelyingParty, browser: Browser, mode: str
) -> None:
    outcome = browser.authorize(application.request(prompt="none", response_mode=mode))
    assert_refused(outcome, "login_required")
    assert outcome.mode == mode


# AZ-09
def test_a_request_uri_is_never_fetched(application: RelyingParty, browser: Browser) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/request"
        for uri in (address, "urn:ietf:params:oauth:request_uri:guess"):
            outcome = browser.authorize(application.request(request_uri=uri))
            assert_refused(outcome, "request_uri_not_supported")
        for name in ("sector_identifier_uri", "jwks_uri"):
            browser.authorize(application.request() | {name: address})
        with pytest.raises(BlockingIOError):
            listener.accept()


# AZ-09
def test_values_of_a_request_object_are_never_used(
    application: RelyingParty, browser: Browser
) -> None:
    inside = json.dumps({"redirect_uri": "https://evil.example/", "response_mode": "fragment"})
    outcome = browser.authorize(application.request(request=quote(inside)))
    assert_refused(outcome, "request_not_supported")
    assert outcome.mode == "query"


REFLECTED = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "100%25 & a=b#c?d+e",
    "状態 🙂",
    "javascript:alert(1)",
    "%0d%0aSet-Cookie: a=b",
    "{{ 7*7 }}",
]


# AZ-10
@pytest.mark.parametrize("state", REFLECTED)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_state_comes_back_exactly_as_it_was_sent(
    application: RelyingParty, browser: Browser, state: str, mode: str
) -> None:
    request = application.request(state=state, response_mode=mode)
    outcome = browser.signed_in(ALICE, request)
    assert outcome.answer["state"] == state
    assert outcome.code and outcome.mode == mode
    silent = browser.authorize(request | {"prompt": "none"})
    assert silent.answer["state"] == state
    assert state not in outcome.response.text or not set("<>\"'&") & set(state)


# AZ-10
@pytest.mark.parametrize("hint", REFLECTED)
def test_a_login_hint_is_shown_as_text(
    application: RelyingParty, browser: Browser, hint: str
) -> None:
    outcome = browser.authorize(application.request(login_hint=hint, ui_locales=hint))
    assert outcome.page.fields["identifier"] == hint
    assert (
        "<script>alert" not in outcome.response.text and "<img src=x" not in outcome.response.text
    )


# AZ-10
@pytest.mark.parametrize("name", ["state", "nonce"])
@pytest.mark.parametrize("value", ["a\0b", "a\r\nX: b", "\x7f", "\t"])
def test_control_characters_are_refused_and_reach_no_header(
    application: RelyingParty, browser: Browser, name: str, value: str
) -> None:
    outcome = browser.authorize(application.request(**{name: value}))
    assert outcome.error == "invalid_request"
    headers = "".join(outcome.response.headers.values())
    assert headers.isprintable()


# AZ-10
@pytest.mark.parametrize("name", sorted(LENGTHS))
def test_a_parameter_over_its_limit_is_refused(
    application: RelyingParty, browser: Browser, name: str
) -> None:
    assert_page(browser.authorize(application.request(**{name: "a" * (LENGTHS[name] + 1)})))


# AZ-10
@pytest.mark.parametrize("broken", ["%ED%A0%80", "%FF", "%C0%AF", "\xff"])
def test_bytes_that_are_not_utf_8_are_refused(
    application: RelyingParty, browser: Browser, broken: str
) -> None:
    encoded = urlencode(application.request(state=None)) + f"&state={broken}"
    raw = {"QUERY_STRING": encoded}
    assert_page(browser.follow(browser.get("/authorize", environ_overrides=raw)))


def test_a_challenge_is_the_digest_of_its_verifier() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
