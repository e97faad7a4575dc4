"""What must be true after something died: nothing accepted twice, nothing lost, people sign in."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.connection import Answer
from tests.support.running import running
from tests.support.traffic import Road, Tally, code_of, road

# So that no code is refused for its age where it must be refused for having been redeemed.
SETTINGS = {"SEKISHO_CODE_SECONDS": "120"}
RESTART_SECONDS = 60


@contextmanager
def served(*, workers: int = 2, **stores: str) -> Iterator[Road]:
    with running(workers=workers, host="127.0.0.1", settings=SETTINGS, **stores) as installation:
        yield road(installation)


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
