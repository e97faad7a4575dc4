"""The outbox: with the change or not at all, at least once, never lost, sealed."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from idp import outbox
from idp.outbox import DELAYS, GIVE_UP, KEEP, LEASE, OutboxRow
from keys.sealing import SealBroken
from tests.support.kit import Installation

LETTER = {"to": "alice@a.example", "link": "https://id.example.test/a-secret-link"}


class Receiver:
    """Takes what is delivered, unless it is told to fail."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.failing: Exception | None = None

    def __call__(self, payload: dict[str, Any]) -> None:
        if self.failing is not None:
            raise self.failing
        self.got.append(payload)


def enqueue(installation: Installation, payload: dict[str, Any] = LETTER) -> str:
    with installation.database() as session:
        services = installation.services
        return outbox.enqueue(session, services.sealer, "mail", payload, now=services.clock.now())


def deliver(installation: Installation, receiver: Callable[[dict[str, Any]], None]) -> int:
    services = installation.services
    return outbox.deliver_due(
        services.database, services.sealer, {"mail": receiver}, services.clock.now()
    )


def row_of(installation: Installation, row_id: str) -> OutboxRow:
    with installation.database() as session:
        return session.get_one(OutboxRow, row_id)


def test_what_is_queued_is_delivered_once(installation: Installation) -> None:
    receiver = Receiver()
    row_id = enqueue(installation)
    assert deliver(installation, receiver) == 1
    assert deliver(installation, receiver) == 0
    assert receiver.got == [LETTER]
    row = row_of(installation, row_id)
    assert (row.attempts, row.due_at, row.last_error) == (1, None, None)
    assert row.done_at == installation.clock.now()


# CR-11
def test_what_was_rolled_back_is_not_delivered(sqlite_installation: Installation) -> None:
    services = sqlite_installation.services

    def change_and_fail() -> None:
        with sqlite_installation.database() as session:
            outbox.enqueue(session, services.sealer, "mail", LETTER, now=services.clock.now())
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert deliver(sqlite_installation, Receiver()) == 0


def test_the_payload_is_sealed_and_opens_in_its_own_row_alone(
    sqlite_installation: Installation,
) -> None:
    sealer = sqlite_installation.services.sealer
    first = row_of(sqlite_installation, enqueue(sqlite_installation))
    second = row_of(sqlite_installation, enqueue(sqlite_installation))
    assert b"secret-link" not in first.payload
    assert b"alice" not in first.payload
    assert outbox.open_payload(first, sealer) == LETTER
    first.payload = second.payload
    with pytest.raises(SealBroken):
        outbox.open_payload(first, sealer)


def test_a_failing_delivery_is_tried_again_after_growing_delays(
    sqlite_installation: Installation,
) -> None:
    receiver = Receiver()
    receiver.failing = OSError("no route")
    row_id = enqueue(sqlite_installation)
    for attempt, seconds in enumerate([*DELAYS, DELAYS[-1], DELAYS[-1]], start=1):
        assert deliver(sqlite_installation, receiver) == 0
        row = row_of(sqlite_installation, row_id)
        assert row.attempts == attempt
        assert row.last_error == "OSError: no route"
        assert row.due_at == sqlite_installation.clock.now() + timedelta(seconds=seconds)
        sqlite_installation.pass_time(seconds=seconds - 1)
        assert deliver(sqlite_installation, receiver) == 0
        assert row_of(sqlite_installation, row_id).attempts == attempt
        sqlite_installation.pass_time(seconds=1)
    receiver.failing = None
    assert deliver(sqlite_installation, receiver) == 1
    assert row_of(sqlite_installation, row_id).last_error is None


def test_after_three_days_it_is_parked_and_kept(sqlite_installation: Installation) -> None:
    receiver = Receiver()
    receiver.failing = OSError("no route")
    row_id = enqueue(sqlite_installation)
    sqlite_installation.pass_time(seconds=GIVE_UP.total_seconds())
    deliver(sqlite_installation, receiver)
    receiver.failing = None
    sqlite_installation.pass_time(days=365)
    assert deliver(sqlite_installation, receiver) == 0
    outbox.purge(sqlite_installation.services.database, sqlite_installation.clock.now())
    row = row_of(sqlite_installation, row_id)
    assert (row.due_at, row.done_at, row.last_error) == (None, None, "OSError: no route")


def test_one_that_fails_does_not_hold_up_the_others(sqlite_installation: Installation) -> None:
    got: list[str] = []

    def receive(payload: dict[str, Any]) -> None:
        if payload["to"] == "b":
            raise ValueError("cannot be sent")
        got.append(payload["to"])

    for name in "abc":
        enqueue(sqlite_installation, {"to": name})
    assert deliver(sqlite_installation, receive) == 2
    assert sorted(got) == ["a", "c"]


def test_an_unknown_kind_waits_for_a_release_that_knows_it(
    sqlite_installation: Installation,
) -> None:
    services = sqlite_installation.services
    row_id = enqueue(sqlite_installation)
    assert outbox.deliver_due(services.database, services.sealer, {}, services.clock.now()) == 0
    assert row_of(sqlite_installation, row_id).due_at is not None


# CR-18
def test_what_a_killed_worker_was_delivering_is_delivered_after_its_lease(
    sqlite_installation: Installation,
) -> None:
    class Killed(BaseException):
        pass

    def die(_: dict[str, Any]) -> None:
        raise Killed

    enqueue(sqlite_installation)
    with pytest.raises(Killed):
        deliver(sqlite_installation, die)
    receiver = Receiver()
    sqlite_installation.pass_time(seconds=LEASE.total_seconds())
    assert deliver(sqlite_installation, receiver) == 0
    sqlite_installation.pass_time(seconds=1)
    assert deliver(sqlite_installation, receiver) == 1
    assert receiver.got == [LETTER]


def test_two_workers_at_once_deliver_each_row_once(installation: Installation) -> None:
    receiver = Receiver()
    payloads = [{"to": str(number)} for number in range(20)]
    for payload in payloads:
        enqueue(installation, payload)
    start = threading.Barrier(2)
    delivered: list[int] = []

    def work() -> None:
        start.wait()
        delivered.append(deliver(installation, receiver))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(delivered) == len(payloads)
    assert sorted(receiver.got, key=lambda got: int(got["to"])) == payloads


def test_what_was_delivered_is_forgotten_after_a_week(sqlite_installation: Installation) -> None:
    enqueue(sqlite_installation)
    deliver(sqlite_installation, Receiver())
    sqlite_installation.pass_time(seconds=KEEP.total_seconds())
    outbox.purge(sqlite_installation.services.database, sqlite_installation.clock.now())
    assert sqlite_installation.sql("SELECT id FROM outbox")
    sqlite_installation.pass_time(seconds=1)
    outbox.purge(sqlite_installation.services.database, sqlite_installation.clock.now())
    assert not sqlite_installation.sql("SELECT id FROM outbox")


def test_an_error_never_carries_the_payload_into_the_log(
    sqlite_installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    receiver.failing = ValueError(str(LETTER))
    enqueue(sqlite_installation)
    deliver(sqlite_installation, receiver)
    assert "delivery failed" in caplog.text
    assert "a-secret-link" not in str([vars(record) for record in caplog.records])
