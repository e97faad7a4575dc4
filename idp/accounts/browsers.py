"""Browsers that a user has signed in from before.

A random value per browser, in a cookie, set after a full sign-in and stored hashed, one row for
each user of that browser. It proves nothing about a person. It gives this browser its own failure
counter, so that strangers cannot lock somebody out; it lists the accounts that were used here; and
if the person wished so, it is remembered: for a while no second factor is asked for here, which is
a waiver and never counts as a factor.
Source: NIST SP 800-63B-4, 5.1 (remembering a browser is no authentication).
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, bindparam, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import policy
from idp.accounts.identifiers import new_id
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.db import Base, Prepared, Timestamp
from idp.policy import Policy

ABSOLUTE = timedelta(days=90)


class Browser(Base):
    __tablename__ = "browsers"
    __table_args__ = (Index("ix_browsers_secret_hash", "secret_hash"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    # Names the row to people and forms; the hash names it to nobody.
    id: Mapped[str] = mapped_column(String(32), default=new_id, server_default="")
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    last_seen_at: Mapped[datetime] = mapped_column(Timestamp)
    remembered_at: Mapped[datetime | None] = mapped_column(Timestamp)
    address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    user_agent: Mapped[str] = mapped_column(String(200), default="", server_default="")


KNOWN = Prepared(
    select(Browser.created_at, Browser.last_seen_at, Browser.remembered_at).where(
        Browser.user_id == bindparam("user_id"), Browser.secret_hash == bindparam("secret_hash")
    )
)
# Who has signed in here before: what the first page offers.
ACCOUNTS = Prepared(
    select(
        Browser.id.label("browser_id"),
        User.id.label("user_id"),
        User.name.label("user_name"),
        User.email,
        Organization.name.label("organization_name"),
    )
    .join(User, User.id == Browser.user_id)
    .join(Organization, Organization.id == User.organization_id)
    .where(
        Browser.secret_hash == bindparam("secret_hash"),
        Browser.id != "",
        User.disabled_at.is_(None),
        Organization.disabled_at.is_(None),
    )
    .order_by(Browser.last_seen_at.desc())
    .limit(10)
)


_REMEMBERED = Prepared(
    select(
        Browser.id,
        Browser.secret_hash,
        Browser.last_seen_at,
        Browser.remembered_at,
        Browser.address,
        Browser.user_agent,
    )
    .where(Browser.user_id == bindparam("user_id"), Browser.remembered_at.is_not(None))
    .order_by(Browser.last_seen_at.desc())
)


def accounts(engine: Any, device: str | None) -> list[Any]:
    """Rows of ACCOUNTS of the browser that has this cookie, the last used first."""
    if device is None:
        return []
    return ACCOUNTS.all(engine, secret_hash=device_hash(device))


def device_hash(device: str) -> bytes:
    """How the value of a device cookie is stored."""
    return hashlib.sha256(device.encode("utf-8", "surrogatepass")).digest()


def is_remembered(row: Any | None, rules: Policy, role: str, now: datetime) -> bool:
    """Whether a row of KNOWN waives the second factor now."""
    return (
        row is not None
        and row.remembered_at is not None
        and policy.remembers(rules, role)
        and now < remembered_until(row, rules)
    )


def remembered_until(row: Any, rules: Policy) -> datetime:
    """Until when a remembered browser waives the factor: as long as policy says since it was last
    used, and never longer than ABSOLUTE since the factor was shown."""
    unused: datetime = row.last_seen_at + timedelta(days=rules.remember_days)
    longest: datetime = row.remembered_at + ABSOLUTE
    return min(unused, longest)


def remembered(engine: Any, user_id: str, rules: Policy, role: str, now: datetime) -> list[Any]:
    """The browsers that waive this user's factor now, the last used first."""
    rows = _REMEMBERED.all(engine, user_id=user_id)
    return [row for row in rows if is_remembered(row, rules, role, now)]


def remember(
    session: Session,
    user_id: str,
    secret_hash: bytes,
    *,
    now: datetime,
    waives_factor: bool = False,
    address: str = "",
    user_agent: str = "",
) -> None:
    """Makes a browser known to a user who has just signed in. `waives_factor`: the person showed
    a second factor and wishes not to be asked for it here for a while."""
    browser = session.get(Browser, (user_id, secret_hash))
    if browser is None:
        browser = Browser(user_id=user_id, secret_hash=secret_hash, created_at=now)
        session.add(browser)
    browser.id = browser.id or new_id()
    browser.last_seen_at = now
    browser.address, browser.user_agent = address, user_agent[:200]
    if waives_factor:
        browser.remembered_at = now
    session.flush()


def forget(session: Session, user_id: str, browser_id: str | None) -> int:
    """One of this user's browsers, or with None all, waives the factor no more; how many did."""
    statement = update(Browser).where(
        Browser.user_id == user_id, Browser.remembered_at.is_not(None)
    )
    if browser_id is not None:
        statement = statement.where(Browser.id == browser_id)
    result = session.execute(statement.values(remembered_at=None))
    return int(result.rowcount)  # type: ignore[attr-defined]


def forget_all(session: Session, user_id: str) -> None:
    """No browser of this user waives a factor any more: a credential or a factor was changed."""
    forget(session, user_id, None)


def remove(session: Session, secret_hash: bytes, browser_id: str) -> bool:
    """Removes an account from the list of this very browser."""
    result = session.execute(
        delete(Browser).where(Browser.secret_hash == secret_hash, Browser.id == browser_id)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]
