"""Fills an installation's tables with a million rows, to show that nothing grows with them.

Owns: cloning a row of a table any number of times, unique values replaced, straight into the
database. It reads the tables from the database, not from the product's code, so it follows every
migration by itself. Not here: meaning; a cloned user cannot sign in.
"""

import itertools
import secrets
import string
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    func,
    insert,
    inspect,
    select,
    text,
)

_CHUNK = 5000
_HEX = set(string.hexdigits.lower())

Keys = dict[str, list[Any]]  # table name → primary keys of its cloned rows, to be referred to


def load_users(database_url: str, count: int) -> None:
    """Clone a user until the table `users` has `count` rows."""
    load(database_url, count, ["users"])


def load(database_url: str, count: int, tables: Iterable[str]) -> None:
    """Clone one row of each table until it has `count` rows, parents before children.

    A cloned row's foreign keys into a table loaded before are spread over that table's clones, so
    a million sessions belong to a million users.
    """
    engine = create_engine(database_url)
    keys: Keys = {}
    with engine.begin() as connection:
        for name in tables:
            table = Table(name, MetaData(), autoload_with=connection)
            missing = count - (connection.scalar(select(func.count()).select_from(table)) or 0)
            keys[name] = _clone(connection, table, max(missing, 0), keys)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Statistics and visibility as a live database has them; else the vacuum would be measured.
        analyze = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
        connection.execute(text(analyze))
    engine.dispose()


def argon2_hash(database_url: str) -> str | None:
    """Any Argon2id hash stored in the database, for its parameters; None if there is none."""
    engine = create_engine(database_url)
    metadata = MetaData()
    metadata.reflect(engine)
    texts = [
        column
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String)
    ]
    with engine.connect() as connection:
        stored = (connection.scalar(select(c).where(c.like("%$argon2id$%"))) for c in texts)
        found = next(filter(None, stored), None)
    engine.dispose()
    return found[found.index("$argon2id$") :] if found else None


def _clone(connection: Connection, table: Table, count: int, keys: Keys) -> list[Any]:
    template = connection.execute(select(table).limit(1)).mappings().one()
    referred = {
        column.name: itertools.cycle(keys[foreign.column.table.name])
        for column in table.columns
        for foreign in column.foreign_keys
        if keys.get(foreign.column.table.name)
    }
    fresh = {
        column.name: _fresh_values(connection, column, template[column.name])
        for column in _unique_columns(connection, table)
        if column.name not in referred
    }
    made = []
    identity = next(iter(table.primary_key.columns)).name
    for start in range(0, count, _CHUNK):
        rows = [
            dict(template)
            | {name: next(values) for name, values in referred.items()}
            | {name: next(values) for name, values in fresh.items()}
            for _ in range(min(_CHUNK, count - start))
        ]
        connection.execute(insert(table), rows)
        made += [row[identity] for row in rows]
    if count:
        _advance_sequences(connection, table)
    return made


def _advance_sequences(connection: Connection, table: Table) -> None:
    """Let the numbers PostgreSQL gives out continue after those of the clones."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        if column.type.python_type is int and connection.scalar(select(sequence)):
            connection.execute(
                select(func.setval(sequence, select(func.max(column)).scalar_subquery()))
            )


def _unique_columns(connection: Connection, table: Table) -> Sequence[Column[Any]]:
    """The columns that must differ between rows, and indexed hashes, which do differ in life: a
    million sessions of one browser would have the database plan for what nobody has. Foreign keys
    are left as they are."""
    inspector = inspect(connection)
    names = {column.name for column in table.primary_key.columns}
    for constraint in inspector.get_unique_constraints(table.name):
        names.update(constraint["column_names"])
    for index in inspector.get_indexes(table.name):
        columns = [name for name in index["column_names"] if name]
        if index["unique"] or isinstance(table.columns[columns[0]].type, LargeBinary):
            names.update(columns)
    return [c for c in table.columns if c.name in names and not c.foreign_keys]


def _fresh_values(connection: Connection, column: Column[Any], like: Any) -> Iterator[Any]:
    """Endless values of the template's shape, none of them twice."""
    if isinstance(like, int) and not isinstance(like, bool):
        highest = connection.scalar(select(func.max(column))) or 0
        yield from itertools.count(highest + 1)
    while True:
        yield _like(like)


def _like(like: Any) -> Any:
    if like is None or isinstance(like, (bool, datetime)):
        return like  # part of a unique pair whose other half differs
    if isinstance(like, uuid.UUID):
        return uuid.uuid4()
    if isinstance(like, bytes):
        return secrets.token_bytes(len(like))
    assert isinstance(like, str)
    if "@" in like:
        return f"clone-{secrets.token_hex(6)}@{like.partition('@')[2]}"
    if len(like) == 36 and like.count("-") == 4:
        return str(uuid.uuid4())
    if len(like) >= 16 and set(like) <= _HEX:
        return secrets.token_hex(len(like))[: len(like)]
    if len(like) >= 16:
        return secrets.token_urlsafe(len(like))[: len(like)]
    return f"{like}-{secrets.token_hex(6)}"
