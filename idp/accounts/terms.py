"""Terms of use: versions of a text, of the installation and of each organisation, and who agreed.

A new version is a new row; the newest of its kind is what must be agreed to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from idp import audit
from idp.accounts.identifiers import new_id
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.audit import Event
from idp.db import Base, Prepared, Timestamp, upsert
from idp.errors import Refused
from idp.services import Services

LENGTH = 200_000


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
            ~exists()
            .where(and_(acceptance.user_id == User.id, acceptance.terms_id == terms.id))
            # Whose acceptance it is comes from outside; otherwise anybody's would do.
            .correlate(User, terms),
        )
        .correlate(User)
    )


@dataclass(frozen=True, slots=True)
class Due:
    """Terms that a user has yet to agree to."""

    id: str
    organization_name: str | None
    """Whose terms these are; None: the installation's."""
    version: int
    published_at: datetime
    text_en: str
    text_ja: str


_agreed = exists().where(
    Acceptance.user_id == bindparam("user_id"), Acceptance.terms_id == Terms.id
)
# The installation's come first.
_DUE = Prepared(
    select(
        Terms.id,
        Organization.name.label("organization_name"),
        Terms.version,
        Terms.published_at,
        Terms.text_en,
        Terms.text_ja,
    )
    .outerjoin(Organization, Organization.id == Terms.organization_id)
    .where(
        Terms.superseded_at.is_(None),
        or_(Terms.organization_id == "", Terms.organization_id == bindparam("organization_id")),
        ~_agreed,
    )
    .order_by(Terms.organization_id)
)


def publish(
    session: Session,
    text_en: str,
    text_ja: str,
    *,
    actor: str,
    now: datetime,
    organization: Organization | None = None,
) -> Terms:
    """The next version; from now on everybody is asked to agree to it. `organization` None: of
    the installation. Raises Refused for texts that are none."""
    _check(text_en, "text_en")
    _check(text_ja, "text_ja")
    owner = organization.id if organization else ""
    newest = session.scalar(select(func.max(Terms.version)).where(Terms.organization_id == owner))
    earlier = (Terms.organization_id == owner, Terms.superseded_at.is_(None))
    session.execute(update(Terms).where(*earlier).values(superseded_at=now))
    published = Terms(
        id=new_id(),
        organization_id=owner,
        version=(newest or 0) + 1,
        text_en=text_en,
        text_ja=text_ja,
        published_at=now,
    )
    session.add(published)
    try:
        session.flush()
    except IntegrityError as error:
        raise Refused("another version was published in this very moment") from error
    audit.record(
        session,
        Event.TERMS_PUBLISHED,
        at=now,
        actor=actor,
        organization_id=owner or None,
        version=published.version,
    )
    return published


def _check(text: str, member: str) -> None:
    if not text.strip() or len(text) > LENGTH or "\0" in text:
        raise Refused(f"{member} must have 1 to {LENGTH} characters", member=member)


def due(services: Services, user: Any) -> list[Due]:
    """What this user (a row with `id` and `organization_id`) has yet to agree to, in both
    languages."""
    rows = _DUE.all(services.database.reader, user_id=user.id, organization_id=user.organization_id)
    return [Due(*row) for row in rows]


def accept(
    session: Session,
    user: Any,
    terms: Due,
    *,
    now: datetime,
    address: str,
    client_id: str | None = None,
    request_id: str | None = None,
) -> None:
    """This user agrees to this version; agreeing twice is agreeing once."""
    insert = upsert(session.get_bind().dialect.name)
    is_new = session.scalar(
        insert(Acceptance)
        .values(user_id=user.id, terms_id=terms.id, accepted_at=now, address=address)
        .on_conflict_do_nothing(index_elements=["user_id", "terms_id"])
        .returning(Acceptance.terms_id)
    )
    if is_new is None:
        return
    audit.record(
        session,
        Event.TERMS_ACCEPTED,
        at=now,
        actor=user.id,
        user_id=user.id,
        organization_id=user.organization_id,
        client_id=client_id,
        address=address,
        request_id=request_id,
        terms=terms.organization_name or "installation",
        version=terms.version,
    )


def published(session: Session) -> Sequence[tuple[Terms, str | None, int]]:
    """Every version with the name of its organisation and how many agreed to it."""
    agreed = (
        select(func.count())
        .where(Acceptance.terms_id == Terms.id)
        .correlate(Terms)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Terms, Organization.name, agreed)
        .outerjoin(Organization, Organization.id == Terms.organization_id)
        .order_by(Terms.organization_id, Terms.version)
    )
    return [(row[0], row[1], row[2]) for row in rows]
