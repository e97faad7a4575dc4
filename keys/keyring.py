"""A process's view of the signing keys: which one signs, which are published, rotation.

Owns: loading and re-reading the store, opening private keys, signatures, the key set document,
rotation, withdrawal and upkeep.
Does not own: the rules (`signing_key`), the table (`store`), claims and verification (`jwt`), HTTP
caching of the key set, permission and audit of an operator's rotation.
Specifications: RFC 7515, RFC 7517, RFC 7518; OpenID Connect Core 1.0, 10.1.1.

Readers take one immutable snapshot and no lock. It is re-read every `refresh`, so that what another
process rotated or withdrew is seen by then. While the store is away the keyring goes on with what
it knows: keys still begin and end on time, and only a withdrawal made meanwhile is missed. That
is safe enough because without its database the provider has no session to issue a token for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keys.sealing import Sealer
from keys.signer import Signer
from keys.signing_key import (
    ALGORITHMS,
    SigningKey,
    due_for_rotation,
    generate,
    published,
    removable,
    seal_context,
    signing,
    successor,
)
from keys.store import KeyStore, StoreUnavailable

__all__ = ["JwksDocument", "Keyring", "NoSigningKey", "Signer", "UnknownKey"]

_log: Final = logging.getLogger(__name__)


class NoSigningKey(Exception):
    """No key signs with this algorithm: it is not configured, or `ensure` never ran."""


class UnknownKey(Exception):
    """There is no key with this kid."""


@dataclass(frozen=True, slots=True)
class JwksDocument:
    """The JWK Set to publish. `body` is JSON, `etag` the opaque tag without quotes."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is true from `since` until before `until`, of the keys read at `checked_at`."""

    keys: tuple[SigningKey, ...]
    checked_at: datetime
    since: datetime
    until: datetime
    signers: Mapping[str, Signer]
    published: Mapping[str, SigningKey]
    document: JwksDocument


class Keyring:
    """All signing keys of this issuer. One for each process; safe to share between threads."""

    def __init__(
        self,
        store: KeyStore,
        sealer: Sealer,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        rotate_every: timedelta = timedelta(days=90),
        announce: timedelta = timedelta(hours=24),
        keep: timedelta = timedelta(days=30),
        refresh: timedelta = timedelta(seconds=10),
    ) -> None:
        """`announce` must exceed the time relying parties cache the key set."""
        if unknown := set(algorithms) - set(ALGORITHMS):
            raise ValueError(f"unknown signing algorithms: {', '.join(sorted(unknown))}")
        if not timedelta(0) <= announce < rotate_every:
            raise ValueError("keys must be announced for less time than they sign")
        self._store = store
        self._sealer = sealer
        self._algorithms = tuple(algorithms)
        self._rotate_every = rotate_every
        self._announce = announce
        self._keep = keep
        self._refresh = refresh
        self._lock = threading.Lock()
        self._snapshot: _Snapshot | None = None

    def ensure(self, now: datetime) -> None:
        """Makes the first key of each algorithm where there is none, and opens all that exist.

        Called at start, by any number of processes at once. Raises SealBroken when the master key
        does not fit the stored keys: the process must not start, and no key is made.
        """
        self._load_openable()
        for alg in self._algorithms:
            self._fill(alg, now)
        # Once more: another process may have been faster, and hold another master key.
        self._load_openable()
        self._reload(now)

    def signer(self, alg: str, now: datetime) -> Signer:
        """The key that signs with `alg` now. Raises NoSigningKey."""
        try:
            return self._current(now).signers[alg]
        except KeyError:
            raise NoSigningKey(f"no key signs with {alg}") from None

    def jwks(self, now: datetime) -> JwksDocument:
        """The public keys, announced ones included, ready to be sent."""
        return self._current(now).document

    def public_keys(self, now: datetime) -> list[SigningKey]:
        """The keys of `jwks`, in its order."""
        return list(self._current(now).published.values())

    def public_key(self, kid: str, now: datetime) -> SigningKey | None:
        """The published key of this kid. None when it is not ours, gone or withdrawn."""
        return self._current(now).published.get(kid)

    def rotate(self, alg: str, now: datetime, *, immediately: bool = False) -> SigningKey:
        """Announces the next key, to sign after the announcement time or `immediately`.

        Returns the one already announced where there is one, so that two operators, or two
        processes, make one rotation and not two.
        """
        if alg not in self._algorithms:
            raise NoSigningKey(f"no key signs with {alg}")
        keys = self._store.load()
        current = signing(keys, alg, now)
        at_once = immediately or current is None
        key = self._succeed(
            alg,
            now,
            after=current.generation if current else _newest(keys, alg),
            signs_from=now if at_once else now + self._announce,
        )
        self._reload(now)
        return key

    def withdraw(self, kid: str, now: datetime) -> None:
        """Ends a key at once and for good; its tokens verify no more. Raises UnknownKey.

        A signing key's successor is made to sign before it is withdrawn: a crash between the two
        leaves a rotation, never an algorithm without a key.
        """
        keys = self._store.load()
        key = next((key for key in keys if key.kid == kid), None)
        if key is None:
            raise UnknownKey(f"there is no signing key {kid!r}")
        if signing(keys, key.alg, now) == key:
            self._succeed(key.alg, now, after=key.generation, signs_from=now)
        self._store.withdraw(kid, now)
        # Another process may have withdrawn the successor at the same moment.
        self._fill(key.alg, now)
        self._reload(now)

    def maintain(self, now: datetime) -> None:
        """Announces keys that are due and deletes those that are gone. Call it about hourly."""
        for alg in self._algorithms:
            self._fill(alg, now)
            if due_for_rotation(
                self._store.load(),
                alg,
                now,
                rotate_every=self._rotate_every,
                announce=self._announce,
            ):
                self.rotate(alg, now)
        for key in removable(self._store.load(), now, self._keep):
            self._store.remove(key.kid)
        self._reload(now)

    def _fill(self, alg: str, now: datetime) -> None:
        keys = self._store.load()
        if signing(keys, alg, now) is None:
            self._succeed(alg, now, after=_newest(keys, alg), signs_from=now)

    def _succeed(self, alg: str, now: datetime, *, after: int, signs_from: datetime) -> SigningKey:
        """The next key after generation `after`, ours or a faster process's, signing by then."""
        while True:
            keys = self._load_openable()
            key = successor(keys, alg, after=after)
            if key is None:
                generation = _newest(keys, alg) + 1
                self._store.add(
                    generate(
                        alg,
                        generation=generation,
                        now=now,
                        signs_from=signs_from,
                        sealer=self._sealer,
                    )
                )
            elif key.signs_from <= signs_from:
                return key
            else:
                self._store.hasten(key.kid, signs_from)

    def _load_openable(self) -> list[SigningKey]:
        """Reads the store and tries every seal: nothing may be added under a second master key."""
        keys = self._store.load()
        for key in keys:
            self._sealer.open(key.sealed_private, context=seal_context(key.kid))
        return keys

    def _current(self, now: datetime) -> _Snapshot:
        snapshot = self._snapshot
        if snapshot is not None and snapshot.since <= now < snapshot.until:
            return snapshot
        return self._renew(now)

    def _renew(self, now: datetime) -> _Snapshot:
        known = self._snapshot
        if known is None:
            return self._reload(now)
        if not self._lock.acquire(blocking=False):
            # Another thread is reading, perhaps waiting for a database that hangs.
            return self._derive(known.keys, known.checked_at, now)
        try:
            known = self._snapshot or known
            keys, checked_at = known.keys, known.checked_at
            if abs(now - checked_at) >= self._refresh:
                keys, checked_at = self._reread(keys), now
            self._snapshot = self._derive(keys, checked_at, now)
            return self._snapshot
        finally:
            self._lock.release()

    def _reread(self, known: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
        try:
            return tuple(self._store.load())
        except StoreUnavailable:
            _log.warning("signing keys could not be re-read; going on with those known")
            return known

    def _reload(self, now: datetime) -> _Snapshot:
        with self._lock:
            self._snapshot = self._derive(tuple(self._store.load()), now, now)
            return self._snapshot

    def _derive(
        self, keys: tuple[SigningKey, ...], checked_at: datetime, now: datetime
    ) -> _Snapshot:
        last = self._snapshot
        changes = [t for key in keys for t in (key.signs_from, key.signs_from + self._keep)]
        earliest, latest = checked_at - self._refresh, checked_at + self._refresh
        shown = {key.kid: key for key in published(keys, now, self._keep)}
        unchanged = last is not None and list(shown) == list(last.published)
        return _Snapshot(
            keys=keys,
            checked_at=checked_at,
            since=max([earliest, *(t for t in changes if t <= now)]),
            until=min([latest, *(t for t in changes if t > now)]),
            signers=self._signers(keys, now, last.signers if last else {}),
            published=shown,
            document=last.document if last and unchanged else _document(shown.values()),
        )

    def _signers(
        self, keys: Iterable[SigningKey], now: datetime, opened: Mapping[str, Signer]
    ) -> dict[str, Signer]:
        signers = {}
        for alg in self._algorithms:
            key = signing(keys, alg, now)
            if key is not None:
                known = opened.get(alg)
                same = known is not None and known.kid == key.kid
                signers[alg] = known if known and same else Signer(key, self._sealer)
        return signers


def _newest(keys: Iterable[SigningKey], alg: str) -> int:
    return max((key.generation for key in keys if key.alg == alg), default=0)


def _document(keys: Iterable[SigningKey]) -> JwksDocument:
    jwks = {"keys": [dict(key.public_jwk) for key in keys]}
    body = json.dumps(jwks, separators=(",", ":"), sort_keys=True).encode()
    return JwksDocument(body=body, etag=hashlib.sha256(body).hexdigest()[:32])
