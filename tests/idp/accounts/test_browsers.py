"""Browsers of a user: known, remembered for a while, forgotten, taken off the list."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from idp.accounts import browsers
from idp.policy import DEFAULT, Policy
from tests.support.kit import ALICE, BELLA, NOW, Installation, Person

DEVICE, OTHER = "d" * 43, "o" * 43
DAYS = timedelta(days=1)


def known(
    installation: Installation, person: Person, device: str = DEVICE, *, remembered: bool = True
) -> str:
    """Makes a browser known to somebody; the id of its row."""
    user_id, secret_hash = installation.sub(person), browsers.device_hash(device)
    with installation.database() as session:
        browsers.remember(
            session,
            user_id,
            secret_hash,
            now=installation.clock.now(),
            waives_factor=remembered,
            address="192.0.2.1",
            user_agent="Mozilla/5.0 " + "x" * 300,
        )
        return session.get_one(browsers.Browser, (user_id, secret_hash)).id


def remembered(installation: Installation, person: Person, rules: Policy = DEFAULT) -> list[str]:
    rows = browsers.remembered(
        installation.services.database.reader,
        installation.sub(person),
        rules,
        person.role,
        installation.clock.now(),
    )
    return [row.id for row in rows]


def test_remembered_browsers_are_listed_the_last_used_first(installation: Installation) -> None:
    first = known(installation, ALICE)
    installation.pass_time(minutes=1)
    second = known(installation, ALICE, OTHER)
    known(installation, BELLA, "b" * 43)
    known(installation, ALICE, "n" * 43, remembered=False)
    assert remembered(installation, ALICE) == [second, first]


# SE-14
def test_a_browser_is_remembered_thirty_days_unused_and_ninety_in_all(
    sqlite_installation: Installation,
) -> None:
    entry = known(sqlite_installation, ALICE)
    sqlite_installation.pass_time(days=30, seconds=-1)
    assert remembered(sqlite_installation, ALICE) == [entry]
    known(sqlite_installation, ALICE, remembered=False)  # Used once more.
    for _ in range(2):
        sqlite_installation.pass_time(days=29)
        known(sqlite_installation, ALICE, remembered=False)
    assert remembered(sqlite_installation, ALICE) == [entry]
    sqlite_installation.clock.instant = NOW + 90 * DAYS
    assert remembered(sqlite_installation, ALICE) == []


@pytest.mark.parametrize("days", [0, 1, 30])
def test_policy_says_how_long(sqlite_installation: Installation, days: int) -> None:
    entry = known(sqlite_installation, ALICE)
    sqlite_installation.pass_time(hours=23)
    listed = remembered(sqlite_installation, ALICE, Policy(remember_days=days))
    assert listed == ([entry] if days else [])


def test_a_browser_is_forgotten_once_however_many_ask(installation: Installation) -> None:
    entry, start = known(installation, ALICE), threading.Barrier(6)
    known(installation, BELLA)
    user_id = installation.sub(ALICE)

    def one(_: int) -> int:
        start.wait()
        with installation.database() as session:
            return browsers.forget(session, user_id, entry)

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(one, range(6))) == [0, 0, 0, 0, 0, 1]
    assert remembered(installation, ALICE) == []
    assert len(remembered(installation, BELLA)) == 1


def test_an_entry_is_removed_from_its_own_browser_alone(installation: Installation) -> None:
    entry = known(installation, ALICE)
    elsewhere = known(installation, ALICE, OTHER)
    reader = installation.services.database.reader
    with installation.database() as session:
        assert not browsers.remove(session, browsers.device_hash(DEVICE), elsewhere)
        assert not browsers.remove(session, browsers.device_hash("?" * 43), entry)
        assert browsers.remove(session, browsers.device_hash(DEVICE), entry)
        assert not browsers.remove(session, browsers.device_hash(DEVICE), entry)
    assert browsers.accounts(reader, DEVICE) == []
    assert [row.browser_id for row in browsers.accounts(reader, OTHER)] == [elsewhere]


@pytest.mark.parametrize("device", [None, "", "x", "\udc80"])
def test_a_browser_that_nobody_knows_has_no_accounts(
    sqlite_installation: Installation, device: str | None
) -> None:
    known(sqlite_installation, ALICE)
    assert browsers.accounts(sqlite_installation.services.database.reader, device) == []
