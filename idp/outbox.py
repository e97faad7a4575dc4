"""Outbox: what must leave this house (mails now; webhooks and logout notices by the same road).

A row is written in the transaction of the change it tells of, and delivered by the worker at
least once, with growing delays, for three days; then it is parked and kept for an administrator
to see. Payloads are sealed: a mail may carry a link that works like a password.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, LargeBinary, String, Text, delete, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts.identifiers import new_id
from idp.db import Base, Database, Timestamp
from idp.errors import SekishoError
from keys.sealing import Sealer

DELAYS = (10, 30, 120, 600, 1800, 3600)  # seconds after each failure; then hourly
GIVE_UP = timedelta(days=3)
LEASE = timedelta(minutes=2)
KEEP = timedelta(days=7)
log = logging.getLogger(__name__)


class TooLate(SekishoError):
    """What a handler raises when its delivery would help nobody any more: not tried again."""


Handler = Callable[[dict[str, Any]], None]


class OutboxRow(Base):
    __tablename__ = "outbox"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp, index=True)
    leased_until: Mapped[datetime | None] = mapped_column(Timestamp)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None] = mapped_column(Timestamp)


def enqueue(
    session: Session, sealer: Sealer, kind: str, payload: Mapping[str, Any], *, now: datetime
) -> str:
    """Queues one delivery in the caller's transaction; its id is stable over all retries."""
    row_id = new_id()
    sealed = sealer.seal(json.dumps(payload).encode(), context=f"outbox:{row_id}")
    session.add(
        OutboxRow(id=row_id, kind=kind, payload=sealed, created_at=now, due_at=now, attempts=0)
    )
    session.flush()
    return row_id


def open_payload(row: OutboxRow, sealer: Sealer) -> dict[str, Any]:
    opened: dict[str, Any] = json.loads(sealer.open(row.payload, context=f"outbox:{row.id}"))
    return opened


def deliver_due(
    database: Database, sealer: Sealer, handlers: Mapping[str, Handler], now: datetime
) -> int:
    """Delivers what is due now; how many were delivered. Several workers may run at once."""
    with database.transaction() as session:
        due = session.scalars(
            select(OutboxRow.id)
            .where(OutboxRow.due_at <= now)
            .where(or_(OutboxRow.leased_until.is_(None), OutboxRow.leased_until < now))
            .order_by(OutboxRow.due_at)
            .limit(50)
        ).all()
    return sum(_deliver(database, sealer, handlers, row_id, now) for row_id in due)


def _deliver(
    database: Database, sealer: Sealer, handlers: Mapping[str, Handler], row_id: str, now: datetime
) -> bool:
    with database.transaction() as session:
        leased = session.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row_id, OutboxRow.due_at <= now)
            .where(or_(OutboxRow.leased_until.is_(None), OutboxRow.leased_until < now))
            .values(leased_until=now + LEASE)
        )
        if leased.rowcount != 1:  # type: ignore[attr-defined]
            return False
        row = session.get_one(OutboxRow, row_id)
    error = _attempt(row, sealer, handlers)
    with database.transaction() as session:
        row = session.get_one(OutboxRow, row_id)
        row.leased_until = None
        row.attempts += 1
        row.last_error = None if error is None else f"{type(error).__name__}: {str(error)[:200]}"
        if error is None or isinstance(error, TooLate):
            row.done_at, row.due_at = now, None
            return error is None
        delay = DELAYS[min(row.attempts, len(DELAYS)) - 1]
        row.due_at = now + timedelta(seconds=delay) if now - row.created_at < GIVE_UP else None
    return False


def _attempt(row: OutboxRow, sealer: Sealer, handlers: Mapping[str, Handler]) -> Exception | None:
    """None when delivered, else what went wrong (its text names no payload)."""
    try:
        handlers[row.kind](open_payload(row, sealer))
    except Exception as error:  # Whatever a receiver does, the next row gets its turn.
        log.warning("delivery failed", extra={"outbox_id": row.id, "error": type(error).__name__})
        return error
    return None


def purge(database: Database, now: datetime) -> None:
    """Forgets what was delivered, or came too late, a week ago."""
    with database.transaction() as session:
        session.execute(delete(OutboxRow).where(OutboxRow.done_at < now - KEEP))
