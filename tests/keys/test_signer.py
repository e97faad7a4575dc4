from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import import_key

from keys.sealing import SealBroken, Sealer
from keys.signer import Signer, base64url
from keys.signing_key import ALGORITHMS
from tests.keys.factories import a_key, a_sealer


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_a_signature_verifies_with_the_published_key_in_another_library(alg: str) -> None:
    key = a_key(alg=alg)
    signer = Signer(key, a_sealer())
    signed = signer.header("JWT") + base64url(b'{"sub":"s-1"}')
    token = signed + b"." + base64url(signer.sign(signed))
    found = jws.deserialize_compact(token, import_key(dict(key.public_jwk)), algorithms=[alg])
    assert found.payload == b'{"sub":"s-1"}'


@pytest.mark.parametrize(("alg", "length"), [("ES256", 64), ("EdDSA", 64), ("RS256", 256)])
def test_signatures_have_their_fixed_length(alg: str, length: int) -> None:
    signer = Signer(a_key(alg=alg), a_sealer())
    # Often enough that R or S begins with a zero byte, which ASN.1 would drop.
    count = 5 if alg == "RS256" else 600
    assert {len(signer.sign(bytes([n % 256]))) for n in range(count)} == {length}


def test_the_header_is_exactly_alg_kid_and_typ() -> None:
    key = a_key()
    signer = Signer(key, a_sealer())
    segment = signer.header("logout+jwt")
    assert segment.endswith(b".")
    decoded = json.loads(base64.urlsafe_b64decode(segment[:-1] + b"=="))
    assert decoded == {"alg": "ES256", "kid": key.kid, "typ": "logout+jwt"}
    assert signer.header("logout+jwt") is segment
    assert signer.header("JWT") != segment


@given(st.binary(max_size=100))
def test_base64url_is_without_padding(value: bytes) -> None:
    assert base64url(value) == base64.urlsafe_b64encode(value).rstrip(b"=")


# ID-09
def test_a_signer_refuses_the_private_part_of_another_row() -> None:
    mixed = replace(a_key(1), sealed_private=a_key(2).sealed_private)
    with pytest.raises(SealBroken):
        Signer(mixed, a_sealer()).sign(b"data")


# ID-10
def test_a_signer_refuses_under_another_master_key() -> None:
    with pytest.raises(SealBroken):
        Signer(a_key(), Sealer(bytes(32))).sign(b"data")


def test_a_row_that_names_another_algorithm_than_its_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="not a key for RS256"):
        Signer(replace(a_key(alg="ES256"), alg="RS256"), a_sealer()).sign(b"data")


def test_a_signer_shows_nothing_of_its_key() -> None:
    signer = Signer(a_key(), a_sealer())
    signer.sign(b"data")
    assert "0x" in repr(signer)
    assert "sealed" not in repr(signer)
