"""The StateStore on Redis. See `state` for what it is for.

A module of its own because the library takes memory that an embedded installation need not spend.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from idp.errors import Unavailable
from idp.state import Kind, hashed

PIECE = 64 * 1024


class _Script:
    """Steps that Redis takes as one. It is named by its hash; a server that does not know it, after
    a restart say, is given it once."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()


_SWAP = _Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then "
    "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0"
)
_TURN = _Script(
    "local value = redis.call('GETDEL', KEYS[1]) if value then "
    "redis.call('SET', KEYS[2], ARGV[1] .. value, 'EX', ARGV[2]) end return value"
)


class _KnowsRun:
    """A connection that knows which run of the server it speaks to, and asks it directly: the
    library's ways of sending and reading do more than a command of ours needs."""

    run_id = b""
    _sock: Any

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        self.send_command("INFO", "server")  # type: ignore[attr-defined]
        answer = self.read_response()  # type: ignore[attr-defined]
        text = answer if isinstance(answer, bytes) else str(answer).encode()
        self.run_id = text.partition(b"run_id:")[2][:40]

    def ask(self, parts: list[bytes]) -> bytes | int | None:
        """The answer to one command: of a kind that ours give. Raises RedisError; afterwards the
        connection is of use only where it was the server's refusal (ResponseError)."""
        lengths = [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
        try:
            self._sock.sendall(b"*%d\r\n%b" % (len(parts), b"".join(lengths)))
            return self._read()
        except OSError as error:
            raise redis.ConnectionError(str(error)) from error

    def _read(self) -> bytes | int | None:
        """RESP2: a simple string, an error, a number, or a string with its length before it."""
        data = self._more(b"")
        while not data.endswith(b"\r\n"):
            data = self._more(data)
        line, _, rest = data.partition(b"\r\n")
        kind, text = line[:1], line[1:]
        if kind == b"$":
            length = int(text)
            if length < 0:
                return None
            while len(rest) < length + 2:
                rest = self._more(rest)
            return rest[:-2]
        if kind == b":":
            return int(text)
        if kind == b"+":
            return text
        message = text.decode(errors="replace")
        raise NoScriptError(message) if text.startswith(b"NOSCRIPT") else ResponseError(message)

    def _more(self, data: bytes) -> bytes:
        piece: bytes = self._sock.recv(PIECE)
        if not piece:
            raise redis.ConnectionError("the server closed the connection")
        return data + piece


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

    The library makes connections and says when to try again; its pool and its commands do more
    each time than this road needs.
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
            protocol=2,  # what `_read` reads
            # Connecting is tried once each time: `_retry` below is for both, and two nested
            # would multiply.
            retry=Retry(NoBackoff(), 0),
        )
        self._retry = Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), 1)
        # Those that nobody uses now; taking one and putting it back are single steps.
        self._idle: list[Any] = []

    def put(self, kind: Kind, key: str, value: bytes, ttl: int) -> None:
        self._call([b"SET"], [hashed(kind, key)], value, b"EX", b"%d" % ttl)

    def add(self, kind: Kind, key: str, value: bytes, ttl: int) -> bool:
        names = [hashed(kind, key)]
        return self._call([b"SET"], names, value, b"EX", b"%d" % ttl, b"NX") is not None

    def get(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call([b"GET"], [hashed(kind, key)]))

    def take(self, kind: Kind, key: str) -> bytes | None:
        return cast("bytes | None", self._call([b"GETDEL"], [hashed(kind, key)]))

    def swap(self, kind: Kind, key: str, old: bytes, new: bytes, ttl: int) -> bool:
        return bool(self._run(_SWAP, [hashed(kind, key)], old, new, b"%d" % ttl))

    def turn(
        self, kind: Kind, key: str, into: Kind, new_key: str, prefix: bytes, ttl: int
    ) -> bytes | None:
        names = [hashed(kind, key), hashed(into, new_key)]
        return cast("bytes | None", self._run(_TURN, names, prefix, b"%d" % ttl))

    def purge(self) -> int:
        """Redis expires entries itself."""
        return 0

    def ping(self) -> None:
        self._call([b"EXISTS"], [hashed(Kind.INTERACTION, "")])

    def close(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()

    def _run(self, script: _Script, names: list[bytes], *arguments: bytes) -> bytes | int | None:
        count = b"%d" % len(names)
        try:
            return self._call([b"EVALSHA", script.sha, count], names, *arguments)
        except NoScriptError:
            return self._call([b"EVAL", script.text, count], names, *arguments)

    def _call(self, verb: list[bytes], names: list[bytes], *arguments: bytes) -> bytes | int | None:
        """One command; a lost connection is replaced and the command repeated. A GETDEL whose
        answer was lost then reads as "taken", the safe side."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._maker.make_connection()

        def attempt() -> bytes | int | None:
            connection.connect()
            begin = b"sekisho:" + connection.run_id + b":"
            answer: bytes | int | None = connection.ask(
                [*verb, *[begin + name for name in names], *arguments]
            )
            return answer

        try:
            answer = self._retry.call_with_retry(attempt, lambda _: connection.disconnect())
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise Unavailable("Redis") from error
        except BaseException:
            # An answer that was not read must not be taken for the next one's.
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)  # One that was disconnected connects again when used.
        return answer
