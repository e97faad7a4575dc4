"""Sessions: who is signed in with us, in which browser, since when, by what.

One browser may hold several accounts: the cookie's secret names the browser, each account has a
row of its own with its own `sid`, `auth_time` and proofs. Rows are read fresh on every decision,
so ending one works at once on every machine. `open_session` is the only way to become signed in.
Source: OpenID Connect Core, 2 (`auth_time`, `acr`, `amr`); Front-Channel Logout, 3 (`sid`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    bindparam,
    false,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts.identifiers import new_id
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.assurance import Proof
from idp.db import Base, Prepared, Timestamp
from idp.settings import Settings

PER_USER = 50
TOUCH_EVERY = timedelta(minutes=1)


class SessionRow(Base):
    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_browser", "browser"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # the `sid` claim
    browser: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    auth_time: Mapped[datetime] = mapped_column(Timestamp)
    last_seen_at: Mapped[datetime] = mapped_column(Timestamp)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    methods: Mapped[str] = mapped_column(String(200))  # `policy.Method`, space-separated
    # Whether a second factor was waived because the browser is remembered.
    is_waived: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    address: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(200), default="")


# What every decision about a session needs, as columns of one row.
COLUMNS: tuple[Any, ...] = (
    SessionRow.id.label("sid"),
    SessionRow.user_id.label("user_id"),
    SessionRow.created_at.label("session_created_at"),
    SessionRow.auth_time.label("auth_time"),
    SessionRow.last_seen_at.label("last_seen_at"),
    SessionRow.methods.label("methods"),
    SessionRow.is_waived.label("is_waived"),
)
# A session counts only while nobody switched its user or organisation off.
IS_OPEN = (
    SessionRow.ended_at.is_(None),
    User.disabled_at.is_(None),
    Organization.disabled_at.is_(None),
)

IN_BROWSER = Prepared(
    select(*COLUMNS, User.name, User.email, Organization.name.label("organization_name"))
    .select_from(SessionRow)
    .join(User, User.id == SessionRow.user_id)
    .join(Organization, Organization.id == User.organization_id)
    .where(SessionRow.browser == bindparam("browser"), *IS_OPEN)
    .order_by(SessionRow.last_seen_at.desc())
)

_TOUCH = Prepared(
    update(SessionRow)
    .where(SessionRow.id == bindparam("sid"), SessionRow.ended_at.is_(None))
    .values(last_seen_at=bindparam("now"))
)


def browser_hash(secret: str) -> bytes:
    """How the secret of a session cookie is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def is_live(row: Any, settings: Settings, now: datetime) -> bool:
    """Whether a row of COLUMNS is within its idle and absolute lifetime."""
    return bool(
        now < row.last_seen_at + timedelta(minutes=settings.session_idle_minutes)
        and now < row.session_created_at + timedelta(hours=settings.session_hours)
    )


def in_browser(engine: Any, secret: str | None, settings: Settings, now: datetime) -> list[Any]:
    """The live sessions of a browser, the most recently used first."""
    if not secret:
        return []
    rows = IN_BROWSER.all(engine, browser=browser_hash(secret))
    return [row for row in rows if is_live(row, settings, now)]


def touch(engine: Any, row: Any, now: datetime) -> None:
    """Keeps a session from idling out. At most one write a minute: it is on the hot road."""
    if now - row.last_seen_at >= TOUCH_EVERY:
        _TOUCH.count(engine, sid=row.sid, now=now)


def open_session(
    session: Session,
    *,
    user_id: str,
    secret: str | None,
    proofs: Sequence[Proof],
    now: datetime,
    address: str,
    user_agent: str,
    renews: str | None,
    is_waived: bool = False,
) -> tuple[str, str]:
    """Signs a user in; returns the `sid` and the browser's new secret.

    The secret changes with every sign-in, for all accounts of the browser (SE-01). `renews`: the
    `sid` of this user's live session in this browser; it goes on, with new proofs, under the same
    `sid`, by which relying parties know it.
    """
    new_secret = _change_secret(session, secret)
    values = {
        "browser": browser_hash(new_secret),
        "created_at": now,
        "auth_time": now,
        "last_seen_at": now,
        "methods": " ".join(dict.fromkeys(proof.method for proof in proofs)),
        "is_waived": is_waived,
        "address": address,
        "user_agent": user_agent[:200],
    }
    if renews is not None and _renew(session, renews, user_id, values):
        return renews, new_secret
    sid = new_id()
    session.add(SessionRow(id=sid, user_id=user_id, **values))
    session.flush()
    _end_oldest(session, user_id, now)
    return sid, new_secret


def strengthen(
    session: Session, sid: str, *, secret: str | None, proofs: Sequence[Proof], now: datetime
) -> str | None:
    """Adds proofs to a session that goes on; the browser's new secret (SE-01), or None when the
    session was ended in the meantime. `auth_time` stays: who it is was proven then."""
    row = session.get(SessionRow, sid, with_for_update=True)
    if row is None or row.ended_at is not None:
        return None
    methods = [*row.methods.split(), *(proof.method for proof in proofs)]
    row.methods = " ".join(dict.fromkeys(methods))
    row.last_seen_at = now
    session.flush()
    return _change_secret(session, secret)


def _change_secret(session: Session, secret: str | None) -> str:
    new_secret = secrets.token_urlsafe(32)
    if secret:
        session.execute(
            update(SessionRow)
            .where(SessionRow.browser == browser_hash(secret), SessionRow.ended_at.is_(None))
            .values(browser=browser_hash(new_secret))
        )
    return new_secret


def _renew(session: Session, sid: str, user_id: str, values: dict[str, Any]) -> bool:
    """False when the session was ended in the meantime: an ended one never comes back."""
    result = session.execute(
        update(SessionRow)
        .where(SessionRow.id == sid, SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
        .values(**values)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _end_oldest(session: Session, user_id: str, now: datetime) -> None:
    surplus = session.scalars(
        select(SessionRow.id)
        .where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
        .order_by(SessionRow.created_at.desc())
        .offset(PER_USER)
    ).all()
    end(session, surplus, now=now)


def end_waivers(session: Session, user_id: str) -> None:
    """From now on every session of this user that saw one factor alone is judged without the
    browser's being remembered."""
    session.execute(
        update(SessionRow)
        .where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
        .values(is_waived=False)
    )


def end_others(session: Session, user_id: str, *, but: str | None, now: datetime) -> int:
    """Ends all sessions of a user except `but`: a credential was changed."""
    open_ones = session.scalars(
        select(SessionRow.id).where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
    ).all()
    return end(session, [sid for sid in open_ones if sid != but], now=now)


def end(session: Session, sids: Iterable[str], *, now: datetime) -> int:
    """Ends sessions; how many were still open. Codes of an ended session are dead with it."""
    sids = list(sids)
    if not sids:
        return 0
    result = session.execute(
        update(SessionRow)
        .where(SessionRow.id.in_(sids), SessionRow.ended_at.is_(None))
        .values(ended_at=now)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
