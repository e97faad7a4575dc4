"""What the tests of this package are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from keys import jwt
from keys.keyring import Keyring
from keys.sealing import Sealer
from keys.signing_key import SigningKey, generate
from keys.store import KeyStore, MemoryKeyStore, StoreUnavailable

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ISSUER = "https://id.example.jp"
MASTER_KEY = bytes(range(32))


def a_sealer() -> Sealer:
    return Sealer(MASTER_KEY)


def a_keyring(store: KeyStore | None = None, **options: Any) -> Keyring:
    """One that has its first keys. ES256 alone unless told otherwise: RSA keys are slow."""
    keyring = Keyring(
        store or MemoryKeyStore(), a_sealer(), **({"algorithms": ("ES256",)} | options)
    )
    keyring.ensure(NOW)
    return keyring


def a_key(generation: int = 1, *, signs_from: datetime = NOW, alg: str = "ES256") -> SigningKey:
    return generate(alg, generation=generation, now=NOW, signs_from=signs_from, sealer=a_sealer())


def claims(**others: object) -> dict[str, object]:
    """Those of a good token, changed by `others`; None takes a claim away."""
    issued = int(NOW.timestamp())
    good = {"iss": ISSUER, "sub": "s-1", "aud": "client-1", "iat": issued, "exp": issued + 900}
    return {name: value for name, value in (good | others).items() if value is not None}


def a_token(keyring: Keyring, *, alg: str = "ES256", typ: str = "JWT", **others: object) -> str:
    return jwt.sign(claims(**others), keyring.signer(alg, NOW), typ=typ)


def verify(token: str, keyring: Keyring, **expected: Any) -> Mapping[str, Any]:
    """As a caller that expects a good token."""
    wanted = {"typ": "JWT", "issuer": ISSUER, "audience": "client-1"} | expected
    return jwt.verify(token, keyring, wanted.pop("now", NOW), **wanted)


class SwitchedStore(MemoryKeyStore):
    """A store that can be away, and counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.reads = 0

    def load(self) -> list[SigningKey]:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        return super().load()
