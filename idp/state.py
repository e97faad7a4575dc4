"""Short-lived state: things whose presence lets somebody in, so that losing them is harmless.

Owns: the `StateStore` protocol and its two implementations, SQL (embedded default, safe across
processes) and Redis. Interactions, authorization codes, UserInfo handles live here. What must be
remembered to refuse something (failures, ended sessions) never does: those are rows of the
database, and wiping this store can let nothing be accepted twice.

Keys are hashed, so a copy of the store holds nothing that can be presented.
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from idp.db import Prepared, release
from idp.errors import Unavailable


class Kind(enum.IntEnum):
    """What an entry is. An entry of one kind is never found as another (TK-16)."""

    INTERACTION = 1
    CODE = 2
    HANDLE = 3


class StateStore(Protocol):
    """Values are bytes, `ttl` whole seconds. Raises Unavailable when the store does not answer."""

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        """Stores, replacing what was there."""

    def get(self, kind: Kind, key: str) -> bytes | None: ...

    def take(self, kind: Kind, key: str) -> bytes | None:
        """Reads and deletes in one step: of many callers one gets the value."""

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        """Replaces `old` by `new` unless somebody else was faster."""

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


def _hashed(kind: Kind, key: str) -> bytes:
    return hashlib.sha256(f"{kind.value}:{key}".encode("utf-8", "surrogatepass")).digest()


class SqlStateStore:
    """One table. `DELETE … RETURNING` is the claim; expiry is judged in the statement."""

    def __init__(self, engine: Engine, *, unix_time: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._time = unix_time
        insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        put = insert(STATE).values(
            key=bindparam("k"), kind=bindparam("kind"), value=bindparam("v"), expires=bindparam("e")
        )
        self._put = Prepared(
            put.on_conflict_do_update(
                index_elements=["key"],
                set_={"value": put.excluded.value, "expires": put.excluded.expires},
            )
        )
        self._get = Prepared(select(STATE.c.value).where(_LIVE))
        self._take = Prepared(delete(STATE).where(_LIVE).returning(STATE.c.value))
        self._swap = Prepared(
            update(STATE)
            .where(_LIVE, STATE.c.value == bindparam("old"))
            .values(value=bindparam("v"), expires=bindparam("e"))
        )
        self._purge = Prepared(delete(STATE).where(STATE.c.expires <= bindparam("now")))

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        expires = int(self._time()) + ttl
        self._put.count(self._engine, k=_hashed(kind, key), kind=kind.value, v=value, e=expires)

    def get(self, kind: Kind, key: str) -> bytes | None:
        return self._value(self._get, kind, key)

    def take(self, kind: Kind, key: str) -> bytes | None:
        return self._value(self._take, kind, key)

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        now = int(self._time())
        changed = self._swap.count(
            self._engine,
            k=_hashed(kind, key),
            kind=kind.value,
            now=now,
            old=old,
            v=new,
            e=now + ttl,
        )
        return changed == 1

    def purge(self) -> int:
        return self._purge.count(self._engine, now=int(self._time()))

    def ping(self) -> None:
        self.get(Kind.INTERACTION, "")

    def close(self) -> None:
        release(self._engine)

    def _value(self, statement: Prepared, kind: Kind, key: str) -> bytes | None:
        row = statement.one(
            self._engine, k=_hashed(kind, key), kind=kind.value, now=int(self._time())
        )
        return None if row is None else bytes(row.value)


class _KnowsRun:
    """A connection that knows which run of the server it speaks to."""

    run_id = b""

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        self.send_command("INFO", "server")  # type: ignore[attr-defined]
        answer = self.read_response()  # type: ignore[attr-defined]
        text = answer if isinstance(answer, bytes) else str(answer).encode()
        self.run_id = text.partition(b"run_id:")[2][:40]


class _TcpConnection(_KnowsRun, redis.Connection):
    pass


class _SocketConnection(_KnowsRun, redis.UnixDomainSocketConnection):
    pass


class _TlsConnection(_KnowsRun, redis.SSLConnection):
    pass


class RedisStateStore:
    """Redis, each entry under the run id of the server that took it.

    A server that restarts or fails over may come back with an older state, in which a code that
    was redeemed lies unredeemed again. Its run id is another then, so whatever it remembers is
    never asked for: what was there is lost, which is harmless, and nothing is accepted twice.
    The run id is read once for each connection and costs the hot road nothing.

    The library's pool is not used: handing a connection out costs more than the command itself.
    """

    _SWAP = (
        "if redis.call('GET', KEYS[1]) == ARGV[1] then "
        "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0"
    )

    def __init__(self, url: str) -> None:
        kinds = {"unix": _SocketConnection, "rediss": _TlsConnection}
        # The pool is only the library's reader of URLs and maker of connections here.
        self._maker = redis.ConnectionPool.from_url(
            url,
            connection_class=kinds.get(url.partition(":")[0], _TcpConnection),
            socket_connect_timeout=0.3,
            socket_timeout=0.5,
            # Connecting is tried once each time: `_retry` below is for both, and two nested
            # would multiply.
            retry=Retry(NoBackoff(), 0),
        )
        self._retry = Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 1)
        # Those that nobody uses now; taking one and putting it back are single steps.
        self._idle: list[Any] = []

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        self._call("SET", kind, key, value, "EX", ttl)

    def get(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call("GET", kind, key))

    def take(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call("GETDEL", kind, key))

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        return bool(self._call(("EVAL", self._SWAP, 1), kind, key, old, new, ttl))

    def purge(self) -> int:
        """Redis expires entries itself."""
        return 0

    def ping(self) -> None:
        self._call("EXISTS", Kind.INTERACTION, "")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()

    def _call(self, command: str | tuple[Any, ...], kind: Kind, key: str, *arguments: Any) -> Any:
        """One command; a lost connection is replaced and the command repeated. A GETDEL whose
        answer was lost then reads as "taken", the safe side."""
        name = b":" + _hashed(kind, key)
        verb = (command,) if isinstance(command, str) else command
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._maker.make_connection()

        def attempt() -> Any:
            connection.connect()
            connection.send_command(*verb, b"sekisho:" + connection.run_id + name, *arguments)
            return connection.read_response()

        try:
            answer = self._retry.call_with_retry(attempt, lambda _: connection.disconnect())
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise Unavailable("Redis") from error
        self._idle.append(connection)
        return answer


def make_state_store(redis_url: str, engine: Engine) -> StateStore:
    return RedisStateStore(redis_url) if redis_url else SqlStateStore(engine)
