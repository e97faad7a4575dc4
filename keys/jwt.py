"""Our own tokens: signing them, and verifying those that come back to us.

Owns: the compact serialization, and what must be true of a token before its claims are believed.
Does not own: what the claims say (`idp`), tokens of anybody else (each has its own verifier).
Specifications: RFC 7515, RFC 7519, RFC 8725 (explicit typing, pinned algorithms).

Verification accepts only what `sign` makes: everything else that the specifications allow (other
header members, other serializations, several audiences) is refused as not ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NoReturn

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry, deserialize_compact
from joserfc.util import urlsafe_b64decode

from keys.keyring import Keyring
from keys.signer import Signer, base64url
from keys.signing_key import ALGORITHMS, SigningKey

MAX_TOKEN_BYTES: Final = 8192
CLOCK_LEEWAY: Final = timedelta(seconds=60)
_NEVER_EXPIRED: Final = timedelta(0)
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER_MEMBERS: Final = frozenset({"alg", "kid", "typ"})
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class InvalidToken(Exception):
    """The token is not ours, not for this use, or over. The message never contains any of it."""


def sign(claims: Mapping[str, object], signer: Signer, *, typ: str) -> str:
    """A compact JWT of these claims, e.g. typ "JWT" for an ID token, "logout+jwt"."""
    payload = _encode(claims if type(claims) is dict else dict(claims)).encode()
    signed = signer.header(typ) + base64url(payload)
    return (signed + b"." + base64url(signer.sign(signed))).decode()


def verify(
    token: str,
    keyring: Keyring,
    now: datetime,
    *,
    typ: str,
    issuer: str,
    audience: str | None,
    expired_for: timedelta = _NEVER_EXPIRED,
) -> dict[str, Any]:
    """The claims of a token that this issuer signed for this use. Raises InvalidToken.

    `audience` None accepts any single audience: then the caller must compare it itself.
    `expired_for` is how long after `exp` the token is still accepted (an `id_token_hint`).
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken("longer than any token of ours")
    if not _COMPACT.fullmatch(token):
        raise InvalidToken("not a compact JWS")
    key = _key_of(_parsed(_decoded(token.partition(".")[0])), keyring, now, typ=typ)
    claims = _parsed(_payload(token, key))
    _check_parties(claims, issuer=issuer, audience=audience)
    _check_times(claims, now, expired_for=expired_for)
    return claims


def _key_of(header: dict[str, Any], keyring: Keyring, now: datetime, *, typ: str) -> SigningKey:
    # Exactly these members: crit, jku, jwk, x5u, x5c, b64, zip and what may yet be invented would
    # let the sender say how the token is to be verified (RFC 8725, 3.10).
    if header.keys() != _HEADER_MEMBERS:
        raise InvalidToken("header members other than alg, kid and typ")
    if header["typ"] != typ:
        raise InvalidToken("typ of another use")
    kid = header["kid"]
    key = keyring.public_key(kid, now) if isinstance(kid, str) else None
    if key is None:
        raise InvalidToken("kid of no published key")
    if header["alg"] != key.alg:
        raise InvalidToken("alg is not the key's")
    return key


def _payload(token: str, key: SigningKey) -> bytes:
    try:
        public = _public_key(tuple(sorted(key.public_jwk.items())))
        payload = deserialize_compact(token, public, registry=_REGISTRIES[key.alg]).payload
    except (JoseError, ValueError):
        raise InvalidToken("signature does not verify") from None
    return payload or b""


def _check_parties(claims: dict[str, Any], *, issuer: str, audience: str | None) -> None:
    if claims.get("iss") != issuer:
        raise InvalidToken("iss is not this issuer")
    aud = claims.get("aud")
    if not isinstance(aud, str) or audience not in (None, aud):
        raise InvalidToken("aud is not the one expected")


def _check_times(claims: dict[str, Any], now: datetime, *, expired_for: timedelta) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    # Not isinstance: True is an int.
    if type(issued) is not int or type(expires) is not int:
        raise InvalidToken("iat and exp must be whole numbers")
    if issued > (now + CLOCK_LEEWAY).timestamp():
        raise InvalidToken("issued in the future")
    if (now - expired_for).timestamp() >= expires:
        raise InvalidToken("expired")


def _decoded(segment: str) -> bytes:
    try:
        return urlsafe_b64decode(segment.encode())
    except ValueError:
        raise InvalidToken("not base64url") from None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            text.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise InvalidToken("not a JSON object of distinct members") from None
    if not isinstance(value, dict):
        raise InvalidToken("not a JSON object of distinct members")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@lru_cache(maxsize=64)
def _public_key(members: tuple[tuple[str, str], ...]) -> Key:
    return import_key(dict(members))


class _PinnedRegistry(JWSRegistry):
    """One allowed algorithm, found without the warning that joserfc gives for each "EdDSA".

    RFC 9864 renames it to "Ed25519", which deployed relying parties do not know yet.
    """

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


_REGISTRIES: Final = {alg: _PinnedRegistry(algorithms=[alg]) for alg in ALGORITHMS}
