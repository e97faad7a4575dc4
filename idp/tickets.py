"""Tickets: one-time links in mails. One row a link, its secret stored hashed.

Source: OWASP ASVS 5.0, 7.2.3 and 6.4. Opening a link changes nothing; a form behind it claims the
row by one conditional write. A ticket is bound to one purpose, one user, and to a stamp of that
user that changes with every credential, so superseding events kill it without being told.
"""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, Timestamp


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
