"""Tickets: one-time links in mails. One row a link, its secret stored hashed.

Source: OWASP ASVS 5.0, 7.2.3 and 6.4. Opening a link changes nothing; a form behind it claims the
row by one conditional write. A ticket is bound to one purpose, one user, and to a stamp of that
user that changes with every credential, so superseding events kill it without being told. Whom it
is about and what it may do is read from its row alone, never from a request (LK-06).
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, LargeBinary, String, bindparam, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts.users import User
from idp.db import Base, Database, Prepared, Timestamp

SECRET_LENGTH = 43
KEEP = timedelta(days=30)


class Purpose(enum.StrEnum):
    UNLOCK = "unlock"


class Ticket(Base):
    __tablename__ = "tickets"

    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    bound_to: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    used_at: Mapped[datetime | None] = mapped_column(Timestamp)


@dataclass(frozen=True, slots=True)
class Found:
    """What a link that still works is about."""

    user_id: str
    bound_to: str
    expires_at: datetime


_LIVE = Prepared(
    select(Ticket.user_id, Ticket.bound_to, Ticket.expires_at).where(
        Ticket.secret_hash == bindparam("secret_hash"),
        Ticket.purpose == bindparam("purpose"),
        Ticket.used_at.is_(None),
        Ticket.expires_at > bindparam("now", type_=Timestamp()),
    )
)


def issue(
    session: Session,
    purpose: Purpose,
    user_id: str,
    *,
    bound_to: str,
    lifetime: timedelta,
    now: datetime,
    newest_wins: bool = True,
) -> str:
    """The secret of a new link, 256 bits: it is stored nowhere, so it goes straight into the mail.

    `bound_to`: what must still be so of the user when the link is used, such as the
    `security_stamp`. `newest_wins`: older links of this purpose work no longer.
    """
    if newest_wins:
        # Of two that are issued at once one is the newer: they take turns at the user's row.
        session.get_one(User, user_id, with_for_update=True)
        revoke(session, user_id, purpose)
    secret = secrets.token_urlsafe(32)
    session.add(
        Ticket(
            secret_hash=_hash(secret),
            purpose=purpose,
            user_id=user_id,
            bound_to=bound_to,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    session.flush()
    return secret


def look(database: Database, secret: str, purpose: Purpose, *, now: datetime) -> Found | None:
    """What this link is about, while it may still be used. Changes nothing (LK-01)."""
    row = _LIVE.one(database.reader, secret_hash=_hash(secret), purpose=purpose, now=now)
    return None if row is None else Found(row.user_id, row.bound_to, row.expires_at)


def claim(
    session: Session, secret: str, purpose: Purpose, *, bound_to: str, now: datetime
) -> str | None:
    """Uses the link up; whose it was. Of several callers one gets it, the others None (LK-02).

    `bound_to`: the user's present value of what the link was bound to.
    """
    return session.scalar(
        update(Ticket)
        .where(
            Ticket.secret_hash == _hash(secret),
            Ticket.purpose == purpose,
            Ticket.bound_to == bound_to,
            Ticket.used_at.is_(None),
            Ticket.expires_at > now,
        )
        .values(used_at=now)
        .returning(Ticket.user_id)
    )


def revoke(session: Session, user_id: str, purpose: Purpose) -> None:
    """What these links were for was done otherwise: they work no longer (LK-07)."""
    session.execute(
        delete(Ticket).where(
            Ticket.user_id == user_id, Ticket.purpose == purpose, Ticket.used_at.is_(None)
        )
    )


def used(session: Session, user_id: str, purpose: Purpose, *, since: datetime) -> int:
    """How many links of this purpose the user has used since then."""
    return (
        session.scalar(
            select(func.count()).where(
                Ticket.user_id == user_id, Ticket.purpose == purpose, Ticket.used_at > since
            )
        )
        or 0
    )


def purge(database: Database, now: datetime) -> None:
    """Forgets what can no longer be used, once nobody counts it any more either."""
    with database.transaction() as session:
        session.execute(delete(Ticket).where(Ticket.expires_at < now - KEEP))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
