"""The lock of a password: who is told, what lifts it, and what that does not touch."""

import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from idp.accounts import attempts, claimants, locks, organizations, policies, sign_in, users
from idp.accounts.attempts import Source
from idp.accounts.locks import Outcome
from idp.limits import UNKNOWN_STEPS
from idp.policy import Method
from tests.support.kit import ALICE, BELLA, C1, DORA, PASSWORD, Installation, Person, RelyingParty
from tests.support.mails import mails

THRESHOLD = UNKNOWN_STEPS[0][0]
SOURCE = Source("192.0.2.77", None, "Mozilla/5.0 (Windows NT 10.0) Firefox/140", "request")
NETWORKS = itertools.count(1)


def somewhere(device: str | None = None, *, after_password: bool = False) -> Source:
    """A network that nobody else comes from."""
    address = f"2001:db8:{next(NETWORKS):x}::1"
    return Source(address, device, "a browser", "request", after_password=after_password)


def attempt(
    installation: Installation, password: str, person: Person = ALICE, device: str | None = None
) -> bool:
    now = installation.clock.now()
    found = sign_in.by_password(
        installation.services, person.email, password, somewhere(device), now=now
    )
    return found is not None


def lock(installation: Installation, person: Person = ALICE, times: int = THRESHOLD) -> None:
    for _ in range(times):
        assert not attempt(installation, "wrong", person)


def links(installation: Installation) -> list[str]:
    """The secrets of the links in all mails."""
    found = []
    for mail in mails(installation):
        for part in ("text", "html"):
            found += re.findall(rf"{installation.issuer}/unlock/([\w-]+)", mail[part])
    return list(dict.fromkeys(found))


def use(installation: Installation, secret: str) -> Outcome:
    now = installation.clock.now()
    return locks.by_link(installation.services, secret, now=now, source=SOURCE)


def set_policy(installation: Installation, **changes: Any) -> None:
    with installation.database() as session:
        owner = organizations.find(session, "Organisation A")
        policies.change(session, owner, changes, actor="test", now=installation.clock.now())


def known_device(installation: Installation, person: Person = ALICE) -> str:
    browser = installation.browser()
    browser.signed_in(person, RelyingParty(installation, C1).request())
    return browser.cookies()["__Host-sekisho-device"]


# BF-01
def test_the_lock_mail_carries_a_link_that_lifts_the_lock_once(installation: Installation) -> None:
    lock(installation)
    [secret] = links(installation)
    assert not attempt(installation, PASSWORD)
    assert use(installation, secret) is Outcome.UNLOCKED
    assert installation.events()[-1] == "login.unlocked"
    assert use(installation, secret) is Outcome.DEAD
    assert attempt(installation, PASSWORD)


# LK-02
def test_of_fifty_uses_at_once_one_unlocks(installation: Installation) -> None:
    lock(installation)
    [secret] = links(installation)
    start = threading.Barrier(50)

    def one(_: int) -> Outcome:
        start.wait()
        return use(installation, secret)

    with ThreadPoolExecutor(50) as threads:
        outcomes = list(threads.map(one, range(50)))
    assert sorted(outcome.value for outcome in outcomes) == ["dead"] * 49 + ["unlocked"]
    assert installation.events().count("login.unlocked") == 1


# LK-15, BF-16
def test_lifting_a_lock_touches_nothing_but_the_lock(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    device = known_device(installation)
    attempt(installation, "wrong", device=device)
    lock(installation)
    [secret] = links(installation)
    lock(installation, BELLA)
    before = installation.counts()
    others = "SELECT * FROM failures WHERE bucket != :bucket ORDER BY bucket"
    bucket = locks.bucket(installation.sub(ALICE))
    kept = installation.sql(others, bucket=bucket)
    assert use(installation, secret) is Outcome.UNLOCKED
    [row] = installation.sql("SELECT * FROM failures WHERE bucket = :bucket", bucket=bucket)
    assert (row["failures"], row["level"], row["locked_until"]) == (0, 0, None)
    assert row["total"] == THRESHOLD
    assert installation.sql(others, bucket=bucket) == kept
    after = installation.counts()
    assert {name for name in after if after[name] != before[name]} == {"audit"}
    assert not attempt(installation, PASSWORD, BELLA)


# LK-15, BF-18
def test_a_hundred_failures_are_not_lifted_by_a_link(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    lock(installation)
    [secret] = links(installation)
    installation.sql("UPDATE failures SET total = 100 WHERE bucket LIKE 'password:%'")
    assert use(installation, secret) is Outcome.SPENT
    assert not attempt(installation, PASSWORD)


# BF-18
def test_no_link_is_sent_where_none_can_help(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    attempt(installation, "wrong")
    installation.sql("UPDATE failures SET total = 99, level = 3 WHERE bucket LIKE 'password:%'")
    attempt(installation, "wrong")
    [mail] = mails(installation)
    assert "/unlock/" not in mail["text"] + mail["html"]
    assert "can no longer be used" in mail["text"]


# LK-15
def test_a_lock_is_lifted_at_most_three_times_a_day(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    for expected in [Outcome.UNLOCKED] * 3 + [Outcome.TOO_OFTEN]:
        installation.pass_time(hours=1)
        installation.sql("UPDATE failures SET notified_at = NULL")
        lock(installation)
        [secret] = [link for link in links(installation) if works(installation, link)]
        assert use(installation, secret) is expected
    installation.pass_time(hours=24)
    installation.sql("UPDATE failures SET notified_at = NULL, locked_until = NULL, level = 0")
    lock(installation)
    [secret] = [link for link in links(installation) if works(installation, link)]
    assert use(installation, secret) is Outcome.UNLOCKED


def works(installation: Installation, secret: str) -> bool:
    return locks.whose(installation.services, secret, now=installation.clock.now()) is not None


# LK-05
def test_the_link_works_as_long_as_policy_says(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    set_policy(installation, unlock_minutes=14 * 24 * 60)
    lock(installation)
    [secret] = links(installation)
    installation.pass_time(days=14, seconds=-1)
    assert works(installation, secret)
    installation.pass_time(seconds=1)
    assert use(installation, secret) is Outcome.DEAD


# LK-07
@pytest.mark.parametrize(
    "event",
    [
        "UPDATE users SET security_stamp = 'another' WHERE login_id = 'alice'",
        "UPDATE users SET disabled_at = 1 WHERE login_id = 'alice'",
        "UPDATE organizations SET disabled_at = 1 WHERE name = 'Organisation A'",
        "DELETE FROM users WHERE login_id = 'alice'",
    ],
)
def test_what_changes_the_account_ends_its_links(
    sqlite_installation: Installation, event: str
) -> None:
    lock(sqlite_installation)
    [secret] = links(sqlite_installation)
    sqlite_installation.sql("PRAGMA foreign_keys = ON")
    sqlite_installation.sql(event)
    assert use(sqlite_installation, secret) is Outcome.DEAD
    assert "login.unlocked" not in sqlite_installation.events()


# LK-07
def test_an_administrator_unlocks_and_the_link_in_the_mail_is_dead(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    lock(installation)
    [secret] = links(installation)
    with installation.database() as session:
        user = users.find(session, ALICE.email)
        assert locks.unlock(
            installation.services, session, user, actor="cli", now=installation.clock.now()
        )
    assert use(installation, secret) is Outcome.DEAD
    assert attempt(installation, PASSWORD)


# EN-08, EN-09
@pytest.mark.slow
def test_a_day_of_attacks_locks_nobody_out_and_brings_one_mail(install: Any) -> None:
    installation: Installation = install()
    device = known_device(installation)
    for quarter in range(24 * 4):
        for _ in range(10):
            attempt(installation, "wrong")
        if quarter % 8 == 0:
            assert attempt(installation, PASSWORD, device=device), quarter
        installation.pass_time(minutes=15)
    [row] = installation.sql(
        "SELECT total FROM failures WHERE bucket = :b", b=locks.bucket(installation.sub(ALICE))
    )
    assert row["total"] <= 45
    assert len(mails(installation)) == 1
    # The next day a new mail comes, and its link lets a new device in.
    installation.pass_time(minutes=60)
    attempt(installation, "wrong")
    assert len(mails(installation)) == 2
    [secret] = [link for link in links(installation) if works(installation, link)]
    assert use(installation, secret) is Outcome.UNLOCKED
    assert attempt(installation, PASSWORD)


def test_a_lock_in_ones_own_browser_is_told_without_a_link(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    device = known_device(installation)
    for _ in range(10):
        attempt(installation, "wrong", device=device)
    [mail] = mails(installation)
    assert "/unlock/" not in mail["text"]
    assert "the others keep working" in mail["text"]
    assert attempt(installation, PASSWORD)


# BF-01, BF-24
def test_where_policy_says_so_a_lock_waits_for_the_link(installation: Installation) -> None:
    set_policy(installation, automatic_unlock=False)
    device = known_device(installation)
    lock(installation)
    [mail] = mails(installation)
    assert "ends by itself" not in mail["text"]
    assert "Locked until" not in mail["text"]
    for hours in (1, 22):
        installation.pass_time(hours=hours)
        assert not attempt(installation, PASSWORD)
    assert attempt(installation, PASSWORD, device=device), "a browser of one's own is not locked"
    assert len(mails(installation)) == 1
    [secret] = links(installation)
    assert use(installation, secret) is Outcome.UNLOCKED, "the link lasts a day at least"
    assert attempt(installation, PASSWORD)


def test_a_lock_that_waits_for_a_link_brings_a_new_one_after_a_day(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    set_policy(installation, automatic_unlock=False)
    lock(installation)
    installation.pass_time(days=2)
    for _ in range(5):
        assert not attempt(installation, PASSWORD)
    assert len(mails(installation)) == 2
    [secret] = [link for link in links(installation) if works(installation, link)]
    assert use(installation, secret) is Outcome.UNLOCKED
    assert attempt(installation, PASSWORD)


def test_whether_a_lock_ends_by_itself_is_what_policy_says_now(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    set_policy(installation, automatic_unlock=False)
    lock(installation)
    installation.pass_time(minutes=16)
    assert not attempt(installation, PASSWORD)
    set_policy(installation, automatic_unlock=None)
    assert attempt(installation, PASSWORD)


def test_a_ghost_of_such_an_organisation_is_locked_alike(sqlite_installation: Installation) -> None:
    installation = sqlite_installation
    set_policy(installation, automatic_unlock=False)
    ghost = Person("nobody@a.example", "nobody", "Nobody")
    lock(installation, ghost)
    installation.pass_time(days=2)
    before = installation.services.passwords.computed
    assert not attempt(installation, PASSWORD, ghost)
    assert installation.services.passwords.computed == before + 1
    [row] = installation.sql("SELECT total FROM failures WHERE bucket LIKE 'password:%'")
    assert row["total"] == THRESHOLD
    assert mails(installation) == []


# BF-05, AZ-14
def test_codes_are_locked_by_counters_of_their_own_and_apart_from_known_browsers(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    device = known_device(installation)
    claimant = claimants.meet(installation.services, ALICE.email)
    now = installation.clock.now()

    def check(right: bool, known: str | None = None) -> bool:
        return attempts.check(
            installation.services,
            claimant,
            Method.EMAIL_CODE,
            somewhere(known),
            lambda: right,
            now=now,
        )

    lock(installation)
    assert check(True), "a lock of the password is not one of the codes"
    for _ in range(10):
        assert not check(False)
    assert not check(True)
    assert check(True, device)
    assert not attempt(installation, PASSWORD)
    assert attempt(installation, PASSWORD, device=device)


def second_factor(
    installation: Installation, person: Person = ALICE, *, right: bool = False, after: bool = True
) -> bool:
    claimant = claimants.meet(installation.services, person.email)
    return attempts.check(
        installation.services,
        claimant,
        Method.TOTP,
        somewhere(after_password=after),
        lambda: right,
        now=installation.clock.now(),
    )


def test_three_failures_after_the_right_password_are_told_once_a_day(
    installation: Installation,
) -> None:
    for _ in range(2):
        assert not second_factor(installation)
    assert mails(installation) == []
    assert second_factor(installation, right=True)
    for _ in range(6):
        assert not second_factor(installation)
    [mail] = mails(installation)
    assert "Somebody may know your password" in mail["subject"]
    installation.pass_time(hours=23)
    for _ in range(5):
        second_factor(installation)
    assert len(mails(installation)) == 1
    installation.pass_time(hours=2)
    for _ in range(3):
        second_factor(installation)
    assert len(mails(installation)) == 2


def test_twenty_failures_at_once_are_told_once(installation: Installation) -> None:
    start = threading.Barrier(20)

    def one(_: int) -> bool:
        start.wait()
        return second_factor(installation)

    with ThreadPoolExecutor(20) as threads:
        assert not any(threads.map(one, range(20)))
    assert len(mails(installation)) == 1


def test_without_the_password_nobody_is_warned_of_its_theft(
    sqlite_installation: Installation,
) -> None:
    for _ in range(5):
        second_factor(sqlite_installation, after=False)
        second_factor(sqlite_installation, DORA)
        second_factor(sqlite_installation, Person("ghost@a.example", "ghost", "Ghost"))
    assert mails(sqlite_installation) == []


# BF-23, BF-02: nobody waits for somebody who waits for them.
def test_locking_and_unlocking_at_once_ends(installation: Installation) -> None:
    lock(installation)
    [secret] = links(installation)
    installation.sql("UPDATE failures SET notified_at = NULL")
    installation.clock.instant += timedelta(minutes=16)
    start = threading.Barrier(16)

    def one(number: int) -> None:
        start.wait()
        if number % 2:
            use(installation, secret)
        else:
            try:
                attempt(installation, "wrong")
            except Exception as error:
                if type(error).__name__ != "Unavailable":
                    raise

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(one, range(16)))
