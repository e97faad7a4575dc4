"""Failure counters: what is evaluated, when a lock comes and goes, and that races cannot cheat."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.errors import TooManyAttempts
from idp.limits import (
    HARD_STOP,
    KNOWN_STEPS,
    NETWORK_FACTOR,
    SOURCE_LIMITS,
    UNKNOWN_STEPS,
    Counter,
    account_bucket,
    count_source,
    reserve_attempt,
    source_buckets,
)
from idp.throttle import KEEP, Throttle
from tests.support.kit import Installation

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
STEPS = st.sampled_from([UNKNOWN_STEPS, KNOWN_STEPS])
# Seconds between attempts; the clock may be set back, too.
GAPS = st.lists(st.integers(-7200, 7200), max_size=250)
SOON_AFTER_ANOTHER = st.lists(st.integers(0, 2), max_size=250)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@given(STEPS, SOON_AFTER_ANOTHER)
def test_never_more_attempts_are_evaluated_before_a_lock_than_the_first_step_allows(
    steps: tuple[tuple[int, int], ...], gaps: list[int]
) -> None:
    counter, now, evaluated = Counter(), NOON, 0
    for gap in gaps[:25]:
        now += timedelta(seconds=gap)
        counter, reservation = reserve_attempt(counter, now, steps)
        evaluated += reservation.is_evaluated
    assert evaluated <= steps[0][0]
    assert evaluated == min(len(gaps[:25]), steps[0][0])


@given(STEPS, GAPS)
def test_what_is_evaluated_is_counted_and_nothing_else(
    steps: tuple[tuple[int, int], ...], gaps: list[int]
) -> None:
    counter, now, evaluated = Counter(), NOON, 0
    for gap in gaps:
        now += timedelta(seconds=gap)
        counter, reservation = reserve_attempt(counter, now, steps)
        evaluated += reservation.is_evaluated
        assert counter.total == evaluated
    # BF-18
    assert evaluated <= HARD_STOP


@given(STEPS, GAPS)
def test_a_lock_never_grows_while_it_holds(
    steps: tuple[tuple[int, int], ...], gaps: list[int]
) -> None:
    counter, now = Counter(), NOON
    for gap in gaps:
        now += timedelta(seconds=gap)
        is_locked = counter.locked_until is not None and now < counter.locked_until
        after, reservation = reserve_attempt(counter, now, steps)
        if is_locked:
            assert after == counter
            assert not reservation.is_evaluated
        counter = after


@given(STEPS, GAPS)
def test_no_lock_lasts_longer_than_the_longest_step(
    steps: tuple[tuple[int, int], ...], gaps: list[int]
) -> None:
    counter, now = Counter(), NOON
    longest = minutes(max(length for _, length in steps))
    for gap in gaps:
        now += timedelta(seconds=gap)
        counter, reservation = reserve_attempt(counter, now, steps)
        if reservation.locks:
            assert reservation.locked_until == counter.locked_until
            assert counter.locked_until is not None
            assert now < counter.locked_until <= now + longest


@pytest.mark.parametrize("steps", [UNKNOWN_STEPS, KNOWN_STEPS])
def test_the_steps_come_one_after_another_and_the_last_one_stays(
    steps: tuple[tuple[int, int], ...],
) -> None:
    counter, now = Counter(), NOON
    for allowed, length in [*steps, steps[-1], steps[-1]]:
        for attempt in range(1, allowed + 1):
            counter, reservation = reserve_attempt(counter, now, steps)
            assert reservation.is_evaluated
            assert reservation.locks == (attempt == allowed)
        assert counter.locked_until == now + minutes(length)
        now += minutes(length) - timedelta(seconds=1)
        assert not reserve_attempt(counter, now, steps)[1].is_evaluated
        now += timedelta(seconds=1)


def test_a_day_of_guessing_gets_about_forty_guesses() -> None:
    counter, now, evaluated = Counter(), NOON, 0
    for _ in range(24 * 60):
        counter, reservation = reserve_attempt(counter, now, UNKNOWN_STEPS)
        evaluated += reservation.is_evaluated
        now += minutes(1)
    assert 35 <= evaluated <= 45


# BF-18
def test_after_a_hundred_failures_in_a_row_nothing_is_evaluated_any_more() -> None:
    counter = Counter(total=HARD_STOP)
    _, reservation = reserve_attempt(counter, NOON + timedelta(days=3650), UNKNOWN_STEPS)
    assert not reservation.is_evaluated


# BF-24
@pytest.mark.parametrize("jump", [-60, 60])
def test_a_clock_that_jumps_an_hour_makes_no_lock_endless(jump: int) -> None:
    counter, now = Counter(), NOON
    for _ in range(UNKNOWN_STEPS[0][0]):
        counter, _ = reserve_attempt(counter, now, UNKNOWN_STEPS)
    now += minutes(jump)
    _, reservation = reserve_attempt(counter, now, UNKNOWN_STEPS)
    assert reservation.is_evaluated == (jump > 0)
    assert reserve_attempt(counter, NOON + minutes(15), UNKNOWN_STEPS)[1].is_evaluated


# BF-24
def test_a_clock_set_back_does_not_let_a_source_lock_vanish() -> None:
    counter, now = Counter(), NOON
    for _ in range(SOURCE_LIMITS[0]):
        counter = count_source(counter, now, "a", 1)
    assert counter.locked_until == NOON + minutes(10)
    assert count_source(counter, NOON - minutes(60), "a", 1).locked_until is not None


def test_a_source_is_locked_by_failures_or_by_many_accounts() -> None:
    counter = Counter()
    for number in range(SOURCE_LIMITS[1]):
        assert counter.locked_until is None
        counter = count_source(counter, NOON, f"account {number}", 1)
    assert counter.locked_until == NOON + minutes(10)


def test_the_lock_of_a_source_doubles_up_to_an_hour_and_rests_after_two() -> None:
    counter, now, lengths = Counter(), NOON, []
    for _ in range(5):
        for _ in range(SOURCE_LIMITS[0]):
            counter = count_source(counter, now, "a", 1)
        assert counter.locked_until is not None
        lengths.append(counter.locked_until - now)
        now = counter.locked_until
    assert lengths == [minutes(length) for length in (10, 20, 40, 60, 60)]
    rested = now + timedelta(hours=3)
    for _ in range(SOURCE_LIMITS[0]):
        counter = count_source(counter, rested, "a", 1)
    assert counter.locked_until == rested + minutes(10)


def test_failures_that_lie_apart_do_not_add_up() -> None:
    counter, now = Counter(), NOON
    for _ in range(3 * SOURCE_LIMITS[0]):
        counter = count_source(counter, now, "a", 1)
        now += minutes(1)
    assert counter.locked_until is None


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 900), st.integers(0, 99))))
def test_what_a_source_remembers_stays_small(factor: int, failures: list[tuple[int, int]]) -> None:
    counter, now = Counter(), NOON
    for gap, account in failures:
        now += timedelta(seconds=gap)
        counter = count_source(counter, now, str(account), factor)
        assert len(counter.accounts) <= SOURCE_LIMITS[1] * factor


# BF-17
@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.7", ["192.0.2.7/32", "192.0.2.0/24"]),
        ("::ffff:192.0.2.7", ["192.0.2.7/32", "192.0.2.0/24"]),
        ("2001:db8:1:2:3:4:5:6", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
        ("2001:db8:1:2::9", ["2001:db8:1:2::/64", "2001:db8:1::/48"]),
    ],
)
def test_a_source_is_counted_as_its_network(address: str, networks: list[str]) -> None:
    assert [name for name, _ in source_buckets(address)] == [f"source:{net}" for net in networks]


@pytest.mark.parametrize("address", ["", "unknown", "a", "192.0.2.7, a", "010.0.0.1", "x" * 999])
def test_what_is_no_address_is_one_source(address: str) -> None:
    assert [name for name, _ in source_buckets(address)] == ["source:unknown"]


@given(st.text(), st.text(), st.binary())
def test_a_known_browser_never_shares_a_bucket(one: str, other: str, browser: bytes) -> None:
    assert account_bucket("password", one) != account_bucket("password", other, browser)


# BF-02
def test_fifty_guesses_at_once_are_no_more_than_ten(installation: Installation) -> None:
    throttle = installation.services.throttle
    start = threading.Barrier(50)

    def guess(_: int) -> bool:
        start.wait()
        return throttle.reserve("password:alice", NOON, is_known_browser=False).is_evaluated

    with ThreadPoolExecutor(50) as threads:
        evaluated = sum(threads.map(guess, range(50)))
    assert evaluated == UNKNOWN_STEPS[0][0]
    [row] = installation.sql("SELECT total, level FROM failures")
    assert row == {"total": UNKNOWN_STEPS[0][0], "level": 1}


def test_fifty_failures_at_once_are_all_counted(installation: Installation) -> None:
    throttle = installation.services.throttle

    def fail(number: int) -> None:
        throttle.fail_source(f"192.0.2.{number % 5}", "alice", NOON)

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(fail, range(50)))
    rows = installation.sql("SELECT bucket, failures FROM failures ORDER BY bucket")
    assert [row["failures"] for row in rows] == [50, *[10] * 5]


def reserve_until_locked(throttle: Throttle, bucket: str) -> None:
    for _ in range(UNKNOWN_STEPS[0][0]):
        throttle.reserve(bucket, NOON, is_known_browser=False)
    assert not throttle.reserve(bucket, NOON, is_known_browser=False).is_evaluated


# BF-16
def test_a_success_clears_its_own_bucket_and_no_other(sqlite_installation: Installation) -> None:
    throttle = sqlite_installation.services.throttle
    reserve_until_locked(throttle, "password:alice")
    throttle.fail_source("192.0.2.1", "alice", NOON)
    own = throttle.reserve("password:bob", NOON, is_known_browser=False)
    throttle.succeed(own)
    assert not throttle.reserve("password:alice", NOON, is_known_browser=False).is_evaluated
    left = {row["bucket"] for row in sqlite_installation.sql("SELECT bucket FROM failures")}
    assert left == {"password:alice", "source:192.0.2.1/32", "source:192.0.2.0/24"}


# EN-08
def test_strangers_do_not_use_up_the_attempts_of_a_known_browser(
    sqlite_installation: Installation,
) -> None:
    throttle = sqlite_installation.services.throttle
    reserve_until_locked(throttle, account_bucket("password", "alice"))
    known = account_bucket("password", "alice", b"a browser")
    assert throttle.reserve(known, NOON, is_known_browser=True).is_evaluated


def test_a_source_that_failed_too_often_is_told_how_long_to_wait(
    installation: Installation,
) -> None:
    throttle = installation.services.throttle
    throttle.check_source("192.0.2.1", NOON)
    for _ in range(SOURCE_LIMITS[0]):
        throttle.fail_source("192.0.2.1", "alice", NOON)
    with pytest.raises(TooManyAttempts) as refused:
        throttle.check_source("192.0.2.1", NOON + minutes(4))
    assert refused.value.retry_after == 360
    throttle.check_source("192.0.2.2", NOON)
    throttle.check_source("192.0.2.1", NOON + minutes(10))


# BF-17
@pytest.mark.parametrize(
    ("guesser", "neighbour"),
    [("192.0.2.{}", "192.0.2.250"), ("2001:db8:1:{}::1", "2001:db8:1:ffff::1")],
)
def test_a_network_that_fails_all_over_is_refused_as_a_whole(
    sqlite_installation: Installation, guesser: str, neighbour: str
) -> None:
    throttle = sqlite_installation.services.throttle
    for number in range(SOURCE_LIMITS[0] * NETWORK_FACTOR):
        throttle.fail_source(guesser.format(number), "alice", NOON)
    with pytest.raises(TooManyAttempts):
        throttle.check_source(neighbour, NOON)


# TK-10
def test_a_guessed_client_secret_slows_down_its_source_alone(
    sqlite_installation: Installation,
) -> None:
    throttle = sqlite_installation.services.throttle
    waits = [throttle.fail_client("c1", "192.0.2.1", NOON) for _ in range(SOURCE_LIMITS[0])]
    assert waits[-2:] == [0, 600]
    assert throttle.fail_client("c1", "192.0.2.2", NOON) == 0
    assert throttle.fail_client("c2", "192.0.2.1", NOON) == 0


def test_a_notice_is_due_once_a_day(installation: Installation) -> None:
    throttle = installation.services.throttle
    throttle.reserve("password:alice", NOON, is_known_browser=False)
    due = []
    for hours in (0, 1, 23.9, 24, 25):
        with installation.database() as session:
            due.append(
                throttle.may_notify(session, "password:alice", NOON + timedelta(hours=hours))
            )
    assert due == [True, False, False, True, False]
    with installation.database() as session:
        assert not throttle.may_notify(session, "password:nobody", NOON)


def test_old_failures_are_forgotten_but_a_hard_stop_is_not(
    sqlite_installation: Installation,
) -> None:
    throttle = sqlite_installation.services.throttle
    for bucket in ("password:alice", "password:bob"):
        throttle.reserve(bucket, NOON, is_known_browser=False)
    sqlite_installation.sql(
        "UPDATE failures SET total = :total WHERE bucket = 'password:bob'", total=HARD_STOP
    )
    throttle.purge(NOON + KEEP)
    assert len(sqlite_installation.sql("SELECT * FROM failures")) == 2
    throttle.purge(NOON + KEEP + minutes(1))
    [left] = sqlite_installation.sql("SELECT bucket FROM failures")
    assert left == {"bucket": "password:bob"}
