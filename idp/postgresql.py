"""A PostgreSQL connection that runs single statements, below the driver's cursor.

Owns: preparing, sending, waiting for at most so long, and reading rows, by means of psycopg's own
libpq wrapper and its converters; which types go in and come out the server says itself.
Does not own: when a lost connection is replaced (`held`). A module of its own because an embedded
installation need not load the driver. What it saves is in docs/DECISIONS.md, 23.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from psycopg import Error, OperationalError, pq
from psycopg.adapt import Transformer
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from sqlalchemy import Engine, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine.interfaces import Dialect

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 5  # the server's own limit
ANSWER_SECONDS = 8  # for a server that does not keep it, because it hangs
_BINARY = pq.Format.BINARY


class NoAnswer(OperationalError):
    """The server hangs. Asking it again would only wait again."""


# `$1` instead of `%(name)s`: what the server itself understands.
DIALECT: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def limits(url: str, *, single_statements: bool = False) -> dict[str, Any]:
    """Connection parameters so that a server that hangs stalls nobody for ever. What the URL says
    itself stands."""
    wanted: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        # Milliseconds until what was sent must be acknowledged, when a network goes silent.
        "tcp_user_timeout": ANSWER_SECONDS * 1000,
        "keepalives_idle": 30,
    }
    if single_statements:
        wanted["options"] = f"-c statement_timeout={STATEMENT_SECONDS}s"
    given = make_url(url).query
    return {name: value for name, value in wanted.items() if name not in given}


class Connection:
    """A held connection in autocommit; for one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        """Raises what the engine raises when there is no server."""
        self._fairy = engine.raw_connection()
        self._fairy.detach()  # Ours from now on; the pool need not count it.
        driver: Any = self._fairy.dbapi_connection
        self._driver = driver
        self._libpq: pq.abc.PGconn = driver.pgconn
        self._libpq.nonblocking = 0  # Sending: a statement of ours always fits into the buffer.
        poll = select.poll()
        poll.register(self._libpq.socket, select.POLLIN)
        self._poll = poll.poll
        self._plans: dict[str, _Plan] = {}

    def run(self, sql: str, arguments: Sequence[Any]) -> tuple[list[Any], int]:
        """Rows as tuples, and how many rows were touched. Raises the driver's errors."""
        try:
            return self._run(sql, arguments)
        except (InvalidSqlStatementName, FeatureNotSupported):
            # The server forgot it (DISCARD), or a migration changed what it returns; either was
            # found out before anything was done.
            self._plans.clear()
            self._ask(self._libpq.send_query, b"DEALLOCATE ALL")
            return self._run(sql, arguments)

    def is_lost(self, error: Exception) -> bool:
        return not isinstance(error, NoAnswer) and self._libpq.status != pq.ConnStatus.OK

    def close(self) -> None:
        # A lost connection may fail to close as well; it is forgotten either way.
        with suppress(Exception):
            self._fairy.close()

    def _run(self, sql: str, arguments: Sequence[Any]) -> tuple[list[Any], int]:
        plan = self._plans.get(sql) or self._prepare(sql)
        convert = plan.convert
        values = convert.dump_sequence(arguments, ())
        result = self._ask(
            self._libpq.send_query_prepared, plan.name, values, plan.formats, _BINARY
        )
        if not plan.returns:
            return [], result.command_tuples or 0
        convert.set_pgresult(result, set_loaders=False)
        count = result.ntuples
        rows = convert.load_rows(0, count, tuple)
        convert.set_pgresult(None, set_loaders=False)
        return rows, count

    def _prepare(self, sql: str) -> _Plan:
        name = f"sekisho_{len(self._plans)}".encode()
        self._ask(self._libpq.send_prepare, name, sql.encode())
        described = self._ask(self._libpq.send_describe_prepared, name)
        plan = self._plans[sql] = _Plan(name, described, self._driver)
        return plan

    def _ask(self, send: Any, *arguments: Any) -> pq.abc.PGresult:
        """The answer to what `send` asks. Raises the driver's errors."""
        send(*arguments)
        libpq, answer = self._libpq, None
        while True:
            while libpq.is_busy():
                if not self._poll(ANSWER_SECONDS * 1000):
                    raise NoAnswer(f"no answer within {ANSWER_SECONDS} seconds")
                libpq.consume_input()
            following = libpq.get_result()
            if following is None:
                break
            answer = following
        if answer is None or answer.status not in (_ROWS, _DONE):
            raise _error(answer)
        return answer


_ROWS, _DONE = pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK


def _error(answer: pq.abc.PGresult | None) -> Error:
    return OperationalError("no answer") if answer is None else error_from_result(answer)


class _Plan:
    """A statement that the server has prepared on one connection."""

    __slots__ = ("convert", "formats", "name", "returns")

    def __init__(self, name: bytes, described: pq.abc.PGresult, driver: Any) -> None:
        self.name = name
        self.convert = Transformer(driver)
        taken = [described.param_type(index) for index in range(described.nparams)]
        self.convert.set_dumper_types(taken, _BINARY)
        self.convert.set_loader_types(
            [described.ftype(index) for index in range(described.nfields)], _BINARY
        )
        self.formats = [_BINARY] * len(taken)
        self.returns = described.nfields > 0
