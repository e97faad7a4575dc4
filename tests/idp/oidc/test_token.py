"""The token endpoint: one code, one client, one redemption."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from werkzeug.test import TestResponse

from tests.support.kit import (
    ALICE,
    BELLA,
    C1,
    C2,
    L1,
    N1,
    P1,
    VERIFIER,
    Application,
    Browser,
    Installation,
    RelyingParty,
    basic,
)

FORM = "application/x-www-form-urlencoded"


def test_the_answer_is_what_the_specifications_say(application: RelyingParty, code: str) -> None:
    response = application.redeem(code)
    body = response.get_json()
    assert response.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert body["token_type"] == "Bearer" and body["expires_in"] == 300
    assert body["scope"] == "openid"
    assert len(body["access_token"]) >= 43


# TK-13
def test_no_answer_may_be_kept_or_taken_for_a_page(application: RelyingParty, code: str) -> None:
    refused = application.redeem("nothing")
    for response in (refused, application.redeem(code), application.redeem(None)):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Pragma"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.mimetype == "application/json"
        assert "Set-Cookie" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers
    assert code not in refused.text


# TK-01
@pytest.mark.parametrize("seconds", [0, 30, 90])
def test_a_code_shown_again_is_refused_and_ends_what_it_gave(
    installation: Installation, seconds: int
) -> None:
    application = RelyingParty(installation, C1)
    code = application.code(installation.browser(), ALICE)
    handle = application.redeem(code).get_json()["access_token"]
    assert application.userinfo(handle).status_code == 200
    installation.pass_time(seconds=seconds)
    again = application.redeem(code)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert application.userinfo(handle).status_code == 401
    assert installation.events()[-1] == "code.replayed"


# TK-03
def test_a_code_is_burnt_by_another_client_that_proves_who_it_is(
    application: RelyingParty, code: str
) -> None:
    other = RelyingParty(application.installation, C2)
    assert other.redeem(code).get_json()["error"] == "invalid_grant"
    assert application.redeem(code).get_json()["error"] == "invalid_grant"
    [alarm] = application.installation.sql("SELECT * FROM audit WHERE event = 'code.misused'")
    assert (alarm["client_id"], alarm["actor"]) == ("c1", "client:c2")


# TK-03
@pytest.mark.parametrize("registered", [P1, N1], ids=lambda one: one.client_id)
def test_a_code_is_not_burnt_by_somebody_who_proves_nothing(
    application: RelyingParty, code: str, registered: Application
) -> None:
    stranger = RelyingParty(application.installation, registered)
    assert stranger.redeem(code).get_json()["error"] == "invalid_grant"
    backend = application.backend
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    for headers, proof in [
        (basic("c1", "wrong"), {}),
        (basic("c2", C1.secret or ""), {}),
        ({}, {"client_id": "c1"}),
        ({}, {}),
    ]:
        assert backend.post("/token", form | proof, headers=headers).status_code == 401
    assert application.redeem(code).status_code == 200


# TK-03
@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + "A", lambda c: c.swapcase()])
def test_a_code_that_was_altered_is_none(
    application: RelyingParty, code: str, change: object
) -> None:
    assert callable(change)
    assert application.redeem(change(code)).get_json()["error"] == "invalid_grant"
    assert application.redeem(code).status_code == 200


# TK-03
def test_the_session_that_a_code_names_cannot_be_exchanged(
    application: RelyingParty, code: str
) -> None:
    other = application.code(application.installation.browser(), BELLA)
    assert "." in code
    for first, second in [(code, other), (other, code)]:
        swapped = first.partition(".")[0] + "." + second.partition(".")[2]
        assert application.redeem(swapped).get_json()["error"] == "invalid_grant"
    for mine, person in [(code, ALICE), (other, BELLA)]:
        token = application.redeem(mine).get_json()["id_token"]
        assert application.verify(token)["sub"] == application.installation.sub(person)


# TK-04
@pytest.mark.parametrize(
    "redirect_uri",
    [None, "https://c1.example.test/cb/", "https://c1.example.test/%63b",
     "https://c2.example.test/cb?tenant=7", "HTTPS://c1.example.test/cb"],
)  # fmt: skip
def test_redemption_needs_the_identical_redirect_uri(
    application: RelyingParty, code: str, redirect_uri: str | None
) -> None:
    response = application.redeem(code, redirect_uri=redirect_uri)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")


# TK-05, AZ-04
@pytest.mark.parametrize(
    "verifier",
    [None, "wrong" * 10, VERIFIER[:42], "a" * 129, VERIFIER + "\n", VERIFIER + " ", "é" * 43,
     "a" * 42 + "!", "[]"],
)  # fmt: skip
def test_a_wrong_verifier_burns_the_code(
    application: RelyingParty, code: str, verifier: str | None
) -> None:
    response = application.redeem(code, code_verifier=verifier)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")
    assert application.redeem(code).get_json()["error"] == "invalid_grant"


# TK-01, TK-05
def test_a_refused_redemption_leaves_no_handle_and_no_false_alarm(
    application: RelyingParty, browser: Browser
) -> None:
    installation = application.installation
    other = RelyingParty(installation, C2)
    refusals: list[Callable[[str], TestResponse]] = [
        lambda code: application.redeem(code, code_verifier="wrong" * 10),
        lambda code: application.redeem(code, redirect_uri="https://elsewhere.example.test/"),
        other.redeem,
    ]
    for refuse in refusals:
        code = application.code(browser, ALICE)
        before = len(installation.state_entries())
        assert refuse(code).get_json()["error"] == "invalid_grant"
        assert len(installation.state_entries()) == before - 1, "only the code has gone"
        assert application.redeem(code).get_json()["error"] == "invalid_grant"
    assert "code.replayed" not in installation.events()


# TK-05
def test_the_challenge_is_not_its_own_verifier(application: RelyingParty, code: str) -> None:
    challenge = application.request()["code_challenge"]
    assert application.redeem(code, code_verifier=challenge).status_code == 400


# AZ-04
def test_a_stripped_challenge_is_noticed(sqlite_installation: Installation) -> None:
    stripped: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    for registered in (C1, P1):
        application = RelyingParty(sqlite_installation, registered)
        outcome = sqlite_installation.browser().authorize(application.request(**stripped))
        assert outcome.error == "invalid_request"
    exempt = RelyingParty(sqlite_installation, L1)
    browser = sqlite_installation.browser()
    code = exempt.code(browser, ALICE, **stripped)
    assert exempt.redeem(code).get_json()["error"] == "invalid_grant"
    again = exempt.code(browser, ALICE, **stripped)
    assert exempt.redeem(again, code_verifier=None).status_code == 200


# TK-06
@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (60, 400), (61, 400), (3600, 400)])
def test_a_code_lives_a_minute(installation: Installation, seconds: int, status: int) -> None:
    application = RelyingParty(installation, C1)
    code = application.code(installation.browser(), ALICE)
    installation.pass_time(seconds=seconds)
    assert application.redeem(code).status_code == status


# TK-07
def test_parameters_in_the_address_count_for_nothing(application: RelyingParty, code: str) -> None:
    headers, _ = application.credentials()
    everything = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": C1.redirect_uri,
        "code_verifier": VERIFIER,
        "client_id": "c1",
        "client_secret": C1.secret or "",
    }
    backend = application.backend
    path = "/token?" + urlencode(everything)
    assert backend.get(path).status_code == 405
    assert backend.post(path, {}).get_json()["error"] == "invalid_request"
    only_code_outside = {name: everything[name] for name in everything if name != "code"}
    only_code_outside.pop("client_secret")
    refused = backend.post(f"/token?code={quote(code)}", only_code_outside, headers=headers)
    assert refused.get_json()["error"] == "invalid_request"
    assert application.redeem(code).status_code == 200


# TK-11
@pytest.mark.parametrize(
    "grant_type",
    ["password", "client_credentials", "refresh_token", "implicit", "AUTHORIZATION_CODE",
     "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba",
     "urn:ietf:params:oauth:grant-type:token-exchange",
     "urn:ietf:params:oauth:grant-type:jwt-bearer"],
)  # fmt: skip
def test_no_other_grant_is_offered(application: RelyingParty, code: str, grant_type: str) -> None:
    extra = {"username": ALICE.email, "password": "x", "refresh_token": code, "scope": "openid"}
    response = application.redeem(code, grant_type=grant_type, **extra)
    assert (response.status_code, response.get_json()["error"]) == (400, "unsupported_grant_type")
    assert application.redeem(code).status_code == 200


# TK-11
def test_offline_access_brings_no_refresh_token(
    application: RelyingParty, browser: Browser
) -> None:
    tokens = application.tokens(browser, ALICE, scope="openid offline_access", prompt="consent")
    assert "refresh_token" not in tokens and tokens["scope"] == "openid"


# TK-15
def test_a_code_dies_with_its_session(application: RelyingParty, browser: Browser) -> None:
    application.tokens(browser, ALICE)
    waiting = browser.authorize(application.request()).code
    page = browser.follow(browser.get("/end_session"))
    browser.submit(page)
    assert application.redeem(waiting).get_json()["error"] == "invalid_grant"


# TK-16
def test_values_of_other_kinds_are_no_codes_and_are_not_spent(
    application: RelyingParty, browser: Browser, code: str
) -> None:
    tokens = application.redeem(code).get_json()
    page = browser.authorize(application.request(prompt="login"))
    interaction = page.path.split("/")[2]
    handle = tokens["access_token"]
    others = [handle, handle.partition(".")[0], tokens["id_token"], interaction,
              page.page.fields["csrf"], *browser.cookies().values()]  # fmt: skip
    for value in others:
        assert application.redeem(value).get_json()["error"] == "invalid_grant"
    assert application.userinfo(handle).status_code == 200
    application.installation.pass_time(seconds=1)
    fresh = browser.sign_in(page, ALICE).code
    assert browser.get(f"/login/{fresh}").status_code == 400
    assert browser.get(f"/authorize/resume/{fresh}").status_code == 400
    assert application.userinfo(fresh).status_code == 401
    assert application.redeem(fresh).status_code == 200


@pytest.mark.parametrize("missing", ["grant_type", "code"])
def test_a_missing_parameter_is_an_invalid_request(
    application: RelyingParty, code: str, missing: str
) -> None:
    changes = {"grant_type": None} if missing == "grant_type" else {}
    response = application.redeem(None if missing == "code" else code, **changes)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


def test_a_body_that_is_no_form_is_an_invalid_request(application: RelyingParty) -> None:
    headers, _ = application.credentials()
    for body, content_type in [(b"{}", "application/json"), (b"a=b", "text/plain"), (b"", "")]:
        response = application.backend.post(
            "/token", data=body, content_type=content_type, headers=headers
        )
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")
