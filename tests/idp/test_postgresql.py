"""Single statements on PostgreSQL: types, statements that vanish, and servers that hang."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    text,
)

from idp import db, postgresql
from idp.db import Prepared, Timestamp
from idp.errors import Unavailable
from idp.held import release

METADATA = MetaData()
SAMPLES = Table(
    "samples",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("small", SmallInteger),
    Column("flag", Boolean),
    Column("name", String(40)),
    Column("more", Text),
    Column("blob", LargeBinary),
    Column("json", JSON(none_as_null=True)),
    Column("at", Timestamp),
)
NAMES = [column.name for column in SAMPLES.c]
ADD = Prepared(insert(SAMPLES).values({name: bindparam(name) for name in NAMES}))
READ = Prepared(select(SAMPLES).where(SAMPLES.c.id == bindparam("id")))
PID = Prepared(select(func.pg_backend_pid().label("pid")))
FULL: dict[str, object] = {
    "id": 2**63 - 1,
    "small": -(2**15),
    "flag": True,
    "name": "関所",
    "more": "",
    "blob": bytes(range(256)),
    "json": {"a": [1, None, "関"]},
    "at": datetime(2027, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
}


@pytest.fixture
def reader(postgres_url: str) -> Iterator[Engine]:
    engine = db.make_reader(postgres_url)
    METADATA.create_all(engine)
    yield engine
    release(engine)


@pytest.mark.parametrize(
    "sample",
    [
        FULL,
        {**FULL, "id": -(2**63), "small": 2**15 - 1, "flag": False, "blob": b""},
        {**dict.fromkeys(NAMES), "id": 0},
    ],
)
def test_every_type_comes_back_as_it_went_in(reader: Engine, sample: dict[str, object]) -> None:
    assert ADD.count(reader, **sample) == 1
    row = READ.one(reader, id=sample["id"])
    assert row is not None
    assert row._asdict() == sample


@pytest.mark.parametrize("sample", [{"id": 2**63}, {"name": "a\0b"}, {"name": "\udc80"}])
def test_what_cannot_be_stored_is_an_error_and_the_next_statement_works(
    reader: Engine, sample: dict[str, object]
) -> None:
    wrong = (reader.dialect.loaded_dbapi.DataError, OverflowError, UnicodeEncodeError)
    with pytest.raises(wrong):
        ADD.count(reader, **{**FULL, **sample})
    assert ADD.count(reader, **FULL) == 1


def test_statements_that_the_server_forgot_are_prepared_again(reader: Engine) -> None:
    forget = Prepared(text("DISCARD ALL"))
    ADD.count(reader, **FULL)
    for _ in range(3):
        before = PID.one(reader)
        assert READ.one(reader, id=FULL["id"]) is not None
        forget.count(reader)
        assert READ.one(reader, id=FULL["id"]) is not None
        assert PID.one(reader) == before


def test_a_migration_under_a_running_process_is_no_error(reader: Engine) -> None:
    ADD.count(reader, **FULL)
    assert READ.one(reader, id=FULL["id"]) is not None
    with reader.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE samples ALTER name TYPE varchar(80)")
        connection.exec_driver_sql("ALTER TABLE samples ALTER small TYPE integer")
    row = READ.one(reader, id=FULL["id"])
    assert row is not None
    assert row.small == FULL["small"]


def test_one_connection_is_used_again_and_again(reader: Engine) -> None:
    assert len({PID.one(reader) for _ in range(5)}) == 1


# CR-07
def test_a_server_that_hangs_is_waited_for_only_so_long(
    reader: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.3)
    found = PID.one(reader)
    assert found is not None
    os.kill(found.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(Unavailable):
            PID.one(reader)
    finally:
        os.kill(found.pid, signal.SIGCONT)
    assert time.monotonic() - began < 5
    other = PID.one(reader)
    assert other is not None
    assert other.pid != found.pid


# CR-07
def test_a_statement_that_waits_for_a_lock_is_ended_by_the_server(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "STATEMENT_SECONDS", 1)
    reader, writer = db.make_reader(postgres_url), db.make_writer(postgres_url)
    METADATA.create_all(reader)
    with writer.begin() as holder:
        holder.exec_driver_sql("LOCK TABLE samples IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            READ.one(reader, id=1)
    assert READ.one(reader, id=1) is None
    release(reader)
    writer.dispose()


# CR-07
def test_connecting_to_a_server_that_hangs_ends(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts and then says nothing, as one whose disk has gone."""
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = db.make_reader(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none")
        began = time.monotonic()
        with pytest.raises(Unavailable):
            PID.one(reader)
        assert time.monotonic() - began < 10


def test_limits_that_the_operator_set_stand(postgres_url: str) -> None:
    plain = postgresql.limits(postgres_url, single_statements=True)
    assert {"connect_timeout", "tcp_user_timeout", "options"} <= plain.keys()
    reader = db.make_reader(postgres_url + "?options=-c%20statement_timeout%3D7s")
    shown = Prepared(select(func.current_setting("statement_timeout").label("limit")))
    row = shown.one(reader)
    assert row is not None
    assert row.limit == "7s"
    release(reader)


def test_threads_do_not_share_a_connection(reader: Engine) -> None:
    start = threading.Barrier(4)
    pids: list[int] = []
    slow = Prepared(select(func.pg_backend_pid().label("pid"), func.pg_sleep(0.2).label("slept")))

    def ask() -> None:
        start.wait()
        row = slow.one(reader)
        assert row is not None
        pids.append(row.pid)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 4
