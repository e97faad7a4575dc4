"""Connections held for single statements, each a transaction of its own, on the hot road.

Owns: who uses which connection now, and that a lost one is replaced. Does not own the statements
(`db.Prepared`) nor how one is run on PostgreSQL (`postgresql`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from idp.errors import Unavailable


class Held(Protocol):
    """A connection kept for statements that are transactions of their own; for one thread at a
    time."""

    def run(self, sql: str, arguments: Sequence[Any]) -> tuple[list[Any], int]:
        """Rows as tuples, and how many rows were touched. Raises the driver's errors."""

    def is_lost(self, error: Exception) -> bool:
        """Whether the connection, not the statement, is the reason."""

    def close(self) -> None: ...


class _Sqlite:
    def __init__(self, engine: Engine) -> None:
        self._fairy = engine.raw_connection()
        self._fairy.detach()  # Ours from now on; the pool need not count it.
        self._cursor = self._fairy.cursor()

    def run(self, sql: str, arguments: Sequence[Any]) -> tuple[list[Any], int]:
        cursor = self._cursor
        cursor.execute(sql, arguments)
        return cursor.fetchall(), cursor.rowcount  # type: ignore[return-value]

    def is_lost(self, _error: Exception) -> bool:
        return False

    def close(self) -> None:
        self._fairy.close()


def _hold(engine: Engine) -> Held:
    if engine.dialect.name == "sqlite":
        return _Sqlite(engine)
    from idp.postgresql import Connection

    return Connection(engine)


# The connections of each engine that nobody uses now, the last used on top. Taking one off a list
# and putting it back are single steps in Python; a pool does more. There are as many as threads
# were ever in here at once.
_idle: WeakKeyDictionary[Engine, list[Held]] = WeakKeyDictionary()


def _connect(engine: Engine) -> Held:
    try:
        return _hold(engine)
    except (SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        raise Unavailable("the database") from error


def release(engine: Engine) -> None:
    """Closes what is idle of an engine."""
    for held in _idle.pop(engine, []):
        held.close()
    engine.dispose()


def run(engine: Engine, sql: str, arguments: Sequence[Any]) -> tuple[list[Any], int]:
    """Runs once; a connection that turns out to be lost is replaced and the statement repeated.

    Repeating is safe for every statement here: reads, deletes that claim (a lost answer reads as
    "already taken", the safe side), and upserts of the same value.
    """
    while True:
        try:
            held, is_new = _idle[engine].pop(), False
        except (KeyError, IndexError):
            held, is_new = _connect(engine), True
        try:
            answer = held.run(sql, arguments)
        except (OverflowError, UnicodeError):  # A value that cannot even be sent.
            held.close()
            raise
        except engine.dialect.loaded_dbapi.Error as error:
            is_lost = held.is_lost(error)
            held.close()
            if is_lost and not is_new:
                release(engine)  # A server that went away took the other connections with it.
                continue
            if is_lost or isinstance(error, engine.dialect.loaded_dbapi.OperationalError):
                raise Unavailable("the database") from error
            raise
        _idle.setdefault(engine, []).append(held)
        return answer
