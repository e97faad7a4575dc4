"""The ID token: every claim exact, nothing shadowed, nothing that could be something else."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from idp.accounts.claims import about, check_profile
from idp.errors import Refused
from tests.idp.oidc.values import register_anew
from tests.support.kit import (
    ADAM,
    ALICE,
    C1,
    C2,
    NOW,
    Browser,
    Installation,
    RelyingParty,
)

PROTOCOL = ("iss", "aud", "sub", "exp", "iat", "nbf", "jti", "nonce", "azp", "acr", "amr",
            "auth_time", "at_hash", "c_hash", "sid", "email_verified", "email", "org_id",
            "org_name", "roles", "groups", "events", "updated_at",
            "phone_number_verified")  # fmt: skip


# ID-01
def test_every_claim_is_exact(application: RelyingParty, browser: Browser) -> None:
    installation = application.installation
    claims = application.claims(browser, ALICE)
    issued = int(NOW.timestamp())
    [session] = installation.sql("SELECT id FROM sessions")
    assert claims == {
        "iss": "https://id.example.test",
        "sub": installation.sub(ALICE),
        "aud": "c1",
        "azp": "c1",
        "iat": issued,
        "exp": issued + 15 * 60,
        "auth_time": issued,
        "nonce": "the nonce",
        "acr": "urn:sekisho:acr:single",
        "amr": ["pwd"],
        "sid": session["id"],
    }


# ID-01
def test_the_subject_is_opaque_and_the_same_everywhere(
    sqlite_installation: Installation,
) -> None:
    subjects = {
        RelyingParty(sqlite_installation, one).claims(sqlite_installation.browser(), ALICE)["sub"]
        for one in (C1, C2)
    }
    [subject] = subjects
    assert subject.isascii() and len(subject) <= 255
    assert "alice" not in subject and "@" not in subject


# ID-01
@pytest.mark.parametrize("nonce", ["n", "a b&c=d", "非常", "'\"<>", "%41", " x "])
def test_the_nonce_comes_back_exactly(
    application: RelyingParty, browser: Browser, nonce: str
) -> None:
    assert application.claims(browser, ALICE, nonce=nonce)["nonce"] == nonce


# CONFORMANCE: without-nonce-succeeds
def test_a_nonce_that_was_not_sent_is_not_there(
    application: RelyingParty, browser: Browser
) -> None:
    assert "nonce" not in application.claims(browser, ALICE, nonce=None)


# ID-01
def test_auth_time_is_when_the_person_was_last_asked(
    application: RelyingParty, browser: Browser
) -> None:
    application.claims(browser, ALICE)
    application.installation.pass_time(minutes=10)
    claims = application.claims(browser, ALICE)
    assert claims["iat"] - claims["auth_time"] == 600
    assert application.claims(browser, ALICE, prompt="login")["auth_time"] == claims["iat"]


def test_a_renewed_sign_in_keeps_its_sid(application: RelyingParty, browser: Browser) -> None:
    first = application.claims(browser, ALICE)
    application.installation.pass_time(minutes=1)
    again = application.claims(browser, ALICE, prompt="login")
    assert again["sid"] == first["sid"]
    elsewhere = application.claims(application.installation.browser(), ALICE)
    assert elsewhere["sid"] != first["sid"]


# ID-11
def test_an_id_token_says_its_type_and_nothing_else_in_its_header(
    application: RelyingParty, browser: Browser
) -> None:
    token = application.tokens(browser, ALICE)["id_token"]
    assert set(jws.extract_compact(token.encode()).headers()) == {"alg", "kid", "typ"}


# CONFORMANCE: idtoken-signature; ID-04
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_each_client_gets_its_algorithm(
    application: RelyingParty, browser: Browser, alg: str
) -> None:
    register_anew(application, id_token_signed_response_alg=alg)
    token = application.tokens(browser, ALICE)["id_token"]
    header = jws.extract_compact(token.encode()).headers()
    keys = application.backend.get("/jwks").get_json()["keys"]
    [key] = [key for key in keys if key["kid"] == header["kid"]]
    assert (header["alg"], key["alg"]) == (alg, alg)
    if alg != "EdDSA":  # joserfc warns of that name; keys/ verifies such tokens.
        jws.deserialize_compact(token, KeySet.import_key_set({"keys": keys}), algorithms=[alg])


# ID-04
@pytest.mark.parametrize("alg", ["none", "HS256", "RS512", "rs256", "", 7, ["RS256"]])
def test_another_algorithm_cannot_be_registered(application: RelyingParty, alg: object) -> None:
    with pytest.raises(Refused, match="id_token_signed_response_alg"):
        register_anew(application, id_token_signed_response_alg=alg)


# ID-04
def test_an_algorithm_that_got_into_the_database_signs_nothing(
    application: RelyingParty, browser: Browser
) -> None:
    code = application.code(browser, ALICE)
    application.installation.sql(
        "UPDATE clients SET members = replace(members, '\"first_party\"',"
        ' \'"id_token_signed_response_alg": "none", "first_party"\')'
    )
    response = application.redeem(code)
    assert response.status_code >= 400 and "id_token" not in response.text


# ID-02
@pytest.mark.parametrize("name", PROTOCOL)
def test_a_reserved_name_is_no_profile_attribute(name: str) -> None:
    with pytest.raises(Refused):
        check_profile({name: "x"})


# ID-02
def test_an_attribute_that_got_into_the_database_shadows_nothing(
    application: RelyingParty, browser: Browser
) -> None:
    everything = "openid profile email phone address org"
    honest = application.claims(browser, ALICE, scope=everything)
    kept = {"phone_number": ALICE.profile["phone_number"]}
    planted = json.dumps(dict.fromkeys(PROTOCOL, "planted") | {"iss#x": "planted"} | kept)
    application.installation.sql("UPDATE users SET profile = :planted", planted=planted)
    by_name = json.dumps({"id_token": dict.fromkeys(PROTOCOL)})
    claims = application.claims(browser, ALICE, scope=everything, claims=by_name)
    for name in PROTOCOL:
        assert claims.get(name) == honest.get(name), name
    assert "iss#x" not in claims


# ID-02
def test_claims_are_picked_by_name_and_never_merged() -> None:
    row = SimpleNamespace(profile={"sub": "x", "given_name": "A", "password_hash": "y"})
    row.name, row.login_id, row.email, row.updated_at = "A", None, "a@a.example", NOW
    assert set(about(row, ["profile"])) == {
        "name", "given_name", "preferred_username", "updated_at"
    }  # fmt: skip


# ID-05
def test_email_verified_is_true_only_where_somebody_vouched(
    application: RelyingParty, browser: Browser
) -> None:
    told = [
        application.claims(application.installation.browser(), person, scope="openid email")
        for person in (ALICE, ADAM)
    ]
    assert [claims["email_verified"] for claims in told] == [True, False]


# CONFORMANCE: no private claims in ID tokens unless asked for
def test_private_claims_appear_only_with_their_scope(
    application: RelyingParty, browser: Browser
) -> None:
    without = application.claims(browser, ALICE, scope="openid profile email")
    assert not {"org_id", "org_name", "roles", "groups"} & set(without)
    assert {"org_id", "org_name", "roles"} <= set(
        application.claims(browser, ALICE, scope="openid org")
    )


# CONFORMANCE: scope-*, server
def test_a_client_may_have_its_scope_claims_at_userinfo_alone(
    application: RelyingParty, browser: Browser
) -> None:
    register_anew(application, claims_in="userinfo")
    tokens = application.tokens(browser, ALICE, scope="openid email")
    assert "email" not in application.verify(tokens["id_token"])
    assert application.userinfo(tokens["access_token"]).get_json()["email"] == ALICE.email


def test_a_client_may_have_another_lifetime(application: RelyingParty, browser: Browser) -> None:
    register_anew(application, id_token_minutes=2)
    claims = application.claims(browser, ALICE)
    assert claims["exp"] - claims["iat"] == 120
