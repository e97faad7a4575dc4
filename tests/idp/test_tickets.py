"""One-time links: used once, in time, for one purpose and one user, and never more."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from idp import tickets
from idp.tickets import KEEP, Purpose
from tests.support.kit import ALICE, BELLA, NOW, Installation, Person

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def issue(installation: Installation, person: Person = ALICE, **options: Any) -> str:
    user = installation.user(person)
    with installation.database() as session:
        return tickets.issue(
            session,
            Purpose.UNLOCK,
            user.id,
            bound_to=user.security_stamp,
            lifetime=HOUR,
            now=installation.clock.now(),
            **options,
        )


def claim(installation: Installation, secret: str, bound_to: str | None = None) -> str | None:
    stamp = installation.user(ALICE).security_stamp if bound_to is None else bound_to
    with installation.database() as session:
        return tickets.claim(
            session, secret, Purpose.UNLOCK, bound_to=stamp, now=installation.clock.now()
        )


def look(installation: Installation, secret: str) -> tickets.Found | None:
    now = installation.clock.now()
    return tickets.look(installation.services.database, secret, Purpose.UNLOCK, now=now)


def test_a_link_says_whose_it_is_and_is_used_once(installation: Installation) -> None:
    secret, sub = issue(installation), installation.sub(ALICE)
    found = look(installation, secret)
    assert found is not None
    assert (found.user_id, found.expires_at) == (sub, NOW + HOUR)
    assert claim(installation, secret) == sub
    assert claim(installation, secret) is None
    assert look(installation, secret) is None


def test_the_secret_has_256_bits_and_is_stored_hashed(sqlite_installation: Installation) -> None:
    secret = issue(sqlite_installation)
    assert len(secret) == tickets.SECRET_LENGTH
    assert secret not in str(sqlite_installation.sql("SELECT * FROM tickets"))
    assert secret != issue(sqlite_installation, BELLA)


# LK-02
def test_of_fifty_at_once_one_gets_it(installation: Installation) -> None:
    secret, start = issue(installation), threading.Barrier(50)
    stamp = installation.user(ALICE).security_stamp

    def one(_: int) -> str | None:
        start.wait()
        return claim(installation, secret, stamp)

    with ThreadPoolExecutor(50) as threads:
        won = [user_id for user_id in threads.map(one, range(50)) if user_id]
    assert won == [installation.sub(ALICE)]


# LK-05
@pytest.mark.parametrize(
    ("passed", "works"), [(HOUR - SECOND, True), (HOUR, False), (HOUR + SECOND, False)]
)
def test_a_link_ends_when_it_is_read_not_when_it_is_swept(
    sqlite_installation: Installation, passed: timedelta, works: bool
) -> None:
    secret = issue(sqlite_installation)
    sqlite_installation.clock.instant += passed
    assert (look(sqlite_installation, secret) is not None) == works
    assert (claim(sqlite_installation, secret) is not None) == works
    assert sqlite_installation.counts()["tickets"] == 1


# LK-06
def test_a_link_of_another_purpose_opens_nothing(sqlite_installation: Installation) -> None:
    secret = issue(sqlite_installation)
    sqlite_installation.sql("UPDATE tickets SET purpose = 'another'")
    assert look(sqlite_installation, secret) is None
    assert claim(sqlite_installation, secret) is None


# LK-06, LK-07
def test_a_link_that_is_bound_to_something_else_is_not_claimed(
    sqlite_installation: Installation,
) -> None:
    secret = issue(sqlite_installation)
    for stamp in ("", "another", sqlite_installation.user(BELLA).security_stamp):
        assert claim(sqlite_installation, secret, stamp) is None
    assert claim(sqlite_installation, secret) is not None


def test_the_newest_link_of_somebody_is_the_one_that_works(installation: Installation) -> None:
    old, other = issue(installation), issue(installation, BELLA)
    new = issue(installation)
    assert claim(installation, old) is None
    assert look(installation, other) is not None
    assert claim(installation, new) is not None
    kept = issue(installation)
    issue(installation, newest_wins=False)
    assert claim(installation, kept) is not None


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "\udcff", "é" * 43, "0\0"])
def test_what_is_no_secret_is_nobodys(sqlite_installation: Installation, secret: str) -> None:
    issue(sqlite_installation)
    assert look(sqlite_installation, secret) is None
    assert claim(sqlite_installation, secret) is None


def test_used_links_are_counted_and_old_ones_forgotten(sqlite_installation: Installation) -> None:
    installation, sub = sqlite_installation, sqlite_installation.sub(ALICE)
    for _ in range(2):
        claim(installation, issue(installation))
    issue(installation)
    other = installation.sub(BELLA)
    with installation.database() as session:
        assert tickets.used(session, sub, Purpose.UNLOCK, since=NOW - SECOND) == 2
        assert tickets.used(session, sub, Purpose.UNLOCK, since=NOW) == 0
        assert tickets.used(session, other, Purpose.UNLOCK, since=NOW - HOUR) == 0
    tickets.purge(installation.services.database, NOW + KEEP)
    assert installation.counts()["tickets"] == 3
    tickets.purge(installation.services.database, NOW + KEEP + HOUR + SECOND)
    assert installation.counts()["tickets"] == 0
