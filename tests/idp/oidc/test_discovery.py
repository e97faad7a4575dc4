"""Discovery and key set: they say exactly what works, and nothing secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from idp import assurance
from tests.support.kit import (
    ALICE,
    C1,
    ISSUER,
    Browser,
    Installation,
    RelyingParty,
)

PATH = "/.well-known/openid-configuration"


@pytest.fixture
def metadata(browser: Browser) -> dict[str, Any]:
    document: dict[str, Any] = browser.get(PATH).get_json()
    return document


# CONFORMANCE: discovery-endpoint-verification
def test_the_issuer_is_the_same_everywhere_to_the_character(
    application: RelyingParty, browser: Browser, metadata: dict[str, Any]
) -> None:
    answer = application.arrive(browser, ALICE)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert {metadata["issuer"], claims["iss"], answer.answer["iss"]} == {ISSUER}


def test_every_required_member_is_there_and_every_endpoint_exists(
    sqlite_installation: Installation, metadata: dict[str, Any]
) -> None:
    required = {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri",
                "response_types_supported", "subject_types_supported",
                "id_token_signing_alg_values_supported"}  # fmt: skip
    assert required <= set(metadata)
    rules = {str(rule) for rule in sqlite_installation.app.url_map.iter_rules()}
    endpoints = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(endpoints) >= 5
    for endpoint in endpoints:
        assert endpoint.startswith(ISSUER + "/")
        assert endpoint.removeprefix(ISSUER) in rules


# AZ-05, CONFORMANCE: unsigned-request-object, refresh-token
def test_nothing_is_advertised_that_is_refused(metadata: dict[str, Any]) -> None:
    assert metadata["response_types_supported"] == ["code"]
    assert metadata["grant_types_supported"] == ["authorization_code"]
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["request_parameter_supported"] is False
    assert metadata["request_uri_parameter_supported"] is False
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    text = json.dumps(metadata)
    assert "refresh_token" not in text and "offline_access" not in text
    assert "HS256" not in text and '"none"' not in json.dumps(
        metadata["id_token_signing_alg_values_supported"]
    )


def test_everything_advertised_works(
    application: RelyingParty, browser: Browser, metadata: dict[str, Any]
) -> None:
    for mode in metadata["response_modes_supported"]:
        outcome = application.arrive(browser, ALICE, response_mode=mode)
        assert outcome.mode == mode and outcome.code
    scopes = " ".join(metadata["scopes_supported"])
    tokens = application.tokens(browser, ALICE, scope=scopes)
    assert tokens["scope"].split() == metadata["scopes_supported"]
    told = application.userinfo(tokens["access_token"]).get_json()
    named = {name.partition("#")[0] for name in told}
    assert named <= set(metadata["claims_supported"])
    assert set(metadata["acr_values_supported"]) == set(assurance.LEVELS)


def test_every_claim_of_an_id_token_is_advertised(
    application: RelyingParty, browser: Browser, metadata: dict[str, Any]
) -> None:
    scopes = " ".join(metadata["scopes_supported"])
    claims = application.claims(browser, ALICE, scope=scopes)
    assert {name.partition("#")[0] for name in claims} <= set(metadata["claims_supported"])


@pytest.mark.parametrize("path", [PATH, "/jwks"])
def test_both_documents_may_be_kept_by_everybody(browser: Browser, path: str) -> None:
    response = browser.get(path, headers={"Origin": "https://anywhere.example"})
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Set-Cookie" not in response.headers
    etag = response.headers["ETag"]
    again = browser.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert browser.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert browser.post(path).status_code == 405


# ID-06
def test_the_key_set_has_public_members_alone(browser: Browser) -> None:
    keys = browser.get("/jwks").get_json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256", "EdDSA"}
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert key["kty"] in ("RSA", "EC", "OKP") and key["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)
        if key["kty"] == "RSA":
            assert len(key["n"]) >= 342  # 2048 bits


# ID-06
@pytest.mark.parametrize(
    "guess", ["/keys", "/keys/1", "/jwks/1", "/jwks.json", "/private", "/.env"]
)
def test_keys_have_no_other_address(browser: Browser, guess: str) -> None:
    assert browser.get(guess).status_code == 404


# ID-07, CONFORMANCE: server-rotate-keys
def test_a_rotated_key_is_announced_longer_than_anybody_caches_and_kept(
    installation: Installation,
) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    keyring = installation.services.keyring
    old = application.tokens(browser, ALICE)["id_token"]
    before = {key["kid"] for key in browser.get("/jwks").get_json()["keys"]}
    keyring.rotate("RS256", installation.clock.now())
    [announced] = {key["kid"] for key in browser.get("/jwks").get_json()["keys"]} - before
    cached = browser.get("/jwks").get_json()
    installation.pass_time(hours=23, minutes=59)
    assert announced not in kids_of(application.tokens(browser, ALICE)["id_token"])
    installation.pass_time(minutes=2)
    new = application.tokens(browser, ALICE)["id_token"]
    assert kids_of(new) == {announced} <= {key["kid"] for key in cached["keys"]}
    now = {key["kid"] for key in browser.get("/jwks").get_json()["keys"]}
    assert kids_of(old) <= now
    hinted = browser.authorize(application.request(prompt="none", id_token_hint=old))
    assert hinted.code


# ID-08
def test_a_withdrawn_key_signs_nothing_and_vouches_for_nothing(
    sqlite_installation: Installation,
) -> None:
    application, browser = RelyingParty(sqlite_installation, C1), sqlite_installation.browser()
    old = application.tokens(browser, ALICE)["id_token"]
    [kid] = kids_of(old)
    sqlite_installation.services.keyring.withdraw(kid, sqlite_installation.clock.now())
    sqlite_installation.clock.instant += timedelta(seconds=60)
    assert kid not in browser.get("/jwks").get_data(as_text=True)
    assert kids_of(application.tokens(browser, ALICE)["id_token"]) != {kid}
    hinted = browser.authorize(application.request(prompt="none", id_token_hint=old))
    assert hinted.error == "invalid_request"
    page = browser.follow(browser.get("/end_session", {"id_token_hint": old}))
    assert page.page.action  # asks first


def kids_of(token: str) -> set[str]:
    """The `kid` of a token, as a set of one."""
    from joserfc import jws

    return {str(jws.extract_compact(token.encode()).headers()["kid"])}
