"""Processes, Redis and PostgreSQL die in the middle of sign-ins: the service comes back by itself,
nothing is accepted twice, nothing is lost.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from bench.connection import Answer, Cookies
from idp import sessions
from tests.support.running import Installation, running
from tests.support.servers import PostgresServer, RedisServer
from tests.support.traffic import LOST, Road, Tally, code_of, load, road

pytestmark = pytest.mark.slow

# So that no code is refused for its age where it must be refused for having been redeemed.
SETTINGS = {"SEKISHO_CODE_SECONDS": "120"}
# A process that dies this soon after it replaced another ends the server, for a supervisor to
# start: it would die again.
SECONDS_BETWEEN_KILLS = 6
RESTART_SECONDS = 60


class KeepingRedis(RedisServer):
    """A Redis that writes down what it knows: a snapshot when it is told to, or every command."""

    def __init__(self, *, appendonly: bool) -> None:
        super().__init__()
        self._appendonly = appendonly

    def _command(self) -> list[str]:
        command = super()._command()
        config = Path(command[-1])
        text = config.read_text()
        if self._appendonly:
            text = text.replace("appendonly no", "appendonly yes\nappendfsync always")
        config.write_text(text)
        return command


@contextmanager
def served(*, workers: int = 2, **stores: str) -> Iterator[Road]:
    with running(workers=workers, host="127.0.0.1", settings=SETTINGS, **stores) as installation:
        yield road(installation)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def four_workers(request: pytest.FixtureRequest) -> Iterator[Road]:
    """A server of four processes without Redis, whose memory outlives every process."""
    stores = {}
    if request.param == "postgres":
        stores = {"database_url": request.getfixturevalue("postgres_url")}
    with served(workers=4, **stores) as found:
        yield found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RESTART_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def grows(tally: Tally, by: int = 20) -> None:
    """Waits until more people have signed in than now."""
    before = len(tally.redeemed)
    wait_until(lambda: len(tally.redeemed) >= before + by)


def replayed(road: Road, tally: Tally) -> list[str]:
    """What is said to every code that ever brought an ID token, when it comes again."""
    with road.connect() as connection:
        return [error_of(road.redeem(connection, code)) for code in tally.redeemed]


def error_of(answer: Answer) -> str:
    return str(json.loads(answer.body).get("error", "none"))


def assert_nothing_was_accepted_twice(road: Road, tally: Tally) -> None:
    assert not tally.unexpected, tally.unexpected[:3]
    assert len(set(tally.redeemed)) == len(tally.redeemed) > 0
    assert set(replayed(road, tally)) == {"invalid_grant"}
    with road.connect() as connection:
        for code in tally.tried:
            # Whether the first answer got lost on its way nobody knows: once more, never twice.
            road.redeem(connection, code)
            assert error_of(road.redeem(connection, code)) == "invalid_grant"


def assert_people_sign_in(road: Road) -> None:
    with road.connect() as connection:
        code = code_of(road.sign_in(connection, {}))
        assert code is not None
        assert road.redeem(connection, code).status == 200


def kill_worker(installation: Installation) -> int:
    victim = random.choice(installation.worker_pids())
    os.kill(victim, signal.SIGKILL)
    return victim


def test_a_killed_worker_is_replaced_and_nobody_is_signed_in_twice(four_workers: Road) -> None:
    installation = four_workers.installation
    keys = four_workers.get("/jwks").body
    with load(four_workers) as tally:
        for _ in range(3):
            grows(tally)
            victim = kill_worker(installation)
            wait_until(
                lambda gone=victim: (  # type: ignore[misc]
                    len(pids := installation.worker_pids()) == 4 and gone not in pids
                )
            )
            grows(tally)
            time.sleep(SECONDS_BETWEEN_KILLS)
    assert_nothing_was_accepted_twice(four_workers, tally)
    assert four_workers.get("/jwks").body == keys
    assert installation.stop() == 0


def test_all_workers_killed_at_once_are_replaced(four_workers: Road) -> None:
    installation = four_workers.installation
    with load(four_workers) as tally:
        grows(tally)
        killed = installation.worker_pids()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(installation.worker_pids()) - set(killed)) == 4)
        grows(tally)
    assert_nothing_was_accepted_twice(four_workers, tally)


# CR-01
def test_a_kill_while_a_code_is_redeemed_leaves_one_id_token_or_none(four_workers: Road) -> None:
    installation = four_workers.installation
    cookies: Cookies = {}
    last = 0
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(8))
        with four_workers.connect() as browser:
            four_workers.sign_in(browser, cookies)
        for _ in range(20):
            with four_workers.connect() as browser:
                code = four_workers.authorize(browser, cookies)

            def redeem(_: int, code: str = code) -> str:
                try:
                    with four_workers.connect(seconds=20) as application:
                        return error_of(four_workers.redeem(application, code))
                except LOST:
                    return "lost"

            asked = [pool.submit(redeem, number) for number in range(8)]
            time.sleep(random.uniform(0, 0.02))
            victim = random.choice([pid for pid in installation.worker_pids() if pid != last])
            os.kill(victim, signal.SIGKILL)
            outcomes = [future.result() for future in asked]
            wait_until(
                lambda gone=victim: (  # type: ignore[misc]
                    len(pids := installation.worker_pids()) == 4 and gone not in pids
                )
            )
            wait_until(installation.is_ready)
            last = max(installation.worker_pids())
            retries = [redeem(number) for number in range(2)]
            outcomes += retries
            assert outcomes.count("none") <= 1, outcomes
            assert set(outcomes) <= {"none", "invalid_grant", "lost"}
            assert retries[-1] in ("invalid_grant", "lost")


def test_a_killed_server_leaves_no_worker_and_starts_again_where_it_was(
    four_workers: Road,
) -> None:
    installation = four_workers.installation
    keys = four_workers.get("/jwks").body
    server = installation.process
    assert server is not None
    with load(four_workers) as tally:
        grows(tally)
        workers = server.descendants()
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        wait_until(lambda: not server.leftovers())
        assert len(workers) == 4
        installation.start(workers=4)
        grows(tally)
    assert tally.lost
    assert_nothing_was_accepted_twice(four_workers, tally)
    assert four_workers.get("/jwks").body == keys
    assert_people_sign_in(four_workers)


@pytest.fixture
def with_redis(postgres_url: str, redis_server: RedisServer) -> Iterator[Road]:
    """A server on PostgreSQL and on a Redis that forgets everything when it dies."""
    with served(database_url=postgres_url, redis_url=redis_server.url) as found:
        yield found


# CR-05
def test_a_redis_killed_under_load_comes_back_empty_and_nothing_is_accepted_twice(
    with_redis: Road, redis_server: RedisServer
) -> None:
    keys = with_redis.get("/jwks").body
    with load(with_redis) as tally:
        for _ in range(3):
            grows(tally)
            redis_server.kill()
            time.sleep(0.5)
            redis_server.start()
            grows(tally)
    assert tally.unavailable
    assert_nothing_was_accepted_twice(with_redis, tally)
    assert with_redis.get("/jwks").body == keys
    assert_people_sign_in(with_redis)


# CR-06
@pytest.mark.parametrize("appendonly", [False, True], ids=["snapshot", "log"])
@pytest.mark.usefixtures("shared_redis_server")  # Only to be skipped where there is no Redis.
def test_a_redis_back_in_time_brings_no_redeemed_code_back(
    postgres_url: str, appendonly: bool
) -> None:
    server = KeepingRedis(appendonly=appendonly)
    try:
        server.start()
        with served(database_url=postgres_url, redis_url=server.url) as found:
            redeemed = _redeemed_behind_a_snapshot(found, server)
            server.kill()
            server.start()
            with found.connect() as connection:
                again = [error_of(found.redeem(connection, code)) for code in redeemed]
            assert set(again) == {"invalid_grant"}
            assert_people_sign_in(found)
    finally:
        server.close()


def _redeemed_behind_a_snapshot(found: Road, server: RedisServer) -> list[str]:
    """Codes that are redeemed, and lie unredeemed in what Redis wrote down."""
    cookies: Cookies = {}
    with found.connect() as connection:
        found.sign_in(connection, cookies)
        codes = [found.authorize(connection, cookies) for _ in range(5)]
        with redis.Redis.from_url(server.url) as store:
            store.save()
            assert store.dbsize() >= len(codes)
        assert [found.redeem(connection, code).status for code in codes] == [200] * len(codes)
    return codes


# CR-07
def test_without_redis_everything_that_needs_it_says_not_now(
    with_redis: Road, redis_server: RedisServer
) -> None:
    cookies: Cookies = {}
    with with_redis.connect() as connection:
        with_redis.sign_in(connection, cookies)
        code = with_redis.authorize(connection, cookies)
        redis_server.kill()
        token = with_redis.redeem(connection, code)
        page = with_redis.ask_for_code(connection, cookies)
        start = with_redis.ask_for_code(connection, {})
        ready, alive = with_redis.get("/readyz"), with_redis.get("/healthz")
        jwks = with_redis.get("/jwks")
        redis_server.start()
        wait_until(lambda: with_redis.get("/readyz").status == 200)
        assert (
            with_redis.redeem(connection, with_redis.authorize(connection, cookies)).status == 200
        )
    assert (token.status, error_of(token)) == (503, "temporarily_unavailable")
    assert (page.status, start.status) == (503, 503)
    assert all(answer.header("Retry-After") for answer in (token, page, start))
    assert (page.header("Content-Type") or "").startswith("text/html")
    assert ready.status == 503
    assert json.loads(ready.body)["state"] == "failing"
    assert (alive.status, jwks.status) == (200, 200)


# CR-07
def test_a_redis_that_hangs_does_not_hang_the_service(
    with_redis: Road, redis_server: RedisServer
) -> None:
    cookies: Cookies = {}
    with with_redis.connect() as connection:
        with_redis.sign_in(connection, cookies)
        redis_server.pause()
        try:
            answers = [with_redis.ask_for_code(connection, cookies) for _ in range(3)]
            assert with_redis.get("/jwks").status == 200
        finally:
            redis_server.resume()
        assert {answer.status for answer in answers} == {503}
        wait_until(lambda: with_redis.get("/readyz").status == 200)
        assert (
            with_redis.redeem(connection, with_redis.authorize(connection, cookies)).status == 200
        )


# BF-23
def test_failures_are_still_counted_after_redis_was_killed_in_an_attack(
    with_redis: Road, redis_server: RedisServer
) -> None:
    with with_redis.connect() as connection:
        guesses = [with_redis.sign_in(connection, {}, password=f"guess {n}") for n in range(5)]
        redis_server.kill()
        during = [with_redis.sign_in(connection, {}, password=f"guess {n}") for n in range(5)]
        redis_server.start()
        guesses += [with_redis.sign_in(connection, {}, password=f"more {n}") for n in range(5)]
        right = with_redis.sign_in(connection, {})
    assert {answer.status for answer in during} == {503}
    assert {answer.status for answer in guesses} == {200}
    # Ten failures lock an account for browsers that it does not know.
    assert code_of(right) is None


# CR-08
def test_a_database_that_restarts_under_load_is_found_again(
    postgres_server: PostgresServer, redis_url: str
) -> None:
    database = postgres_server.url(postgres_server.create_database())
    with served(database_url=database, redis_url=redis_url) as found:
        keys = found.get("/jwks").body
        with load(found) as tally:
            for _ in range(3):
                grows(tally)
                postgres_server.restart()
                grows(tally)
        assert_nothing_was_accepted_twice(found, tally)
        assert found.get("/jwks").body == keys
        assert_people_sign_in(found)


# CR-08
def test_without_a_database_nothing_is_issued_and_everything_heals_by_itself(
    postgres_server: PostgresServer,
) -> None:
    cookies: Cookies = {}
    database = postgres_server.url(postgres_server.create_database())
    with served(database_url=database) as found, found.connect() as connection:
        found.sign_in(connection, cookies)
        code = found.authorize(connection, cookies)
        postgres_server.stop()
        token = found.redeem(connection, code)
        page = found.ask_for_code(connection, cookies)
        ready, alive = found.get("/readyz"), found.get("/healthz")
        postgres_server.start()
        wait_until(lambda: found.get("/readyz").status == 200)
        assert found.redeem(connection, found.authorize(connection, cookies)).status == 200
    assert (token.status, error_of(token)) == (503, "temporarily_unavailable")
    assert page.status == 503
    assert token.header("Retry-After")
    assert page.header("Retry-After")
    assert (ready.status, alive.status) == (503, 200)
    assert json.loads(ready.body)["database"] == "failing"


# TK-15
def test_a_code_brings_nothing_once_its_session_has_ended_even_in_a_race(
    four_workers: Road,
) -> None:
    both = threading.Barrier(2)
    with ExitStack() as stack:
        built = stack.enter_context(four_workers.installation.services())
        pool = stack.enter_context(ThreadPoolExecutor(1))
        application = stack.enter_context(four_workers.connect())

        def end_sessions() -> None:
            both.wait()
            with built.database.transaction() as session:
                open_ones = session.scalars(select(sessions.SessionRow.id)).all()
                sessions.end(session, open_ones, now=built.clock.now())

        for _ in range(10):
            with four_workers.connect() as browser:
                cookies: Cookies = {}
                code = code_of(four_workers.sign_in(browser, cookies))
                later = four_workers.authorize(browser, cookies)
            assert code is not None
            ending = pool.submit(end_sessions)
            both.wait()
            assert error_of(four_workers.redeem(application, code)) in ("none", "invalid_grant")
            ending.result()
            assert error_of(four_workers.redeem(application, later)) == "invalid_grant"
