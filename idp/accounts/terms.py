"""Terms of use: versions of a text, of the installation and of each organisation, and who agreed.

A new version is a new row; the newest of its kind is what must be agreed to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, and_, exists, or_
from sqlalchemy.orm import Mapped, aliased, mapped_column

from idp.accounts.users import User
from idp.db import Base, Timestamp


class Terms(Base):
    __tablename__ = "terms"
    __table_args__ = (Index("uq_terms_organization_id", "organization_id", "version", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    # Empty: of the installation, for everybody.
    organization_id: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(Integer)
    text_en: Mapped[str] = mapped_column(Text)  # Markdown
    text_ja: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime] = mapped_column(Timestamp)
    superseded_at: Mapped[datetime | None] = mapped_column(Timestamp)


class Acceptance(Base):
    __tablename__ = "terms_acceptances"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    terms_id: Mapped[str] = mapped_column(
        ForeignKey("terms.id", ondelete="CASCADE"), primary_key=True
    )
    accepted_at: Mapped[datetime] = mapped_column(Timestamp)
    address: Mapped[str] = mapped_column(String(45), default="", server_default="")


def are_due() -> Any:
    """Whether the user of the enclosing statement has yet to agree to something: a column."""
    terms, acceptance = aliased(Terms), aliased(Acceptance)
    return (
        exists()
        .where(
            terms.superseded_at.is_(None),
            or_(terms.organization_id == "", terms.organization_id == User.organization_id),
            ~exists().where(and_(acceptance.user_id == User.id, acceptance.terms_id == terms.id)),
        )
        .correlate(User)
    )
