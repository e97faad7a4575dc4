"""When an attempt is evaluated: the rules of the failure counters. Pure; `throttle` keeps the rows.

Source of the figures: NIST SP 800-63B-4, 3.2.2, tightened; OWASP ASVS 5.0, 6.3.1.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

HARD_STOP = 100
WINDOW = timedelta(minutes=10)
UNKNOWN_STEPS = ((10, 15), (5, 30), (3, 60), (1, 60))  # (evaluated failures, minutes of lock)
KNOWN_STEPS = ((10, 1), (5, 5), (5, 15))
SOURCE_LIMITS = (20, 10)  # failures, distinct accounts, in one window, of one address
NETWORK_FACTOR = 4  # the network around the address may fail so many times more


@dataclass(frozen=True, slots=True)
class Counter:
    """What a bucket remembers. `total`: evaluated failures since the last success."""

    failures: int = 0
    level: int = 0
    total: int = 0
    since: datetime | None = None
    locked_until: datetime | None = None
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """One attempt that may be made. `is_evaluated` False: answer as for a wrong password."""

    bucket: str
    is_evaluated: bool
    locked_until: datetime | None = None
    """Set when this attempt, if it fails, is the one that locked the bucket."""

    @property
    def locks(self) -> bool:
        return self.locked_until is not None


def reserve_attempt(
    counter: Counter, now: datetime, steps: Sequence[tuple[int, int]], *, ends: bool = True
) -> tuple[Counter, Reservation]:
    """Counts one attempt as failed, unless the bucket is locked: a lock never grows by itself.
    `ends`: whether a lock ends by itself."""
    is_locked = counter.locked_until is not None and (not ends or now < counter.locked_until)
    if counter.total >= HARD_STOP or is_locked:
        return counter, Reservation("", False)
    allowed, minutes = steps[min(counter.level, len(steps) - 1)]
    failures, total = counter.failures + 1, counter.total + 1
    if failures < allowed:
        return replace(counter, failures=failures, total=total), Reservation("", True)
    locked = replace(
        counter,
        failures=0,
        total=total,
        level=counter.level + 1,
        locked_until=now + timedelta(minutes=minutes),
    )
    return locked, Reservation("", True, locked.locked_until)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in any one `window`."""

    count: int
    window: timedelta


def count_window(counter: Counter, now: datetime, limit: Limit) -> tuple[Counter, bool]:
    """One more of what is limited, and whether it may be; what may not be is not counted."""
    if counter.since is None or not counter.since <= now < counter.since + limit.window:
        counter = replace(counter, failures=0, since=now)
    if counter.failures >= limit.count or counter.total >= HARD_STOP:
        return counter, False
    return replace(counter, failures=counter.failures + 1, total=counter.total + 1), True


def count_source(counter: Counter, now: datetime, account: str, factor: int) -> Counter:
    """One more failure of a source; locked for 10 minutes and double each time, up to an hour."""
    if counter.since is None or now - counter.since > WINDOW:
        rested = counter.since is None or now - counter.since > timedelta(hours=2)
        counter = replace(
            counter, failures=0, accounts=(), since=now, level=0 if rested else counter.level
        )
    accounts = tuple({*counter.accounts, account})[: SOURCE_LIMITS[1] * factor]
    counter = replace(counter, failures=counter.failures + 1, accounts=accounts)
    if counter.failures < SOURCE_LIMITS[0] * factor and len(accounts) < SOURCE_LIMITS[1] * factor:
        return counter
    minutes = min(60, 10 * 2**counter.level)
    return replace(
        counter,
        failures=0,
        accounts=(),
        since=now,
        level=counter.level + 1,
        locked_until=now + timedelta(minutes=minutes),
    )


def source_buckets(address: str) -> list[tuple[str, int]]:
    """The buckets of an address with their factors: the address (an IPv6 /64), and the network
    around it (/24, /48). IPv4 inside IPv6 counts as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return [("source:unknown", NETWORK_FACTOR)]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    near, wide = (32, 24) if parsed.version == 4 else (64, 48)
    return [
        (f"source:{ipaddress.ip_network((parsed, near), strict=False)}", 1),
        (f"source:{ipaddress.ip_network((parsed, wide), strict=False)}", NETWORK_FACTOR),
    ]


def account_bucket(method: str, account: str, browser: bytes | None = None) -> str:
    """`account`: a user's id, or the keyed hash of what was typed when nobody has it."""
    if browser is None:
        return f"{method}:{account}"
    return f"{method}:{account}:{hashlib.sha256(browser).hexdigest()[:24]}"
