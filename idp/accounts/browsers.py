"""Browsers that a user has signed in from before.

A random value per browser, in a cookie, set after a full sign-in and stored hashed, one row for
each user of that browser. It proves nothing about a person; it gives this browser its own failure
counter, so that strangers cannot lock somebody out.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.db import Base, Prepared, Timestamp


class Browser(Base):
    __tablename__ = "browsers"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    last_seen_at: Mapped[datetime] = mapped_column(Timestamp)


KNOWN = Prepared(
    select(Browser.created_at).where(
        Browser.user_id == bindparam("user_id"), Browser.secret_hash == bindparam("secret_hash")
    )
)


def remember(session: Session, user_id: str, secret_hash: bytes, *, now: datetime) -> None:
    browser = session.get(Browser, (user_id, secret_hash))
    if browser is None:
        session.add(
            Browser(user_id=user_id, secret_hash=secret_hash, created_at=now, last_seen_at=now)
        )
    else:
        browser.last_seen_at = now
    session.flush()
