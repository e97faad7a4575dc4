"""One code, many who want it at once: over several processes, one gets it."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from bench.connection import Cookies
from tests.support.running import running
from tests.support.traffic import Road, code_of, road

WORKERS = 4
PARALLEL = 50
EVERY_DAY, SHOWN = 10, 200


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres-redis", marks=[pytest.mark.postgres, pytest.mark.redis]),
    ]
)
def four_workers(request: pytest.FixtureRequest) -> Iterator[Road]:
    """A server of four processes on each pair of stores."""
    stores = {}
    if request.param == "postgres-redis":
        # Asked for only now, so that the tests on SQLite start no server.
        stores = {
            "database_url": request.getfixturevalue("postgres_url"),
            "redis_url": request.getfixturevalue("redis_url"),
        }
    with running(workers=WORKERS, host="127.0.0.1", **stores) as installation:
        yield road(installation)


# TK-02
@pytest.mark.parametrize("rounds", [EVERY_DAY, pytest.param(SHOWN, marks=pytest.mark.slow)])
def test_of_fifty_parallel_redemptions_of_a_code_one_succeeds(
    four_workers: Road, rounds: int
) -> None:
    cookies: Cookies = {}
    start = threading.Barrier(PARALLEL)
    with ExitStack() as stack:
        browser = stack.enter_context(four_workers.connect())
        pool = stack.enter_context(ThreadPoolExecutor(PARALLEL))
        applications = [stack.enter_context(four_workers.connect()) for _ in range(PARALLEL)]
        code = code_of(four_workers.sign_in(browser, cookies))

        def redeem(number: int) -> str:
            assert code is not None
            start.wait()
            answer = four_workers.redeem(applications[number], code)
            members = json.loads(answer.body)
            return "id_token" if "id_token" in members else f"{answer.status} {members['error']}"

        for _ in range(rounds):
            outcomes = Counter(pool.map(redeem, range(PARALLEL)))
            assert outcomes == {"id_token": 1, "400 invalid_grant": PARALLEL - 1}
            code = four_workers.authorize(browser, cookies)
