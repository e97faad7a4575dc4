"""A signing key and the rules of its life, as pure functions of stored times.

Owns: which key of an algorithm signs at an instant, which keys are published, when the next one is
due, and how a key is made.
Does not own: storing (`store`), the process's view and rotation (`keyring`), signatures (`jwt`).

A key is announced, signs from `signs_from` until its successor does, is published a while longer
so that issued tokens verify, and is gone. Nobody switches anything: the phase follows from
generations and time stamps, so all processes agree and a crash leaves no half-done switch.
Specifications: RFC 7517, RFC 7518, RFC 7638, RFC 8037; OpenID Connect Core 1.0, 10.1.1.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keys.sealing import Sealer

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Phase(enum.StrEnum):
    ANNOUNCED = "announced"
    SIGNING = "signing"
    VERIFYING = "verifying"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One generation of one algorithm. `public_jwk` is what the key set shows of it."""

    kid: str
    alg: str
    generation: int
    created_at: datetime
    signs_from: datetime
    withdrawn_at: datetime | None
    public_jwk: Mapping[str, str] = field(hash=False)
    sealed_private: bytes = field(repr=False)


def signing(keys: Iterable[SigningKey], alg: str, now: datetime) -> SigningKey | None:
    """The one key that signs: the highest generation that has begun.

    If that one is withdrawn, the next generation takes over at once, even before its `signs_from`:
    a process whose clock is behind must neither stop signing nor go back to an older key. None
    only where no key is left; a key whose successor has begun never signs again.
    """
    line = sorted((key for key in keys if key.alg == alg), key=_generation)
    reached = max((key.generation for key in line if _has_begun(key, now)), default=0)
    candidates = (key for key in line if key.generation >= reached)
    return next((key for key in candidates if key.withdrawn_at is None), None)


def phase(key: SigningKey, keys: Iterable[SigningKey], now: datetime, keep: timedelta) -> Phase:
    """Where `key` stands among `keys`. It verifies until `keep` after its successor began."""
    if key.withdrawn_at is not None:
        return Phase.GONE
    line = [other for other in keys if other.alg == key.alg]
    later = [k.signs_from for k in line if k.generation > key.generation and _has_begun(k, now)]
    if later:
        return Phase.VERIFYING if now < min(later) + keep else Phase.GONE
    signer = signing(line, key.alg, now)
    if signer is not None and signer.kid == key.kid:
        return Phase.SIGNING
    return Phase.ANNOUNCED


def published(keys: Iterable[SigningKey], now: datetime, keep: timedelta) -> list[SigningKey]:
    """The keys that relying parties may know, in a stable order, the default algorithm first."""
    line = sorted(keys, key=lambda key: (ALGORITHMS.index(key.alg), key.generation))
    return [key for key in line if phase(key, line, now, keep) is not Phase.GONE]


def successor(keys: Iterable[SigningKey], alg: str, *, after: int) -> SigningKey | None:
    """The next usable key after generation `after`, whether or not it has begun."""
    ahead = (k for k in keys if k.alg == alg and k.generation > after and k.withdrawn_at is None)
    return min(ahead, key=_generation, default=None)


def due_for_rotation(
    keys: Iterable[SigningKey],
    alg: str,
    now: datetime,
    *,
    rotate_every: timedelta,
    announce: timedelta,
) -> bool:
    """Whether to announce the next key now, to sign when this one has signed `rotate_every`."""
    line = list(keys)
    current = signing(line, alg, now)
    if current is None or successor(line, alg, after=current.generation) is not None:
        return False
    return now - current.signs_from + announce >= rotate_every


def removable(keys: Iterable[SigningKey], now: datetime, keep: timedelta) -> list[SigningKey]:
    """Gone keys whose rows nothing depends on any more.

    Oldest first and never the newest: a successor's row says when its predecessor stopped, and the
    newest one keeps generations from being used twice.
    """
    line = sorted(keys, key=_generation)
    found = []
    for alg in ALGORITHMS:
        mine = [key for key in line if key.alg == alg]
        for key in mine[:-1]:
            if phase(key, mine, now, keep) is not Phase.GONE:
                break
            found.append(key)
    return found


def generate(
    alg: str, *, generation: int, now: datetime, signs_from: datetime, sealer: Sealer
) -> SigningKey:
    """A new key. Its `kid` is the RFC 7638 thumbprint; the private part is sealed PKCS #8 DER."""
    private = _new_private_key(alg)
    members = _public_members(private)
    kid = thumbprint(members)
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(
        kid=kid,
        alg=alg,
        generation=generation,
        created_at=now,
        signs_from=signs_from,
        withdrawn_at=None,
        public_jwk=members | {"kid": kid, "alg": alg, "use": "sig"},
        sealed_private=sealer.seal(der, context=seal_context(kid)),
    )


def seal_context(kid: str) -> str:
    """The place a private key is sealed for."""
    return f"signing_key:{kid}"


def thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638 of the required public members (kty and the key's own), SHA-256, base64url."""
    canonical = json.dumps(dict(members), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _generation(key: SigningKey) -> int:
    return key.generation


def _has_begun(key: SigningKey, now: datetime) -> bool:
    # A key withdrawn while it was still announced has never signed and supersedes nobody.
    ended_early = key.withdrawn_at is not None and key.withdrawn_at < key.signs_from
    return key.signs_from <= now and not ended_early


def _new_private_key(alg: str) -> PrivateKey:
    if alg == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(f"no signing key can be made for algorithm {alg!r}")


def _public_members(private: PrivateKey) -> dict[str, str]:
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        return {"kty": "RSA", "n": _integer(numbers.n, 256), "e": _integer(numbers.e, 3)}
    if isinstance(private, ec.EllipticCurvePrivateKey):
        point = private.public_key().public_numbers()
        # RFC 7518, 6.2.1.2: coordinates keep their full length, leading zeros included.
        return {"kty": "EC", "crv": "P-256", "x": _integer(point.x, 32), "y": _integer(point.y, 32)}
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def _integer(number: int, length: int) -> str:
    return _base64url(number.to_bytes(length, "big"))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
