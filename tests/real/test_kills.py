"""Processes die in the middle of sign-ins: the service comes back by itself, nothing is accepted
twice, nothing is lost. Stores that die are test_store_outages.py's.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from bench.connection import Cookies
from idp import sessions
from tests.support.running import Installation
from tests.support.survival import (
    assert_nothing_was_accepted_twice,
    assert_people_sign_in,
    error_of,
    grows,
    served,
    wait_until,
)
from tests.support.traffic import LOST, Road, code_of, load

pytestmark = pytest.mark.slow

# A process that dies this soon after it replaced another ends the server, for a supervisor to
# start: it would die again.
SECONDS_BETWEEN_KILLS = 6


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def four_workers(request: pytest.FixtureRequest) -> Iterator[Road]:
    """A server of four processes without Redis, whose memory outlives every process."""
    stores = {}
    if request.param == "postgres":
        stores = {"database_url": request.getfixturevalue("postgres_url")}
    with served(workers=4, **stores) as found:
        yield found


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
