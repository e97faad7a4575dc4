"""Organisations: a company or contract that owns users."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts.identifiers import comparable, new_id
from idp.db import Base, Timestamp
from idp.errors import NotFound, Refused

NAME_LENGTH = 64


class Organization(Base):
    __tablename__ = "organizations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    name_key: Mapped[str] = mapped_column(String(256), unique=True)
    # Members of its `policy.Policy` that differ from the defaults, one JSON object.
    policy: Mapped[str] = mapped_column(Text, default="{}", server_default="{}")
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    disabled_at: Mapped[datetime | None] = mapped_column(Timestamp)


def check_name(name: str, what: str) -> str:
    """A name for people: 1 to 64 characters, one line, no control characters; else Refused."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise Refused(f"{what} must be 1 to {NAME_LENGTH} printable characters", member="name")
    return name


def add(session: Session, name: str, *, now: datetime) -> Organization:
    """A new organisation. Refused when the name is taken (compared without case and width)."""
    name = check_name(name, "the organisation's name")
    organization = Organization(id=new_id(), name=name, name_key=comparable(name), created_at=now)
    session.add(organization)
    try:
        session.flush()
    except IntegrityError as error:
        raise Refused(f"an organisation named {name!r} exists already", member="name") from error
    return organization


def find(session: Session, name_or_id: str) -> Organization:
    """By id or name, else NotFound."""
    found = session.get(Organization, name_or_id) or session.scalar(
        select(Organization).where(Organization.name_key == comparable(name_or_id))
    )
    if found is None:
        raise NotFound(f"no organisation {name_or_id!r}")
    return found
