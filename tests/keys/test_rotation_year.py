"""A year of automatic rotation, as a relying party sees it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from joserfc import jws
from joserfc.jwk import KeySet

from keys import jwt
from keys.signing_key import Phase, phase
from keys.store import MemoryKeyStore
from tests.keys.factories import HOUR, NOW, a_keyring, claims, verify

KEEP = timedelta(days=30)


class CachingRelyingParty:
    """Verifies with a copy of the key set, and never reads it again for an unknown kid."""

    def __init__(self) -> None:
        self._keys = KeySet([])
        self._body = b""

    def read(self, body: bytes) -> None:
        if body != self._body:
            self._keys, self._body = KeySet.import_key_set(json.loads(body)), body

    def accepts(self, token: str) -> bool:
        jws.deserialize_compact(token, self._keys, algorithms=["ES256"])
        return True


# ID-07, ID-10
def test_in_a_year_of_rotation_one_key_signs_at_any_time_and_every_token_verifies() -> None:
    store = MemoryKeyStore()
    one, other = a_keyring(store), a_keyring(store)
    relying_party = CachingRelyingParty()
    relying_party.read(other.jwks(NOW).body)
    kids = set()
    kept: list[tuple[datetime, str]] = []
    for hour in range(365 * 24):
        now = NOW + hour * HOUR
        # Two processes, each with its own hour of upkeep, the second with a clock behind.
        (one if hour % 2 else other).maintain(now - (hour % 2) * timedelta(seconds=3))
        keys = store.load()
        phases = [phase(key, keys, now, KEEP) for key in keys]
        assert phases.count(Phase.SIGNING) == 1
        signer, beside = one.signer("ES256", now), other.signer("ES256", now)
        assert signer.kid == beside.kid
        kids.add(signer.kid)
        issued = int(now.timestamp())
        token = jwt.sign(claims(iat=issued, exp=issued + 900), signer, typ="JWT")
        # Signed by one process, verified with what the other one published an hour ago.
        assert relying_party.accepts(token)
        relying_party.read(other.jwks(now).body)
        if hour % 24 == 0:
            kept.append((now, token))
            kept = [entry for entry in kept if now - entry[0] < KEEP]
            assert verify(kept[0][1], other, now=now, expired_for=KEEP)
    assert len(kids) == 5
    assert len(store.load()) <= 2
