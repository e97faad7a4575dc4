"""Short-lived state: things whose presence lets somebody in, so that losing them is harmless.

Owns: the `StateStore` protocol and its implementation in SQL (embedded default, safe across
processes); the one on Redis is `redis_state`. Interactions, authorization codes and UserInfo
handles live here. What must be remembered to refuse something (failures, ended sessions) never
does: those are rows of the database, and wiping this store can let nothing be accepted twice.

Keys are hashed, so a copy of the store holds nothing that can be presented.
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    bindparam,
    cast,
    delete,
    select,
    update,
)

from idp.db import Prepared, upsert
from idp.held import release


class Kind(enum.IntEnum):
    """What an entry is. An entry of one kind is never found as another (TK-16)."""

    INTERACTION = 1
    CODE = 2
    HANDLE = 3
    SENT_CODE = 4


class StateStore(Protocol):
    """Values are bytes, `ttl` whole seconds. Raises Unavailable when the store does not answer."""

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        """Stores, replacing what was there."""

    def add(self, kind: Kind, key: str, value: bytes, ttl: int) -> bool:
        """Stores unless something is there: of many callers one gets True."""

    def get(self, kind: Kind, key: str) -> bytes | None: ...

    def take(self, kind: Kind, key: str) -> bytes | None:
        """Reads and deletes in one step: of many callers one gets the value."""

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        """Replaces `old` by `new` unless somebody else was faster."""

    def turn(
        self, kind: Kind, key: str, into: Kind, new_key: str, prefix: bytes, ttl: int
    ) -> bytes | None:
        """Takes an entry and leaves `prefix` and its value under another name, in one step: of
        many callers one gets the value (without `prefix`). Nobody else may use `new_key`."""

    def purge(self) -> int:
        """Removes what has expired; how many entries."""

    def ping(self) -> None:
        """Raises Unavailable when the store does not answer."""

    def close(self) -> None:
        """Closes what this thread holds."""


METADATA = MetaData()
STATE = Table(
    "state",
    METADATA,
    Column("key", LargeBinary(32), primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("expires", BigInteger, nullable=False, index=True),  # Unix time, seconds
    sqlite_with_rowid=False,
)
_LIVE = (
    (STATE.c.key == bindparam("k"))
    & (STATE.c.kind == bindparam("kind"))
    & (STATE.c.expires > bindparam("now"))
)


def hashed(kind: Kind, key: str) -> bytes:
    return hashlib.sha256(f"{kind.value}:{key}".encode("utf-8", "surrogatepass")).digest()


class SqlStateStore:
    """One table. `DELETE … RETURNING` is the claim; expiry is judged in the statement."""

    def __init__(self, engine: Engine, *, unix_time: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._time = unix_time
        put = upsert(engine.dialect.name)(STATE).values(
            key=bindparam("k"), kind=bindparam("kind"), value=bindparam("v"), expires=bindparam("e")
        )
        self._put = Prepared(
            put.on_conflict_do_update(
                index_elements=["key"],
                set_={"value": put.excluded.value, "expires": put.excluded.expires},
            )
        )
        self._add = Prepared(
            put.on_conflict_do_update(
                index_elements=["key"],
                set_={"value": put.excluded.value, "expires": put.excluded.expires},
                where=STATE.c.expires <= bindparam("now"),
            )
        )
        self._get = Prepared(select(STATE.c.value).where(_LIVE))
        self._take = Prepared(delete(STATE).where(_LIVE).returning(STATE.c.value))
        self._swap = Prepared(
            update(STATE)
            .where(_LIVE, STATE.c.value == bindparam("old"))
            .values(value=bindparam("v"), expires=bindparam("e"))
        )
        # SQLite makes a text of two blobs; its bytes are theirs.
        joined = cast(bindparam("p", type_=LargeBinary).op("||")(STATE.c.value), LargeBinary)
        self._turn = Prepared(
            update(STATE)
            .where(_LIVE)
            .values(
                key=bindparam("new_k"), kind=bindparam("into"), value=joined, expires=bindparam("e")
            )
            .returning(STATE.c.value)
        )
        self._purge = Prepared(delete(STATE).where(STATE.c.expires <= bindparam("now")))

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        expires = int(self._time()) + ttl
        self._put.count(self._engine, k=hashed(kind, key), kind=kind.value, v=value, e=expires)

    def add(self, kind: Kind, key: str, value: bytes, ttl: int) -> bool:
        now = int(self._time())
        added = self._add.count(
            self._engine,
            k=hashed(kind, key),
            kind=kind.value,
            v=value,
            e=now + ttl,
            now=now,
        )
        return added == 1

    def get(self, kind: Kind, key: str) -> bytes | None:
        return self._value(self._get, kind, key)

    def take(self, kind: Kind, key: str) -> bytes | None:
        return self._value(self._take, kind, key)

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        now = int(self._time())
        changed = self._swap.count(
            self._engine,
            k=hashed(kind, key),
            kind=kind.value,
            now=now,
            old=old,
            v=new,
            e=now + ttl,
        )
        return changed == 1

    def turn(
        self, kind: Kind, key: str, into: Kind, new_key: str, prefix: bytes, ttl: int
    ) -> bytes | None:
        now = int(self._time())
        row = self._turn.one(
            self._engine,
            k=hashed(kind, key),
            kind=kind.value,
            now=now,
            new_k=hashed(into, new_key),
            into=into.value,
            p=prefix,
            e=now + ttl,
        )
        return None if row is None else bytes(row.value)[len(prefix) :]

    def purge(self) -> int:
        return self._purge.count(self._engine, now=int(self._time()))

    def ping(self) -> None:
        self.get(Kind.INTERACTION, "")

    def close(self) -> None:
        release(self._engine)

    def _value(self, statement: Prepared, kind: Kind, key: str) -> bytes | None:
        row = statement.one(
            self._engine, k=hashed(kind, key), kind=kind.value, now=int(self._time())
        )
        return None if row is None else bytes(row.value)


def make_state_store(redis_url: str, engine: Engine) -> StateStore:
    """Redis where there is one, else the database."""
    if not redis_url:
        return SqlStateStore(engine)
    from idp.redis_state import RedisStateStore

    return RedisStateStore(redis_url)
