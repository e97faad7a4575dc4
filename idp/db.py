"""The database: one declarative base, two engines, and statements compiled once.

Owns: engines for SQLite (WAL) and PostgreSQL, the type of instants, `Prepared`.
Does not own: tables (one noun, one module, one table or two) and migrations.

Two engines on one database: `writer` for transactions, `reader` in autocommit for single
statements, which on PostgreSQL saves two of three round trips. On the hot road `Prepared` runs a
Core statement on a held connection of the driver's own: the same SQL, without compiling or result
objects.
"""

from __future__ import annotations

import importlib
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Engine, Executable, MetaData, create_engine, event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeDecorator

from idp.held import release, run

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class Timestamp(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, integer microseconds since 1970 in both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


def engine_options(url: str) -> dict[str, Any]:
    """Options of the writing engine; Flask-SQLAlchemy is given the same."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 10}}
    from idp.postgresql import limits

    return {
        "pool_pre_ping": True,
        "pool_size": 5,
        "max_overflow": 10,
        "pool_timeout": 5,
        "connect_args": limits(url),
    }


def make_writer(url: str) -> Engine:
    return prepare_writer(create_engine(_driver(url), **engine_options(url)))


def prepare_writer(engine: Engine) -> Engine:
    """Pragmas, and on SQLite transactions that take the write lock at once: one that upgrades a
    read lock fails without waiting."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(
            engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )
    return engine


def make_reader(url: str) -> Engine:
    """An engine whose every statement is its own transaction."""
    options = engine_options(url) | {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
    # No ping before each use: `Prepared` heals a lost connection itself.
    options.pop("pool_pre_ping", None)
    if not url.startswith("sqlite"):
        from idp.postgresql import limits

        options["connect_args"] = limits(url, single_statements=True)
    engine = create_engine(_driver(url), **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    return engine


def upsert(dialect: str) -> Any:
    """The `insert` of a dialect that knows ON CONFLICT. Only that dialect is loaded."""
    return importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.executescript(
        "pragma journal_mode=wal; pragma synchronous=normal; pragma busy_timeout=10000;"
        "pragma foreign_keys=on;"
    )


@dataclass(frozen=True, slots=True)
class Database:
    writer: Engine
    reader: Engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back when anything is raised."""
        with Session(self.writer, expire_on_commit=False) as session, session.begin():
            yield session

    def dispose(self) -> None:
        self.writer.dispose()
        release(self.reader)


class Prepared:
    """One Core statement, compiled once for each dialect, run on the driver's cursor.

    Bind parameters are named as in the statement; values pass through their types. Rows are named
    tuples of the columns. No expanding parameters.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._columns = tuple(_returned(statement))
        self._row: Any = namedtuple("Row", [column.key for column in self._columns])  # type: ignore[misc]
        self._compiled: dict[str, _Compiled] = {}

    def all(self, engine: Engine, **values: Any) -> list[Any]:
        compiled = self._compiled.get(engine.dialect.name) or self._compile(engine.dialect)
        rows, _ = run(engine, compiled.sql, compiled.arguments(values))
        make, read = self._row._make, compiled.read
        return [make(read(row)) for row in rows]

    def one(self, engine: Engine, **values: Any) -> Any | None:
        """The first row, or None."""
        rows = self.all(engine, **values)
        return rows[0] if rows else None

    def count(self, engine: Engine, **values: Any) -> int:
        """Runs a write; how many rows it touched."""
        compiled = self._compiled.get(engine.dialect.name) or self._compile(engine.dialect)
        return run(engine, compiled.sql, compiled.arguments(values))[1]

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = _Compiled(self._statement, self._columns, _positional(dialect))
        self._compiled[dialect.name] = compiled
        return compiled


class _Compiled:
    """The SQL of one dialect, and how values go in and come out."""

    __slots__ = ("_binders", "_order", "_readers", "_template", "sql")

    def __init__(self, statement: Any, columns: tuple[Any, ...], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = compiled.string
        self._order: list[str] = compiled.positiontup
        self._template: dict[str, Any] = {}
        self._binders: list[tuple[str, Callable[[Any], Any]]] = []
        for name, bind in compiled.binds.items():
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:
                self._template[name] = processor(bind.value) if processor else bind.value
            elif processor:
                self._binders.append((name, processor))
        self._readers: list[tuple[int, Callable[[Any], Any]]] = [
            (index, processor)
            for index, column in enumerate(columns)
            if (processor := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        for name, processor in self._binders:
            values[name] = processor(values[name])
        merged = {**self._template, **values} if self._template else values
        return [merged[name] for name in self._order]

    def read(self, row: Any) -> Any:
        if not self._readers:
            return row
        values = list(row)
        for index, processor in self._readers:
            values[index] = processor(values[index])
        return values


def _positional(dialect: Dialect) -> Dialect:
    """The same with parameters by place, as `held.run` takes them."""
    if dialect.name == "sqlite":
        return dialect
    from idp.postgresql import DIALECT

    return DIALECT


def _returned(statement: Any) -> list[Any]:
    if isinstance(statement, SelectBase):
        return list(statement.selected_columns)
    return list(getattr(statement, "_returning", ()))
