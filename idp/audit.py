"""Audit: who did what, to whom, from where. Rows are appended in the transaction of the change.

Never a secret: `details` takes names and counts, not values. The list of events is closed.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.db import Base, Timestamp


class Event(enum.StrEnum):
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_LOCKED = "login.locked"
    LOGIN_UNLOCKED = "login.unlocked"
    FACTOR_SHOWN = "factor.shown"
    FACTOR_ADDED = "factor.added"
    FACTOR_CHANGED = "factor.changed"
    FACTOR_REMOVED = "factor.removed"
    CODE_SENT = "code.sent"
    RECOVERY_CODE_MADE = "recovery_code.made"
    RECOVERY_CODE_USED = "recovery_code.used"
    BROWSER_REMEMBERED = "browser.remembered"
    BROWSER_FORGOTTEN = "browser.forgotten"
    PASSWORD_CHANGED = "password.changed"
    ADDRESS_VERIFIED = "address.verified"
    TERMS_PUBLISHED = "terms.published"
    TERMS_ACCEPTED = "terms.accepted"
    POLICY_CHANGED = "policy.changed"
    ACTION_REQUIRED = "action.required"
    SESSION_ENDED = "session.ended"
    CODE_REPLAYED = "code.replayed"
    CODE_MISUSED = "code.misused"
    CLIENT_FAILED = "client.authentication_failed"
    CONSENT_GRANTED = "consent.granted"
    CONSENT_DENIED = "consent.denied"
    ORGANIZATION_ADDED = "organization.added"
    USER_ADDED = "user.added"
    CLIENT_ADDED = "client.added"
    CLIENT_CHANGED = "client.changed"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_ENABLED = "client.enabled"
    KEY_ROTATED = "key.rotated"
    KEY_WITHDRAWN = "key.withdrawn"


class AuditRow(Base):
    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime] = mapped_column(Timestamp, index=True)
    event: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(64))  # user id, "cli", "client:…", "system"
    user_id: Mapped[str | None] = mapped_column(String(32), index=True)
    organization_id: Mapped[str | None] = mapped_column(String(32))
    client_id: Mapped[str | None] = mapped_column(String(128))
    address: Mapped[str | None] = mapped_column(String(45))
    request_id: Mapped[str | None] = mapped_column(String(32))
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


def record(
    session: Session,
    event: Event,
    *,
    at: datetime,
    actor: str,
    user_id: str | None = None,
    organization_id: str | None = None,
    client_id: str | None = None,
    address: str | None = None,
    request_id: str | None = None,
    **details: str | int | list[str],
) -> None:
    """Appends one row. Texts are cut at 200 characters and carry no control characters (OR-13)."""
    session.add(
        AuditRow(
            at=at,
            event=Event(event),
            actor=actor[:64],
            user_id=user_id,
            organization_id=organization_id,
            client_id=client_id,
            address=address,
            request_id=request_id,
            details={name: _plain(value) for name, value in details.items()},
        )
    )


def _plain(value: str | int | list[str]) -> str | int | list[str]:
    if isinstance(value, list):
        return [str(_plain(item)) for item in value[:50]]
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "�" for c in value[:200])
    return value
