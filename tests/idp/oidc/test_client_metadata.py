"""What may be registered about a client."""

from __future__ import annotations

from typing import Any

import pytest

from idp.errors import Refused
from idp.oidc.client_metadata import MAXIMUM_URIS, check

GOOD: dict[str, Any] = {"redirect_uris": ["https://app.example/cb"]}


def test_what_is_not_said_has_the_default_of_the_specification() -> None:
    checked, unused = check(GOOD)
    assert checked == GOOD | {
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
    }
    assert unused == []


# RU-03
@pytest.mark.parametrize("member", ["redirect_uris", "post_logout_redirect_uris"])
@pytest.mark.parametrize(
    "uri",
    [
        "https://*.example/cb",
        "https://app.example/*",
        "https://app.example/cb#f",
        "https://app.example/cb#",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://app.example/x",
        "http://app.example/cb",
        "http://localhost.evil.test/cb",
        "ftp://app.example/cb",
        "https://user@app.example/cb",
        "https://user:pw@app.example/cb",
        "https://@app.example/cb",
        "https://192.0.2.1/cb",
        "https://[2001:db8::1]/cb",
        "https://2130706433/cb",
        "https://0x7f.1/cb",
        "http://0.0.0.0/cb",
        "https:///cb",
        "https:/app.example/cb",
        "https://",
        "//app.example/cb",
        "/cb",
        "",
        "cb",
        "https://app.example/c b",
        "https://app.example/\tcb",
        "https://app.example/cb\n",
        "https://app.example\\cb",
        "https://\u0430pp.example/cb",
        "https://app.example:port/cb",
        "https://app.example:99999/cb",
        "https://[::1/cb",
        "https://app.example/" + "x" * 2048,
        None,
        7,
        ["https://app.example/cb"],
        {},
    ],
    ids=str,
)
def test_a_uri_that_a_browser_must_not_be_sent_to_is_refused(member: str, uri: object) -> None:
    with pytest.raises(Refused, match=member):
        check(GOOD | {member: [uri]})


# RU-03
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example:8443/cb?tenant=7",
        "https://app.example/cb?x=%41",
        "http://127.0.0.1:8421/cb",
        "http://localhost:8421/cb",
        "http://[::1]/cb",
        "https://xn--80ak6aa92e.example/cb",
    ],
)
def test_a_uri_for_a_web_application_is_kept_as_it_is(uri: str) -> None:
    checked, _ = check({"redirect_uris": [uri]})
    assert checked["redirect_uris"] == [uri]


# RU-03
@pytest.mark.parametrize("uri", ["com.example.app:/cb", "com.example.app:cb"])
def test_a_private_scheme_is_for_native_applications(uri: str) -> None:
    assert check({"redirect_uris": [uri], "application_type": "native"})
    with pytest.raises(Refused, match="native"):
        check({"redirect_uris": [uri]})


# RU-03
@pytest.mark.parametrize("uri", ["app:/cb", "myapp://cb", "com.example.app://evil.example/cb"])
def test_a_private_scheme_has_a_dot_and_no_host(uri: str) -> None:
    with pytest.raises(Refused, match="redirect_uris"):
        check({"redirect_uris": [uri], "application_type": "native"})


# RU-03
def test_the_number_of_uris_is_limited() -> None:
    uris = [f"https://app.example/{number}" for number in range(1000)]
    assert check({"redirect_uris": uris[:MAXIMUM_URIS]})
    with pytest.raises(Refused, match="redirect_uris"):
        check({"redirect_uris": uris})


@pytest.mark.parametrize("redirect_uris", [None, [], "https://app.example/cb", {}, 7])
def test_there_must_be_a_list_of_redirect_uris(redirect_uris: object) -> None:
    with pytest.raises(Refused, match="redirect_uris"):
        check({"redirect_uris": redirect_uris})


REFUSED: list[tuple[str, object]] = [
    ("token_endpoint_auth_method", "private_key_jwt"),
    ("token_endpoint_auth_method", "client_secret_jwt"),
    ("token_endpoint_auth_method", ["none"]),
    ("application_type", "desktop"),
    ("subject_type", "pairwise"),
    ("id_token_signed_response_alg", "none"),
    ("id_token_signed_response_alg", "HS256"),
    ("id_token_signed_response_alg", "rs256"),
    ("id_token_encrypted_response_alg", "RSA-OAEP"),
    ("userinfo_signed_response_alg", "RS256"),
    ("require_signed_request_object", True),
    ("require_pushed_authorization_requests", True),
    ("sector_identifier_uri", "https://app.example/sector"),
    ("software_statement", "x"),
    ("grant_types", ["client_credentials"]),
    ("grant_types", "authorization_code"),
    ("response_types", ["token"]),
    ("response_types", ["id_token"]),
    ("default_max_age", -1),
    ("default_max_age", "300"),
    ("default_max_age", True),
    ("require_auth_time", "yes"),
    ("require_pkce", 1),
    ("first_party", "true"),
    ("id_token_minutes", 0),
    ("id_token_minutes", 61),
    ("claims_in", "both"),
    ("client_name", ""),
    ("client_name", "x" * 65),
    ("client_name", "two\x00lines"),
    ("client_name", 7),
    ("client_uri", "javascript:alert(1)"),
    ("policy_uri", "http://app.example/"),
    ("tos_uri", "com.example.app:/terms"),
    ("web_origins", ["https://app.example/path"]),
    ("web_origins", ["https://app.example/"]),
    ("web_origins", ["*"]),
    ("web_origins", ["null"]),
    ("contacts", "a@a.example"),
    ("contacts", [7]),
    ("default_acr_values", ["x" * 300]),
]


# RU-05, ID-04
@pytest.mark.parametrize(("name", "value"), REFUSED, ids=str)
def test_what_cannot_be_honoured_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(Refused) as refusal:
        check(GOOD | {name: value})
    assert refusal.value.member == name


def test_grants_and_response_types_that_are_not_offered_are_named_and_left_out() -> None:
    checked, unused = check(
        GOOD
        | {
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code", "code token"],
        }
    )
    assert checked["grant_types"] == ["authorization_code"]
    assert checked["response_types"] == ["code"]
    assert unused == ["grant_types: refresh_token", "response_types: code token"]


def test_members_that_nobody_knows_are_kept_and_named() -> None:
    checked, unused = check(GOOD | {"logo_uri#ja": "https://app.example/x", "x_vendor": {"a": 1}})
    assert unused == ["logo_uri#ja", "x_vendor"]
    assert checked["x_vendor"] == {"a": 1}


@pytest.mark.parametrize(
    ("name", "value"), [("x" * 65, 1), ("a b", 1), ("<b>", 1), ("big", "x" * 9000)]
)
def test_members_that_are_too_odd_to_keep_are_refused(name: str, value: object) -> None:
    with pytest.raises(Refused):
        check(GOOD | {name: value})


# AZ-03
def test_a_public_client_cannot_be_exempt_from_pkce() -> None:
    with pytest.raises(Refused, match="PKCE"):
        check(GOOD | {"token_endpoint_auth_method": "none", "require_pkce": False})


def test_a_member_that_only_we_may_set_cannot_be_given() -> None:
    checked, unused = check(GOOD | {"has_short_secret": False})
    assert "has_short_secret" in unused or "has_short_secret" not in checked
