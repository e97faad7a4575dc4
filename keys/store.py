"""Where signing keys are kept, shared by all processes of the installation.

Owns: the table `signing_keys`, and the only writes there are to it: add, hasten, withdraw, remove.
Does not own: when any of these is right (`signing_key`, `keyring`); migrations; the engine.

Every write is one conditional statement, so processes race without locks: of two that add the same
generation of an algorithm, the unique key lets one win. Private parts arrive and leave sealed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Delete,
    Engine,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    Update,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, TimeoutError

from keys.signing_key import SigningKey

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Instants are integer microseconds since 1970: SQLite and PostgreSQL then agree to the last digit.
signing_keys: Final = Table(
    "signing_keys",
    METADATA,
    Column("kid", String(64), primary_key=True),
    Column("alg", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("signs_from", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("public_jwk", Text, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    UniqueConstraint("alg", "generation"),
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class StoreUnavailable(Exception):
    """The store does not answer now. What is already known stays valid."""


class KeyStore(Protocol):
    """Raises StoreUnavailable from every method when the store is away."""

    def load(self) -> list[SigningKey]:
        """All keys, by algorithm and generation."""

    def add(self, key: SigningKey) -> bool:
        """False when this generation of this algorithm is already there; then nothing changes."""

    def hasten(self, kid: str, signs_from: datetime) -> bool:
        """Lets a key sign from an earlier instant. False when it does already, or is withdrawn."""

    def withdraw(self, kid: str, now: datetime) -> bool:
        """False when it is unknown or was withdrawn before."""

    def remove(self, kid: str) -> None:
        """Deletes the key, its sealed private part with it. No error when it is not there."""


class MemoryKeyStore:
    """Keeps keys in this process, for tests and simulations."""

    def __init__(self) -> None:
        self._keys: dict[str, SigningKey] = {}
        self._lock = threading.Lock()

    def load(self) -> list[SigningKey]:
        with self._lock:
            return sorted(self._keys.values(), key=_by_generation)

    def add(self, key: SigningKey) -> bool:
        with self._lock:
            taken = {(other.alg, other.generation) for other in self._keys.values()}
            if key.kid in self._keys or (key.alg, key.generation) in taken:
                return False
            self._keys[key.kid] = key
            return True

    def hasten(self, kid: str, signs_from: datetime) -> bool:
        with self._lock:
            key = self._keys.get(kid)
            if key is None or key.withdrawn_at is not None or key.signs_from <= signs_from:
                return False
            self._keys[kid] = replace(key, signs_from=signs_from)
            return True

    def withdraw(self, kid: str, now: datetime) -> bool:
        with self._lock:
            key = self._keys.get(kid)
            if key is None or key.withdrawn_at is not None:
                return False
            self._keys[kid] = replace(key, withdrawn_at=now)
            return True

    def remove(self, kid: str) -> None:
        with self._lock:
            self._keys.pop(kid, None)


class SqlKeyStore:
    """Keeps keys in the database. Works with engines in autocommit and in transactions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self) -> list[SigningKey]:
        with _translated(), self._engine.connect() as connection:
            found = [_key(row) for row in connection.execute(select(signing_keys)).mappings()]
        # Sorted here: databases do not agree on the order of letters.
        return sorted(found, key=_by_generation)

    def add(self, key: SigningKey) -> bool:
        try:
            self._execute(insert(signing_keys).values(_values(key)))
        except IntegrityError:
            return False
        return True

    def hasten(self, kid: str, signs_from: datetime) -> bool:
        begin = _microseconds(signs_from)
        changed = self._execute(
            update(signing_keys)
            .where(signing_keys.c.kid == kid)
            .where(signing_keys.c.withdrawn_at.is_(None))
            .where(signing_keys.c.signs_from > begin)
            .values(signs_from=begin)
        )
        return changed == 1

    def withdraw(self, kid: str, now: datetime) -> bool:
        changed = self._execute(
            update(signing_keys)
            .where(signing_keys.c.kid == kid)
            .where(signing_keys.c.withdrawn_at.is_(None))
            .values(withdrawn_at=_microseconds(now))
        )
        return changed == 1

    def remove(self, kid: str) -> None:
        self._execute(delete(signing_keys).where(signing_keys.c.kid == kid))

    def _execute(self, statement: Insert | Update | Delete) -> int:
        """How many rows it changed. SQLAlchemy does not tell for an insert."""
        with _translated(), self._engine.begin() as connection:
            return connection.execute(statement).rowcount


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        raise StoreUnavailable("the store of signing keys is not available") from error


def _by_generation(key: SigningKey) -> tuple[str, int]:
    return key.alg, key.generation


def _values(key: SigningKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "generation": key.generation,
        "created_at": _microseconds(key.created_at),
        "signs_from": _microseconds(key.signs_from),
        "withdrawn_at": None if key.withdrawn_at is None else _microseconds(key.withdrawn_at),
        "public_jwk": json.dumps(dict(key.public_jwk), separators=(",", ":"), sort_keys=True),
        "sealed_private": key.sealed_private,
    }


def _key(row: RowMapping) -> SigningKey:
    withdrawn_at = row["withdrawn_at"]
    return SigningKey(
        kid=row["kid"],
        alg=row["alg"],
        generation=row["generation"],
        created_at=_instant(row["created_at"]),
        signs_from=_instant(row["signs_from"]),
        withdrawn_at=None if withdrawn_at is None else _instant(withdrawn_at),
        public_jwk=json.loads(row["public_jwk"]),
        sealed_private=row["sealed_private"],
    )


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
