"""The StateStore on Redis. See `state` for what it is for.

A module of its own because the library takes memory that an embedded installation need not spend.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from idp.errors import Unavailable
from idp.state import Kind, hashed


class _Script:
    """Steps that Redis takes as one. It is named by its hash; a server that does not know it, after
    a restart say, is given it once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_SWAP = _Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then "
    "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0"
)
_TURN = _Script(
    "local value = redis.call('GETDEL', KEYS[1]) if value then "
    "redis.call('SET', KEYS[2], ARGV[1] .. value, 'EX', ARGV[2]) end return value"
)


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

    The library's pool is not used: it does more each time than this road needs.
    """

    def __init__(self, url: str) -> None:
        kinds = {"unix": _SocketConnection, "rediss": _TlsConnection}
        # The pool is only the library's reader of URLs and maker of connections here.
        self._maker = redis.ConnectionPool.from_url(
            url,
            connection_class=kinds.get(url.partition(":")[0], _TcpConnection),
            # The number of threads is the limit; the maker's own count is of all it ever made.
            max_connections=2**31 - 1,
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
        self._call(("SET",), [hashed(kind, key)], value, "EX", ttl)

    def get(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call(("GET",), [hashed(kind, key)]))

    def take(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call(("GETDEL",), [hashed(kind, key)]))

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        return bool(self._run(_SWAP, [hashed(kind, key)], old, new, ttl))

    def turn(
        self, kind: Kind, key: str, into: Kind, new_key: str, prefix: bytes, ttl: int
    ) -> bytes | None:
        names = [hashed(kind, key), hashed(into, new_key)]
        return cast("bytes | None", self._run(_TURN, names, prefix, ttl))

    def purge(self) -> int:
        """Redis expires entries itself."""
        return 0

    def ping(self) -> None:
        self._call(("EXISTS",), [hashed(Kind.INTERACTION, "")])

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()

    def _run(self, script: _Script, names: list[bytes], *arguments: Any) -> Any:
        try:
            return self._call(("EVALSHA", script.sha, len(names)), names, *arguments)
        except NoScriptError:
            return self._call(("EVAL", script.text, len(names)), names, *arguments)

    def _call(self, verb: tuple[Any, ...], names: list[bytes], *arguments: Any) -> Any:
        """One command; a lost connection is replaced and the command repeated. A GETDEL whose
        answer was lost then reads as "taken", the safe side."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._maker.make_connection()

        def attempt() -> Any:
            connection.connect()
            begin = b"sekisho:" + connection.run_id + b":"
            connection.send_command(*verb, *[begin + name for name in names], *arguments)
            return connection.read_response()

        try:
            answer = self._retry.call_with_retry(attempt, lambda _: connection.disconnect())
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise Unavailable("Redis") from error
        finally:
            self._idle.append(connection)  # One that was disconnected connects again when used.
        return answer
