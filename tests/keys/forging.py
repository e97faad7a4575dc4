"""Tokens that are well signed and wrong, and the check that they are refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from keys.jwt import InvalidToken
from keys.keyring import Keyring
from keys.signer import base64url
from keys.signing_key import ALGORITHMS
from tests.keys.factories import NOW, a_keyring, claims, verify


@cache
def the_keyring() -> Keyring:
    """One for all tests that only read: an RSA key takes long to make."""
    return a_keyring(algorithms=ALGORITHMS)


def segments(token: str) -> tuple[dict[str, Any], bytes]:
    header, payload, _ = token.split(".")
    return json.loads(_decoded(header)), _decoded(payload)


def signed(header: Mapping[str, object] | bytes, payload: bytes) -> str:
    """A token truly signed by our ES256 key, whatever its header and payload say."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = base64url(raw) + b"." + base64url(payload)
    signature = the_keyring().signer("ES256", NOW).sign(data)
    return (data + b"." + base64url(signature)).decode()


def good_header() -> dict[str, Any]:
    return {"alg": "ES256", "kid": the_keyring().signer("ES256", NOW).kid, "typ": "JWT"}


def payload(**others: object) -> bytes:
    return json.dumps(claims(**others)).encode()


def refused(token: str, keyring: Keyring | None = None, **expected: Any) -> bool:
    """Whether it is refused, and without repeating anything of it."""
    with pytest.raises(InvalidToken) as refusal:
        verify(token, keyring or the_keyring(), **expected)
    assert refusal.value.__cause__ is None
    for part in token.split("."):
        assert len(part) < 12 or part not in str(refusal.value)
    return True


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
