"""Failure counters: guessing is slow, and nobody can be locked out by strangers.

Owns the rules of when an attempt is evaluated, and their rows. An attempt is *reserved* (counted
as failed) in a transaction of its own before it is checked, and given back on success, so that
parallel guesses cannot overshoot and no later error can lose a count (BF-02, BF-03).

Buckets: one for each account over all unknown sources, one for each account and known browser,
and one for each source network. Accounts that do not exist have buckets too, so that nothing
tells them apart. Source of the figures: NIST SP 800-63B-4, 3.2.2, tightened.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import JSON, Integer, String, bindparam, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.db import Base, Database, Prepared, Timestamp, upsert
from idp.errors import TooManyAttempts

HARD_STOP = 100
WINDOW = timedelta(minutes=10)
UNKNOWN_STEPS = ((10, 15), (5, 30), (3, 60), (1, 60))  # (evaluated failures, minutes of lock)
KNOWN_STEPS = ((10, 1), (5, 5), (5, 15))
SOURCE_LIMITS = (20, 10)  # failures, distinct accounts, in one window, of one address
NETWORK_FACTOR = 4  # the network around the address may fail so many times more
KEEP = timedelta(days=30)


class FailureRow(Base):
    __tablename__ = "failures"

    bucket: Mapped[str] = mapped_column(String(96), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    level: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    since: Mapped[datetime] = mapped_column(Timestamp)
    touched_at: Mapped[datetime] = mapped_column(Timestamp, index=True)
    locked_until: Mapped[datetime | None] = mapped_column(Timestamp)
    notified_at: Mapped[datetime | None] = mapped_column(Timestamp)
    accounts: Mapped[list[str]] = mapped_column(JSON, default=list)


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
    counter: Counter, now: datetime, steps: Sequence[tuple[int, int]]
) -> tuple[Counter, Reservation]:
    """Counts one attempt as failed, unless the bucket is locked: a lock never grows by itself."""
    if counter.total >= HARD_STOP or (counter.locked_until and now < counter.locked_until):
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


def _client_bucket(client_id: str, address: str) -> str:
    return "client:" + hashlib.sha256(f"{client_id}\0{address}".encode()).hexdigest()[:32]


_LOCKS = Prepared(
    select(FailureRow.locked_until).where(
        FailureRow.bucket.in_([bindparam("near"), bindparam("wide")]),
        FailureRow.locked_until > bindparam("now", type_=Timestamp()),
    )
)
_CLEAR = Prepared(delete(FailureRow).where(FailureRow.bucket == bindparam("bucket")))


class Throttle:
    """The counters of this installation."""

    BLOCKED_CLIENTS = 10_000

    def __init__(self, database: Database) -> None:
        self._database = database
        first = upsert(database.writer.dialect.name)(FailureRow).values(
            {column.key: bindparam(column.key) for column in FailureRow.__table__.columns}
        )
        self._insert = Prepared(first.on_conflict_do_nothing(index_elements=["bucket"]))
        # Who guesses at a client's secret, as this process knows it: spares the token endpoint a
        # look at the rows. The counters themselves are the rows.
        self._blocked: OrderedDict[str, datetime] = OrderedDict()
        self._lock = threading.Lock()

    def check_source(self, address: str, now: datetime) -> None:
        """Raises TooManyAttempts while this source has failed too often."""
        names = [name for name, _ in source_buckets(address)]
        rows = _LOCKS.all(self._database.reader, near=names[0], wide=names[-1], now=now)
        if rows:
            longest = max(row.locked_until for row in rows) - now
            raise TooManyAttempts(max(1, int(longest.total_seconds())))

    def reserve(self, bucket: str, now: datetime, *, is_known_browser: bool) -> Reservation:
        """Reserves one attempt, committed before it returns."""
        steps = KNOWN_STEPS if is_known_browser else UNKNOWN_STEPS
        result: list[Reservation] = []

        def change(counter: Counter) -> Counter:
            changed, reservation = reserve_attempt(counter, now, steps)
            result.append(replace(reservation, bucket=bucket))
            return changed

        self._change(bucket, now, change)
        return result[-1]

    def succeed(self, reservation: Reservation) -> None:
        """Gives the attempt back and clears this bucket, and no other (BF-16)."""
        _CLEAR.count(self._database.reader, bucket=reservation.bucket)

    def fail_source(self, address: str, account: str, now: datetime) -> None:
        """Counts a failure against where it came from."""
        account = hashlib.sha256(account.encode()).hexdigest()[:12]
        for bucket, factor in source_buckets(address):
            self._change(
                bucket, now, partial(count_source, now=now, account=account, factor=factor)
            )

    def client_wait(self, client_id: str, address: str, now: datetime) -> int:
        """Seconds for which this source is refused at this client; 0 when it is not."""
        if not self._blocked:
            return 0
        until = self._blocked.get(_client_bucket(client_id, address))
        return max(1, int((until - now).total_seconds())) if until and now < until else 0

    def fail_client(self, client_id: str, address: str, now: datetime) -> int:
        """Counts a wrong client secret; seconds for which the source is now refused, or 0."""
        bucket = _client_bucket(client_id, address)
        counter = self._change(bucket, now, partial(count_source, now=now, account="", factor=1))
        if counter.locked_until is None or counter.locked_until <= now:
            return 0
        with self._lock:
            self._blocked[bucket] = counter.locked_until
            while len(self._blocked) > self.BLOCKED_CLIENTS:
                self._blocked.popitem(last=False)
        return self.client_wait(client_id, address, now)

    def may_notify(self, session: Session, bucket: str, now: datetime) -> bool:
        """Whether a notice about this bucket is due: at most one in 24 hours. Claims it."""
        row = session.get(FailureRow, bucket, with_for_update=True)
        if row is None or (row.notified_at and now - row.notified_at < timedelta(hours=24)):
            return False
        row.notified_at = now
        session.flush()
        return True

    def purge(self, now: datetime) -> None:
        with self._database.transaction() as session:
            session.execute(
                delete(FailureRow).where(
                    FailureRow.touched_at < now - KEEP, FailureRow.total < HARD_STOP
                )
            )

    def _change(self, bucket: str, now: datetime, change: Callable[[Counter], Counter]) -> Counter:
        """Reads, decides and writes one row while nobody else can. `change` is asked once more when
        the row turns out to be there already."""
        counter = change(Counter(since=now))
        if self._is_first(bucket, now, counter):
            return counter
        with self._database.transaction() as session:
            insert = upsert(session.get_bind().dialect.name)
            # The upsert takes the row's lock (the file's on SQLite) whether the row was there.
            session.execute(
                insert(FailureRow)
                .values(
                    bucket=bucket,
                    failures=0,
                    level=0,
                    total=0,
                    since=now,
                    touched_at=now,
                    accounts=[],
                )
                .on_conflict_do_update(index_elements=["bucket"], set_={"touched_at": now})
            )
            row = session.get_one(FailureRow, bucket)
            counter = change(
                Counter(
                    failures=row.failures,
                    level=row.level,
                    total=row.total,
                    since=row.since,
                    locked_until=row.locked_until,
                    accounts=tuple(row.accounts),
                )
            )
            row.failures, row.level, row.total = counter.failures, counter.level, counter.total
            row.since = counter.since or now
            row.locked_until, row.accounts = counter.locked_until, list(counter.accounts)
        return counter

    def _is_first(self, bucket: str, now: datetime, counter: Counter) -> bool:
        """Writes the row unless there is one: one statement for everybody who has not failed."""
        inserted = self._insert.count(
            self._database.reader,
            bucket=bucket,
            failures=counter.failures,
            level=counter.level,
            total=counter.total,
            since=counter.since or now,
            touched_at=now,
            locked_until=counter.locked_until,
            notified_at=None,
            accounts=list(counter.accounts),
        )
        return inserted == 1
