from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jws import JWSRegistry

from keys import jwt
from keys.signing_key import ALGORITHMS
from tests.keys.factories import ISSUER, NOW, a_token, claims, verify
from tests.keys.forging import good_header, payload, refused, segments, signed, the_keyring

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_we_sign_comes_back_whole(alg: str) -> None:
    token = a_token(the_keyring(), alg=alg, name="関所 花子", amr=["pwd"], auth_time=1)
    header, _ = segments(token)
    kid = the_keyring().signer(alg, NOW).kid
    assert header == {"alg": alg, "kid": kid, "typ": "JWT"}
    found = verify(token, the_keyring())
    assert found == claims(name="関所 花子", amr=["pwd"], auth_time=1)


def test_claims_may_be_any_mapping_but_must_be_json() -> None:
    class Claims(Mapping[str, object]):
        def __getitem__(self, name: str) -> object:
            return claims()[name]

        def __iter__(self) -> Any:
            return iter(claims())

        def __len__(self) -> int:
            return len(claims())

    signer = the_keyring().signer("ES256", NOW)
    assert verify(jwt.sign(Claims(), signer, typ="JWT"), the_keyring()) == claims()
    with pytest.raises(ValueError, match="JSON"):
        jwt.sign({"exp": float("nan")}, signer, typ="JWT")


def test_the_token_built_by_hand_in_these_tests_is_a_good_one() -> None:
    assert verify(signed(good_header(), payload()), the_keyring()) == claims()


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat"])
def test_each_needed_claim_is_needed(name: str) -> None:
    assert refused(signed(good_header(), payload(**{name: None})))


# SE-08, ID-11
@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", ISSUER.upper(), ISSUER[:-1], "http://id.example.jp", "", [ISSUER]]
)
def test_the_issuer_must_be_ours_to_the_character(issuer: object) -> None:
    assert refused(signed(good_header(), payload(iss=issuer)))


# SE-08
@pytest.mark.parametrize(
    "audience",
    [["client-1"], ["client-1", "client-2"], [], "client-2", "Client-1", "", 1, True, {}],
)
def test_the_audience_must_be_one_client_and_the_expected_one(audience: object) -> None:
    token = signed(good_header(), payload(aud=audience))
    assert refused(token)
    if not isinstance(audience, str):
        assert refused(token, audience=None)


def test_without_an_expected_audience_any_single_one_is_returned() -> None:
    token = a_token(the_keyring(), aud="client-7")
    assert verify(token, the_keyring(), audience=None)["aud"] == "client-7"


@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize("value", ["1900000000", 1900000000.0, True, [], {}, 1e300])
def test_times_must_be_whole_numbers(name: str, value: object) -> None:
    assert refused(signed(good_header(), payload(**{name: value})))


@pytest.mark.parametrize("name", [b"exp", b"iat"])
@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_that_are_none_are_refused(name: bytes, literal: bytes) -> None:
    body = payload(**{name.decode(): None})[:-1] + b', "' + name + b'": ' + literal + b"}"
    assert refused(signed(good_header(), body))


# SE-08
@pytest.mark.parametrize(
    ("after", "expired_for", "accepted"),
    [
        (-1, 0, True),
        (0, 0, False),
        (1, 0, False),
        (0, 1, True),
        (59, 60, True),
        (60, 60, False),
        (61, 60, False),
        (30 * 86400 - 1, 30 * 86400, True),
        (30 * 86400, 30 * 86400, False),
    ],
)
def test_an_expired_token_is_accepted_only_so_long_after(
    after: int, expired_for: int, accepted: bool
) -> None:
    now = NOW + 900 * SECOND + after * SECOND
    expected: dict[str, Any] = {"now": now, "expired_for": expired_for * SECOND}
    token = a_token(the_keyring())
    if accepted:
        assert verify(token, the_keyring(), **expected)
        return
    assert refused(token, **expected)


def test_a_token_from_the_future_is_refused_beyond_the_leeway_of_a_minute() -> None:
    issued = int(NOW.timestamp())
    assert verify(a_token(the_keyring(), iat=issued + 60), the_keyring())
    assert refused(a_token(the_keyring(), iat=issued + 61))
    assert refused(a_token(the_keyring(), iat=10**30, exp=10**31))


def test_the_default_registry_of_the_library_is_left_as_it_was() -> None:
    assert "none" not in JWSRegistry.recommended
    assert JWSRegistry.algorithms["EdDSA"].security_warning
