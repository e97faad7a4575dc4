"""Failure counters: guessing is slow, and nobody can be locked out by strangers.

Owns the rows; `limits` has the rules of when an attempt is evaluated. An attempt is *reserved*
(counted as failed) in a transaction of its own before it is checked, and given back on success, so
that parallel guesses cannot overshoot and no later error can lose a count (BF-02, BF-03).

Buckets: one for each account over all unknown sources, one for each account and known browser,
and one for each source network. Accounts that do not exist have buckets too, so that nothing
tells them apart.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import JSON, Integer, String, bindparam, delete, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.db import Base, Database, Prepared, Timestamp, upsert
from idp.errors import TooManyAttempts
from idp.limits import (
    HARD_STOP,
    KNOWN_STEPS,
    UNKNOWN_STEPS,
    Counter,
    Limit,
    Reservation,
    count_source,
    count_window,
    reserve_attempt,
    source_buckets,
)

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


def _window(bucket: str, limit: Limit) -> str:
    return f"{bucket}/{int(limit.window.total_seconds())}"


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

    def reserve(
        self, bucket: str, now: datetime, *, is_known_browser: bool, ends: bool = True
    ) -> Reservation:
        """Reserves one attempt, committed before it returns. `ends`: whether a lock of this bucket
        ends by itself."""
        steps = KNOWN_STEPS if is_known_browser else UNKNOWN_STEPS
        result: list[Reservation] = []

        def change(counter: Counter) -> Counter:
            changed, reservation = reserve_attempt(counter, now, steps, ends=ends)
            result.append(replace(reservation, bucket=bucket))
            return changed

        self._change(bucket, now, change)
        return result[-1]

    def reserve_window(
        self, bucket: str, now: datetime, limits: Sequence[Limit], *, consecutive: bool = True
    ) -> Reservation:
        """Reserves one attempt (or one mail) that several limits allow, committed before it
        returns. `consecutive`: a hundred without a success end it for good."""
        allowed: list[bool] = []

        def change(counter: Counter, limit: Limit) -> Counter:
            changed, allows = count_window(counter, now, limit)
            allowed.append(allows)
            return changed if consecutive else replace(changed, total=0)

        with self._database.transaction() as session:
            before = session.begin_nested()
            for limit in limits:
                self._apply(session, _window(bucket, limit), now, partial(change, limit=limit))
            if all(allowed):
                before.commit()
            else:
                before.rollback()
        return Reservation(bucket, all(allowed))

    def give_back(self, reservation: Reservation, limits: Sequence[Limit]) -> None:
        """The reserved attempt succeeded: it was no failure, and ends the series of them."""
        with self._database.transaction() as session:
            for limit in limits:
                session.execute(
                    update(FailureRow)
                    .where(FailureRow.bucket == _window(reservation.bucket, limit))
                    .where(FailureRow.failures > 0)
                    .values(failures=FailureRow.failures - 1, total=0)
                )

    def succeed(self, reservation: Reservation) -> None:
        """Gives the attempt back and clears this bucket, and no other (BF-16)."""
        _CLEAR.count(self._database.reader, bucket=reservation.bucket)

    def exceeds(self, session: Session, bucket: str, now: datetime, limit: Limit) -> bool:
        """Counts one more event; whether there were more than the limit says, and nobody was told
        of it for a day. Claims the telling."""
        allowed: list[bool] = []

        def change(counter: Counter) -> Counter:
            changed, allows = count_window(counter, now, limit)
            allowed.append(allows)
            return replace(changed, total=0)

        self._apply(session, _window(bucket, limit), now, change)
        session.flush()
        return not allowed[0] and self.may_notify(session, _window(bucket, limit), now)

    def unlock(self, session: Session, bucket: str) -> bool:
        """Lifts the lock of a bucket; whether attempts are evaluated again. A hundred failures in a
        row stay what they are (NIST SP 800-63B-4, 3.2.2)."""
        row = session.get(FailureRow, bucket, with_for_update=True)
        if row is None:
            return True
        row.failures, row.level, row.locked_until = 0, 0, None
        session.flush()
        return row.total < HARD_STOP

    def is_spent(self, session: Session, bucket: str) -> bool:
        """Whether a hundred failures in a row ended this bucket."""
        row = session.get(FailureRow, bucket)
        return row is not None and row.total >= HARD_STOP

    def forget(self, session: Session, bucket: str) -> None:
        """What was guessed at is gone: forgets the failures of a bucket of `account_bucket`, in
        all its windows, and of those of its known browsers."""
        session.execute(
            delete(FailureRow).where(
                or_(
                    FailureRow.bucket == bucket,
                    FailureRow.bucket.startswith(bucket + ":"),
                    FailureRow.bucket.startswith(bucket + "/"),
                )
            )
        )

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
            return self._apply(session, bucket, now, change)

    def _apply(
        self, session: Session, bucket: str, now: datetime, change: Callable[[Counter], Counter]
    ) -> Counter:
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
