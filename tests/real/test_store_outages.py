"""Redis and PostgreSQL die in the middle of sign-ins: meanwhile the answer is "not now", afterwards
everything goes on, nothing is accepted twice.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bench.connection import Cookies
from tests.support.servers import PostgresServer, RedisServer
from tests.support.survival import (
    assert_nothing_was_accepted_twice,
    assert_people_sign_in,
    error_of,
    grows,
    served,
    wait_until,
)
from tests.support.traffic import Road, code_of, load

pytestmark = pytest.mark.slow


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
