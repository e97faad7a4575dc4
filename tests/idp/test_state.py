"""Short-lived state: one contract for all stores, races, and stores that forget or go back."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from idp import db
from idp.errors import Unavailable
from idp.redis_state import RedisStateStore
from idp.state import (
    METADATA,
    Kind,
    SqlStateStore,
    StateStore,
    make_state_store,
)
from tests.support.servers import PostgresServer, RedisServer

ROOT = Path(__file__).parents[2]
CODE = Kind.CODE
PROCESSES = 4
RACES = 40


def close(store: StateStore) -> None:
    connection = getattr(getattr(store, "_local", None), "connection", None)
    if connection is not None:
        connection.disconnect()


def sql_store(url: str) -> tuple[SqlStateStore, Engine]:
    engine = db.make_reader(url)
    METADATA.create_all(engine)
    return SqlStateStore(engine), engine


class StateStoreContract:
    """What every store promises. A subclass has the fixture `store`."""

    def test_nothing_is_found_under_a_name_that_was_never_used(self, store: StateStore) -> None:
        assert store.get(CODE, "k") is None
        assert store.take(CODE, "k") is None
        assert not store.swap(CODE, "k", b"", b"new", 60)

    def test_what_was_put_can_be_read_again_and_again(self, store: StateStore) -> None:
        store.put(CODE, "k", b"value", 60)
        assert [store.get(CODE, "k"), store.get(CODE, "k")] == [b"value", b"value"]

    def test_putting_again_replaces(self, store: StateStore) -> None:
        store.put(CODE, "k", b"first", 60)
        store.put(CODE, "k", b"second", 60)
        assert store.take(CODE, "k") == b"second"

    def test_what_was_taken_is_gone(self, store: StateStore) -> None:
        store.put(CODE, "k", b"value", 60)
        assert store.take(CODE, "k") == b"value"
        assert store.take(CODE, "k") is None
        assert store.get(CODE, "k") is None
        assert not store.swap(CODE, "k", b"value", b"value", 60)

    # TK-16
    def test_an_entry_of_one_kind_is_never_found_as_another(self, store: StateStore) -> None:
        store.put(CODE, "k", b"value", 60)
        for other in set(Kind) - {CODE}:
            assert store.get(other, "k") is None
            assert store.take(other, "k") is None
            assert not store.swap(other, "k", b"value", b"new", 60)
        assert store.take(CODE, "k") == b"value"

    def test_a_swap_replaces_exactly_what_was_read(self, store: StateStore) -> None:
        store.put(CODE, "k", b"old", 60)
        assert store.swap(CODE, "k", b"old", b"new", 60)
        assert not store.swap(CODE, "k", b"old", b"newer", 60)
        assert store.get(CODE, "k") == b"new"

    def test_a_turn_leaves_the_value_under_another_name_and_returns_it(
        self, store: StateStore
    ) -> None:
        store.put(CODE, "k", b"value", 60)
        assert store.turn(CODE, "k", Kind.HANDLE, "h", b"prefix ", 60) == b"value"
        assert store.get(CODE, "k") is None
        assert store.get(CODE, "h") is None
        assert store.get(Kind.HANDLE, "h") == b"prefix value"
        assert store.turn(CODE, "k", Kind.HANDLE, "h", b"other ", 60) is None
        assert store.take(Kind.HANDLE, "h") == b"prefix value"

    # TK-16
    def test_a_turn_takes_one_kind_alone(self, store: StateStore) -> None:
        store.put(CODE, "k", b"value", 60)
        for other in set(Kind) - {CODE}:
            assert store.turn(other, "k", Kind.HANDLE, "h", b"", 60) is None
        assert store.get(Kind.HANDLE, "h") is None
        assert store.get(CODE, "k") == b"value"

    @pytest.mark.parametrize("prefix", [b"", b"\0", bytes(range(256))])
    @pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 100_000])
    def test_every_byte_survives_a_turn(
        self, store: StateStore, prefix: bytes, value: bytes
    ) -> None:
        store.put(CODE, "k", value, 60)
        assert store.turn(CODE, "k", Kind.HANDLE, "h", prefix, 60) == value
        assert store.get(Kind.HANDLE, "h") == prefix + value

    @pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"x" * 100_000])
    def test_every_byte_survives(self, store: StateStore, value: bytes) -> None:
        store.put(CODE, "k", value, 60)
        assert store.get(CODE, "k") == value

    @pytest.mark.parametrize("key", ["", "関所", "a\0b", "\udc80", "k" * 100_000])
    def test_every_text_is_a_name(self, store: StateStore, key: str) -> None:
        store.put(CODE, key, b"value", 60)
        assert store.get(CODE, key[:-1]) is None or key == ""
        assert store.take(CODE, key) == b"value"

    def test_adding_replaces_nothing(self, store: StateStore) -> None:
        assert store.add(CODE, "k", b"first", 60)
        assert not store.add(CODE, "k", b"second", 60)
        assert store.take(CODE, "k") == b"first"
        assert store.add(CODE, "k", b"third", 60)
        assert store.get(CODE, "k") == b"third"

    def test_of_many_threads_that_add_at_once_one_wins(self, store: StateStore) -> None:
        start = threading.Barrier(8)

        def add_all(thread: int) -> list[str]:
            start.wait()
            mine = f"by {thread}".encode()
            return [name for name in names if store.add(CODE, name, mine, 60)]

        names = [f"code {number}" for number in range(10)]
        with ThreadPoolExecutor(8) as threads:
            won = [name for part in threads.map(add_all, range(8)) for name in part]
        assert sorted(won) == sorted(names)

    def test_it_answers_a_ping(self, store: StateStore) -> None:
        store.ping()

    # TK-02
    def test_of_many_threads_that_take_at_once_one_wins(self, store: StateStore) -> None:
        start = threading.Barrier(8)

        def take_all(_: int) -> list[str]:
            start.wait()
            return [name for name in names if store.take(CODE, name) == b"value"]

        names = [f"code {number}" for number in range(RACES)]
        for name in names:
            store.put(CODE, name, b"value", 60)
        with ThreadPoolExecutor(8) as threads:
            won = [name for part in threads.map(take_all, range(8)) for name in part]
        assert sorted(won) == sorted(names)

    # TK-02
    def test_of_many_threads_that_turn_at_once_one_wins(self, store: StateStore) -> None:
        start = threading.Barrier(8)

        def turn_all(thread: int) -> list[tuple[str, bytes]]:
            start.wait()
            mine = f"{thread} ".encode()
            return [
                (name, mine + b"value")
                for name in names
                if store.turn(CODE, name, Kind.HANDLE, name, mine, 60) == b"value"
            ]

        names = [f"code {number}" for number in range(RACES)]
        for name in names:
            store.put(CODE, name, b"value", 60)
        with ThreadPoolExecutor(8) as threads:
            won = [item for part in threads.map(turn_all, range(8)) for item in part]
        assert sorted(name for name, _ in won) == sorted(names)
        assert [store.get(Kind.HANDLE, name) for name, _ in won] == [value for _, value in won]

    def test_of_many_threads_that_swap_at_once_one_wins(self, store: StateStore) -> None:
        start = threading.Barrier(8)

        def swap_all(thread: int) -> list[str]:
            start.wait()
            mine = f"by {thread}".encode()
            return [name for name in names if store.swap(CODE, name, b"old", mine, 60)]

        names = [f"interaction {number}" for number in range(10)]
        for name in names:
            store.put(CODE, name, b"old", 60)
        with ThreadPoolExecutor(8) as threads:
            won = [name for part in threads.map(swap_all, range(8)) for name in part]
        assert sorted(won) == sorted(names)


class SqlContract(StateStoreContract):
    """Expiry on a clock of the test's own. A subclass has the fixture `engine`."""

    @pytest.fixture
    def store(self, engine: Engine) -> StateStore:
        return SqlStateStore(engine)

    def test_an_entry_lives_until_its_last_second_is_over(self, engine: Engine) -> None:
        time = [1000.0]
        store = SqlStateStore(engine, unix_time=lambda: time[0])
        store.put(CODE, "k", b"value", 60)
        time[0] = 1059.9
        assert store.get(CODE, "k") == b"value"
        assert not store.add(CODE, "k", b"value", 60)
        time[0] = 1060.0
        assert store.get(CODE, "k") is None
        assert not store.swap(CODE, "k", b"value", b"new", 60)
        # TK-06: expiry does not wait for anybody to clean up.
        assert store.take(CODE, "k") is None

    def test_a_swap_gives_a_new_life(self, engine: Engine) -> None:
        time = [1000.0]
        store = SqlStateStore(engine, unix_time=lambda: time[0])
        store.put(CODE, "k", b"value", 60)
        time[0] = 1050.0
        assert store.swap(CODE, "k", b"value", b"new", 60)
        time[0] = 1100.0
        assert store.get(CODE, "k") == b"new"

    def test_a_turn_gives_a_new_life_and_takes_nothing_that_is_over(self, engine: Engine) -> None:
        time = [1000.0]
        store = SqlStateStore(engine, unix_time=lambda: time[0])
        store.put(CODE, "k", b"value", 60)
        time[0] = 1059.0
        assert store.turn(CODE, "k", Kind.HANDLE, "h", b"", 300) == b"value"
        store.put(CODE, "k", b"value", 60)
        time[0] = 1119.0
        assert store.turn(CODE, "k", Kind.HANDLE, "other", b"", 300) is None
        time[0] = 1358.0
        assert store.get(Kind.HANDLE, "h") == b"value"
        time[0] = 1359.0
        assert store.get(Kind.HANDLE, "h") is None

    # DS-06
    def test_a_purge_removes_what_has_expired_and_nothing_else(self, engine: Engine) -> None:
        time = [1000.0]
        store = SqlStateStore(engine, unix_time=lambda: time[0])
        for number in range(3):
            store.put(CODE, f"short {number}", b"value", 10)
        store.put(CODE, "long", b"value", 60)
        time[0] = 1010.0
        assert store.purge() == 3
        assert store.purge() == 0
        assert store.get(CODE, "long") == b"value"

    def test_names_are_not_stored_in_plain(self, store: StateStore, engine: Engine) -> None:
        store.put(CODE, "a-code-that-works", b"value", 60)
        with engine.connect() as connection:
            [row] = connection.exec_driver_sql("SELECT * FROM state").all()
        assert b"a-code-that-works" not in b"".join(
            bytes(part) for part in row if not isinstance(part, int)
        )


class TestSqlite(SqlContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        _, engine = sql_store(f"sqlite:///{tmp_path / 'state.db'}")
        yield engine
        engine.dispose()


class TestPostgres(SqlContract):
    @pytest.fixture
    def engine(self, postgres_url: str) -> Iterator[Engine]:
        _, engine = sql_store(postgres_url)
        yield engine
        engine.dispose()


class TestRedis(StateStoreContract):
    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[StateStore]:
        store = make_state_store(redis_url, None)  # type: ignore[arg-type]
        yield store
        close(store)

    def test_redis_itself_forgets_an_entry(self, store: StateStore, redis_url: str) -> None:
        store.put(CODE, "k", b"value", 60)
        with redis.Redis.from_url(redis_url) as connection:
            [name] = connection.scan_iter()
            assert 0 < connection.ttl(name) <= 60
        assert store.purge() == 0

    def test_a_swap_gives_a_new_life(self, store: StateStore, redis_url: str) -> None:
        store.put(CODE, "k", b"value", 60)
        assert store.swap(CODE, "k", b"value", b"new", 600)
        with redis.Redis.from_url(redis_url) as connection:
            [name] = connection.scan_iter()
            assert connection.ttl(name) > 60

    def test_a_turn_gives_a_new_life(self, store: StateStore, redis_url: str) -> None:
        store.put(CODE, "k", b"value", 60)
        assert store.turn(CODE, "k", Kind.HANDLE, "h", b"", 600) == b"value"
        with redis.Redis.from_url(redis_url) as connection:
            [name] = connection.scan_iter()
            assert connection.ttl(name) > 60

    def test_scripts_that_the_server_forgot_are_given_to_it_again(
        self, store: StateStore, redis_url: str
    ) -> None:
        for number in range(3):
            store.put(CODE, "k", b"old", 60)
            with redis.Redis.from_url(redis_url) as connection:
                connection.script_flush()
            assert store.swap(CODE, "k", b"old", b"new", 60)
            with redis.Redis.from_url(redis_url) as connection:
                connection.script_flush()
            assert store.turn(CODE, "k", Kind.HANDLE, f"h{number}", b"", 60) == b"new"


TAKER = """
import sys
from idp import db
from idp.state import Kind, make_state_store
store = make_state_store(sys.argv[2], db.make_reader(sys.argv[1]))
store.ping()
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    name = str(n)
    if sys.argv[4] == "take":
        won = store.take(Kind.CODE, name)
    else:
        won = store.turn(Kind.CODE, name, Kind.HANDLE, name, b"", 60)
    if won is not None:
        print(n, end=" ")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("redis", marks=pytest.mark.redis),
    ],
)
@pytest.mark.parametrize("verb", ["take", "turn"])
def test_of_many_processes_that_take_at_once_one_wins(
    kind: str, verb: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sql_url = f"sqlite:///{tmp_path / 'state.db'}"
    if kind == "postgresql":
        sql_url = request.getfixturevalue("postgres_url")
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    _, engine = sql_store(sql_url)
    store = make_state_store(redis_url, engine)
    for number in range(RACES):
        store.put(CODE, str(number), b"value", 60)
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, sql_url, redis_url, str(RACES), verb],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("\n")
        taker.stdin.flush()
    won = [int(number) for taker in takers for number in taker.communicate()[0].split()]
    assert sorted(won) == list(range(RACES))
    close(store)
    engine.dispose()


@pytest.fixture
def own_redis(redis_server: RedisServer) -> Iterator[RedisStateStore]:
    store = RedisStateStore(redis_server.url)
    yield store
    close(store)


# CR-05
def test_a_redis_that_forgot_everything_lets_nothing_in(
    own_redis: RedisStateStore, redis_server: RedisServer
) -> None:
    own_redis.put(CODE, "taken", b"value", 60)
    own_redis.put(CODE, "open", b"value", 60)
    assert own_redis.take(CODE, "taken") == b"value"
    redis_server.kill()
    redis_server.start()
    assert own_redis.take(CODE, "taken") is None
    assert own_redis.take(CODE, "open") is None
    own_redis.put(CODE, "new", b"value", 60)
    assert own_redis.take(CODE, "new") == b"value"


# CR-06
def test_a_redis_back_in_time_makes_nothing_usable_again(
    own_redis: RedisStateStore, redis_server: RedisServer
) -> None:
    own_redis.put(CODE, "taken", b"value", 600)
    own_redis.put(CODE, "swapped", b"old", 600)
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.save()
    assert own_redis.take(CODE, "taken") == b"value"
    assert own_redis.swap(CODE, "swapped", b"old", b"new", 600)
    redis_server.kill()
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as connection:
        assert connection.dbsize() == 2, "the snapshot was not read back"
    fresh = RedisStateStore(redis_server.url)
    for store in (own_redis, fresh):
        assert store.get(CODE, "taken") is None
        assert store.take(CODE, "taken") is None
        assert store.take(CODE, "swapped") is None
        assert not store.swap(CODE, "swapped", b"old", b"newer", 600)
    close(fresh)


# CR-07
def test_a_redis_that_is_away_or_does_not_answer_is_said_to_be_unavailable(
    own_redis: RedisStateStore, redis_server: RedisServer
) -> None:
    uses: list[Callable[[], object]] = [
        own_redis.ping,
        lambda: own_redis.put(CODE, "k", b"value", 60),
        lambda: own_redis.get(CODE, "k"),
        lambda: own_redis.take(CODE, "k"),
        lambda: own_redis.swap(CODE, "k", b"value", b"new", 60),
        lambda: own_redis.turn(CODE, "k", Kind.HANDLE, "h", b"", 60),
    ]
    redis_server.pause()
    with pytest.raises(Unavailable):
        own_redis.ping()
    redis_server.resume()
    redis_server.kill()
    for use in uses:
        with pytest.raises(Unavailable):
            use()
    redis_server.start()
    own_redis.put(CODE, "k", b"value", 60)
    assert own_redis.take(CODE, "k") == b"value"


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_ones(
    own_redis: RedisStateStore, redis_server: RedisServer
) -> None:
    own_redis.put(CODE, "first", b"of the first", 60)
    own_redis.put(CODE, "second", b"of the second", 60)
    redis_server.pause()
    with pytest.raises(Unavailable):
        own_redis.take(CODE, "first")
    redis_server.resume()
    assert own_redis.get(CODE, "second") == b"of the second"


# CR-08
def test_a_postgresql_that_was_restarted_is_used_again_without_an_error(
    postgres_server: PostgresServer,
) -> None:
    store, engine = sql_store(postgres_server.url())
    store.put(CODE, "k", b"value", 60)
    postgres_server.restart()
    assert store.take(CODE, "k") == b"value"
    postgres_server.stop()
    with pytest.raises(Unavailable):
        store.take(CODE, "k")
    postgres_server.start()
    assert store.take(CODE, "k") is None
    engine.dispose()
