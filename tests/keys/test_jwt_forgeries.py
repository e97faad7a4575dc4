from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey

from keys import jwt
from keys.signer import base64url
from keys.signing_key import ALGORITHMS
from tests.keys.factories import DAY, NOW, a_keyring, a_token, claims, verify
from tests.keys.forging import good_header, payload, refused, signed, the_keyring

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


# ID-12
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AA"])
def test_an_unsigned_token_is_refused(alg: str, signature: str) -> None:
    head = base64url(json.dumps(good_header() | {"alg": alg}).encode()).decode()
    assert refused(f"{head}.{base64url(payload()).decode()}.{signature}")


# ID-12, CVE-2024-37568
@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
@pytest.mark.filterwarnings("ignore")
def test_a_public_key_used_as_a_shared_secret_is_refused(alg: str) -> None:
    keyring = the_keyring()
    key = keyring.public_key(keyring.signer(alg, NOW).kid, NOW)
    assert key is not None
    secrets = (keyring.jwks(NOW).body, json.dumps(dict(key.public_jwk)).encode())
    for secret in secrets:
        forged = jws.serialize_compact(
            {"alg": "HS256", "kid": key.kid, "typ": "JWT"},
            payload(),
            OctKey.import_key(secret),
            algorithms=["HS256"],
        )
        assert refused(forged)


@pytest.mark.parametrize("alg", ["RS256", "EdDSA", "HS256", "ES384", "es256", "Ed25519", 1, None])
def test_the_algorithm_must_be_that_of_the_key(alg: object) -> None:
    assert refused(signed(good_header() | {"alg": alg}, payload()))


# ID-11
@pytest.mark.parametrize("typ", ["logout+jwt", "jwt", "at+jwt", "", "JWT ", "application/jwt", 1])
def test_a_token_of_another_type_is_refused(typ: object) -> None:
    assert refused(signed(good_header() | {"typ": typ}, payload()))


# ID-11
def test_id_tokens_and_logout_tokens_do_not_pass_for_each_other() -> None:
    token = a_token(the_keyring(), typ="logout+jwt")
    assert refused(token)
    assert verify(token, the_keyring(), typ="logout+jwt")
    assert refused(a_token(the_keyring()), typ="logout+jwt")


# ID-12, CVE-2026-27962
@pytest.mark.parametrize(
    "member",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x5"},
        {"x5c": ["AA"]},
        {"x5t": "AA"},
        {"b64": False, "crit": ["b64"]},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A128GCM"},
        {"": ""},
    ],
)
def test_any_other_header_member_is_refused_even_when_well_signed(
    member: dict[str, object],
) -> None:
    assert refused(signed(good_header() | member, payload()))


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_each_header_member_is_needed(name: str) -> None:
    header = good_header()
    del header[name]
    assert refused(signed(header, payload()))


@pytest.mark.parametrize("kid", ["", "unknown", "../../dev/null", 1, None, [], {}, True, "\x00"])
def test_an_unknown_kid_is_refused(kid: object) -> None:
    assert refused(signed(good_header() | {"kid": kid}, payload()))


# ID-08
def test_a_token_of_a_withdrawn_key_is_refused() -> None:
    keyring = a_keyring()
    token = a_token(keyring)
    keyring.withdraw(keyring.signer("ES256", NOW).kid, NOW)
    assert refused(token, keyring)


def test_a_token_of_a_key_that_is_gone_is_refused() -> None:
    keyring = a_keyring()
    token = a_token(keyring)
    keyring.rotate("ES256", NOW, immediately=True)
    assert verify(token, keyring, now=NOW + 29 * DAY, expired_for=90 * DAY)
    assert refused(token, keyring, now=NOW + 30 * DAY, expired_for=90 * DAY)


# ID-11
def test_a_foreign_key_under_our_kid_is_refused() -> None:
    header = json.dumps(good_header()).encode()
    data = base64url(header) + b"." + base64url(payload())
    foreign = a_keyring().signer("ES256", NOW).sign(data)
    assert refused((data + b"." + base64url(foreign)).decode())
    assert refused(a_token(a_keyring()))


@pytest.mark.parametrize("other", [{"sub": "s-2"}, {"aud": "client-2"}, {"exp": 9999999999}])
def test_a_changed_payload_is_refused(other: dict[str, object]) -> None:
    head, _, signature = a_token(the_keyring()).split(".")
    altered = base64url(payload(**other)).decode()
    assert refused(f"{head}.{altered}.{signature}", audience=other.get("aud", "client-1"))


def test_an_oversized_token_is_refused_before_anything_else() -> None:
    fits = signed(good_header(), payload(pad="x" * 5700))
    assert len(fits) < jwt.MAX_TOKEN_BYTES
    assert verify(fits, the_keyring())
    assert refused(signed(good_header(), payload(pad="x" * 6000)))


def test_other_serializations_are_refused() -> None:
    head, body, signature = a_token(the_keyring()).split(".")
    flattened = {"protected": head, "payload": body, "signature": signature}
    general = {"payload": body, "signatures": [{"protected": head, "signature": signature}]}
    assert refused(json.dumps(flattened))
    assert refused(json.dumps(general))


@pytest.mark.parametrize(
    "form",
    [
        "{h}.{p}",
        "{h}.{p}.",
        "{h}..{s}",
        ".{p}.{s}",
        "{h}.{p}.{s}.",
        ".{h}.{p}.{s}",
        "{h}.{p}.{s}.{s}",
        "{h}.{p}.{s}.{s}.{s}",
        " {h}.{p}.{s}",
        "{h}.{p}.{s}\n",
        "{h}.{p}.{s}=",
        "{h}.{p}.{s}==",
        "{h}. {p}.{s}",
        "{h}.{p}.{s}é",
        "{h}.{p}.\u0661{s}",
        "{h}\x00.{p}.{s}",
        "{p}.{h}.{s}",
        "{h}.{s}.{p}",
        "{s}.{p}.{h}",
        "{h}+.{p}.{s}",
        "{h}/.{p}.{s}",
        "",
        ".",
        "..",
        "...",
    ],
)
def test_only_three_whole_segments_in_order_are_accepted(form: str) -> None:
    head, body, signature = a_token(the_keyring()).split(".")
    assert refused(form.format(h=head, p=body, s=signature))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_character_of_a_token_can_be_changed(alg: str) -> None:
    token = a_token(the_keyring(), alg=alg)
    for place, character in enumerate(token):
        if character == ".":
            continue
        # The neighbour differs in the lowest bit, which a careless decoder drops at the end.
        other = ALPHABET[ALPHABET.index(character) ^ 1]
        assert refused(token[:place] + other + token[place + 1 :])


@settings(max_examples=300)
@given(place=st.integers(min_value=0, max_value=4000), character=st.sampled_from(ALPHABET + ".="))
def test_no_character_can_be_put_in_or_left_out(place: int, character: str) -> None:
    token = a_token(the_keyring())
    at = place % (len(token) + 1)
    assert refused(token[:at] + character + token[at:])
    assert refused(token[:at][:-1] + token[at:] if at else token[1:])


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{0,60}(\.[\w-]{0,60}){0,4}"))
def test_no_text_that_is_not_a_token_does_harm(text: str) -> None:
    assert refused(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), values))
def test_no_header_of_wrong_types_is_accepted(header: dict[str, object]) -> None:
    assert refused(signed(good_header() | header | {"typ": header.get("typ")}, payload()))


@given(
    name=st.sampled_from(["iss", "aud", "exp", "iat"]),
    value=values.filter(lambda value: type(value) is not int),
)
def test_no_needed_claim_of_another_type_is_accepted(name: str, value: object) -> None:
    body = json.dumps(claims() | {name: value}).encode()
    assert refused(signed(good_header(), body))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"{}",
        b"[" * 6000,
        b'{"a":' * 1100 + b"1" + b"}" * 1100,
        b'{"exp":' + b"9" * 5000 + b"}",
    ],
)
def test_a_payload_or_header_that_is_no_good_json_object_is_refused(text: bytes) -> None:
    assert refused(signed(good_header(), text))
    assert refused(signed(text, payload()))


# ID-12
def test_doubled_json_members_are_refused() -> None:
    doubled_claim = payload()[:-1] + b', "sub": "s-2"}'
    doubled_inside = payload()[:-1] + b', "org": {"id": 1, "id": 2}}'
    assert refused(signed(good_header(), doubled_claim))
    assert refused(signed(good_header(), doubled_inside))
    doubled_header = json.dumps(good_header()).encode()[:-1] + b', "alg": "ES256"}'
    assert refused(signed(doubled_header, payload()))
