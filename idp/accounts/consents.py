"""Consent: which scopes a user has let an application have. One row a pair."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.db import Base, Timestamp


class Consent(Base):
    __tablename__ = "consents"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[str] = mapped_column(
        ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(Timestamp)


def grant(
    session: Session, user_id: str, client_id: str, scopes: Iterable[str], *, now: datetime
) -> None:
    """Remembers what was shown and agreed to, beside what was agreed to before."""
    consent = session.get(Consent, (user_id, client_id), with_for_update=True)
    if consent is None:
        consent = Consent(user_id=user_id, client_id=client_id, scope="", granted_at=now)
        session.add(consent)
    consent.scope = " ".join(sorted({*consent.scope.split(), *scopes}))
    consent.granted_at = now
    session.flush()
