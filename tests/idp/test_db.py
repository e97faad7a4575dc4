"""The database: statements compiled once, on both databases, through restarts."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import IntegrityError

from idp import db
from idp.db import Database, Prepared, Timestamp
from idp.errors import Unavailable
from tests.support.kit import ALICE, C1, Installation, RelyingParty
from tests.support.servers import PostgresServer

NOON = datetime(2027, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(40)),
    Column("at", Timestamp),
    Column("blob", LargeBinary),
    Column("more", JSON),
)
ADD = Prepared(
    insert(THINGS).values(
        id=bindparam("i"), name=bindparam("n"), at=bindparam("t"), blob=bindparam("b"), more={}
    )
)
BY_NAME = Prepared(
    select(THINGS.c.id, THINGS.c.at, THINGS.c.blob.label("bytes"), THINGS.c.more)
    .where(THINGS.c.name == bindparam("n"))
    .order_by(THINGS.c.id)
)
LATER = Prepared(select(THINGS.c.id).where(THINGS.c.at > bindparam("t", type_=Timestamp())))
RENAME = Prepared(update(THINGS).where(THINGS.c.name == bindparam("n")).values(name="renamed"))
TAKE = Prepared(delete(THINGS).where(THINGS.c.id == bindparam("i")).returning(THINGS.c.name))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    url = f"sqlite:///{tmp_path / 'things.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    made = Database(db.make_writer(url), db.make_reader(url))
    METADATA.create_all(made.writer)
    yield made
    made.dispose()


def add(engine: Engine, number: int, name: str = "a", at: datetime | None = NOON) -> int:
    return ADD.count(engine, i=number, n=name, t=at, b=b"\0\xff")


def test_values_come_back_as_they_went_in(database: Database) -> None:
    assert add(database.reader, 1, "関所") == 1
    row = BY_NAME.one(database.reader, n="関所")
    assert row is not None
    assert (row.id, row.at, bytes(row.bytes), row.more) == (1, NOON, b"\0\xff", {})
    assert row._fields == ("id", "at", "bytes", "more")


def test_nothing_found_is_none_and_an_empty_list(database: Database) -> None:
    assert BY_NAME.one(database.reader, n="nobody") is None
    assert BY_NAME.all(database.reader, n="nobody") == []
    assert TAKE.one(database.reader, i=7) is None


def test_none_is_null(database: Database) -> None:
    add(database.reader, 1, at=None)
    row = BY_NAME.one(database.reader, n="a")
    assert row is not None
    assert row.at is None
    assert LATER.all(database.reader, t=NOON) == []


def test_rows_keep_their_order_and_writes_say_how_many(database: Database) -> None:
    for number in (3, 1, 2):
        add(database.reader, number)
    assert [row.id for row in BY_NAME.all(database.reader, n="a")] == [1, 2, 3]
    assert RENAME.count(database.reader, n="a") == 3
    assert RENAME.count(database.reader, n="a") == 0


def test_instants_are_compared_as_instants(database: Database) -> None:
    add(database.reader, 1, at=NOON)
    add(database.reader, 2, at=NOON + timedelta(microseconds=1))
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert [row.id for row in LATER.all(database.reader, t=there)] == [2]


@pytest.mark.parametrize("text", ["'; DROP TABLE things; --", "%s %(n)s %%", ":n ?", "\\"])
def test_values_are_never_part_of_the_statement(database: Database, text: str) -> None:
    add(database.reader, 1, text)
    row = BY_NAME.one(database.reader, n=text)
    assert row is not None
    assert row.id == 1


def test_a_broken_rule_is_raised_and_the_connection_goes_on(database: Database) -> None:
    add(database.reader, 1)
    wrong = database.reader.dialect.loaded_dbapi.IntegrityError
    for _ in range(20):
        with pytest.raises((wrong, IntegrityError)):
            add(database.reader, 1)
    assert BY_NAME.one(database.reader, n="a") is not None


def test_of_many_threads_one_takes(database: Database) -> None:
    add(database.reader, 1)
    start = threading.Barrier(8)

    def take(_: int) -> bool:
        start.wait()
        return TAKE.one(database.reader, i=1) is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 1


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    def add_and_fail() -> None:
        with database.transaction() as session:
            session.execute(insert(THINGS).values(id=1, name="a"))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert BY_NAME.all(database.reader, n="a") == []
    with database.transaction() as session:
        session.execute(insert(THINGS).values(id=1, name="a", more={}))
    assert len(BY_NAME.all(database.reader, n="a")) == 1


def test_transactions_that_read_and_then_write_do_not_lose_an_update(database: Database) -> None:
    with database.transaction() as session:
        session.execute(insert(THINGS).values(id=1, name="0"))

    def count_up(_: int) -> None:
        with database.transaction() as session:
            read = select(THINGS.c.name).where(THINGS.c.id == 1).with_for_update()
            number = int(session.execute(read).scalar_one())
            session.execute(update(THINGS).where(THINGS.c.id == 1).values(name=str(number + 1)))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count_up, range(40)))
    assert BY_NAME.one(database.reader, n="40") is not None


@given(st.datetimes(datetime(1700, 1, 1), datetime(2600, 1, 1), timezones=st.just(UTC)))
def test_an_instant_survives_to_the_microsecond(at: datetime) -> None:
    kind, dialect = Timestamp(), sqlite_dialect()
    assert kind.process_result_value(kind.process_bind_param(at, dialect), dialect) == at


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        Timestamp().process_bind_param(datetime(2027, 3, 1), sqlite_dialect())


# CR-08
def test_statements_heal_after_a_restart_and_say_when_there_is_no_server(
    postgres_server: PostgresServer,
) -> None:
    database = Database(
        db.make_writer(postgres_server.url()), db.make_reader(postgres_server.url())
    )
    METADATA.create_all(database.writer)
    add(database.reader, 1)
    postgres_server.restart()
    assert BY_NAME.one(database.reader, n="a") is not None
    with database.transaction() as session:
        session.execute(update(THINGS).values(name="b"))
    postgres_server.stop()
    for _ in range(2):
        with pytest.raises(Unavailable):
            BY_NAME.one(database.reader, n="b")
    postgres_server.start()
    assert BY_NAME.one(database.reader, n="b") is not None
    database.dispose()


def test_postgresql_may_be_named_without_its_driver(postgres_url: str) -> None:
    engine = db.make_reader(postgres_url.replace("+psycopg", ""))
    assert engine.driver == "psycopg"
    engine.dispose()


# CR-08
@pytest.mark.postgres
@pytest.mark.redis
def test_people_see_a_page_and_applications_json_while_the_database_is_away(
    postgres_installation: Installation,
) -> None:
    installation = postgres_installation
    application = RelyingParty(installation, C1)
    browser = installation.browser()
    code = application.code(browser, ALICE)
    [name] = [row["name"] for row in installation.sql("SELECT current_database() AS name")]
    forbid = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS '
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
    admin = db.make_reader(installation.settings.database_url.replace(f"/{name}", "/postgres"))
    with admin.connect() as connection:
        connection.exec_driver_sql(forbid + "false")
        connection.exec_driver_sql(ends.replace(":name", f"'{name}'"))
        page = browser.get("/authorize", application.request())
        answer = application.redeem(code)
        ready = browser.get("/readyz")
        connection.exec_driver_sql(forbid + "true")
    admin.dispose()
    assert (page.status_code, page.mimetype) == (503, "text/html")
    assert (answer.status_code, answer.mimetype) == (503, "application/json")
    assert page.headers["Retry-After"]
    assert answer.headers["Retry-After"]
    assert (ready.status_code, ready.get_json()["database"]) == (503, "failing")
    assert browser.authorize(application.request()).answer["code"]
