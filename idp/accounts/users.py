"""Users: one row a person, owned by one organisation.

A user's `id` is the `sub` that relying parties see: random, never reused, never a login name
(OpenID Connect Core, 2 and 5.7).
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, bindparam, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import policy
from idp.accounts.claims import check_profile
from idp.accounts.identifiers import check_address, check_login_id, comparable, new_id
from idp.accounts.organizations import Organization, check_name
from idp.db import Base, Prepared, Timestamp
from idp.errors import NotFound, Refused
from idp.policy import Method


class Action(enum.StrEnum):
    """What may be required of a user at the next sign-in."""

    VERIFY_ADDRESS = "verify_address"
    CHANGE_PASSWORD = "change_password"
    SAVE_RECOVERY_CODE = "save_recovery_code"


class Role(enum.StrEnum):
    MEMBER = "member"
    HELPDESK = "helpdesk"
    ADMIN = "admin"
    OWNER = "owner"
    OPERATOR = "operator"


class User(Base):
    __tablename__ = "users"
    __table_args__ = (Index("ix_users_email_domain", "email_domain", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"), index=True)
    login_id: Mapped[str | None] = mapped_column(String(64))
    login_id_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    # Of `email_key`: whom somebody unknown is taken for, see `claimants`.
    email_domain: Mapped[str] = mapped_column(String(254), default="", server_default="")
    email_verified_at: Mapped[datetime | None] = mapped_column(Timestamp)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16), default=Role.MEMBER)
    # Further standard claims (OpenID Connect Core, 5.1), by their names: `given_name`, `address`.
    profile: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    password_hash: Mapped[str | None] = mapped_column(String(256))
    login_method: Mapped[str] = mapped_column(
        String(16), default=Method.PASSWORD, server_default=Method.PASSWORD
    )
    # What is due before an application is answered: `Action` values, space-separated.
    required_actions: Mapped[str] = mapped_column(String(200), default="", server_default="")
    # Changes with every credential: what was bound to the old one (links, codes) dies with it.
    security_stamp: Mapped[str] = mapped_column(String(32), default=new_id)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    disabled_at: Mapped[datetime | None] = mapped_column(Timestamp)


def add(
    session: Session,
    email: str,
    *,
    organization: Organization,
    name: str,
    now: datetime,
    role: Role = Role.MEMBER,
    login_id: str | None = None,
    password_hash: str | None = None,
    login_method: str = Method.PASSWORD,
    profile: dict[str, Any] | None = None,
    email_verified: bool = False,
) -> User:
    """A new user. Refused when the address or the sign-in ID is taken anywhere.

    `email_verified` may be True only where an operator vouches for the address (ID-05).
    """
    email = check_address(email)
    email_key = comparable(email)
    login_id = None if login_id is None else check_login_id(login_id)
    user = User(
        id=new_id(),
        organization_id=organization.id,
        login_id=login_id,
        login_id_key=comparable(login_id) if login_id else None,
        email=email,
        email_key=email_key,
        email_domain=email_key.rpartition("@")[2],
        email_verified_at=now if email_verified else None,
        name=check_name(name, "the name"),
        role=Role(role),
        profile=check_profile(profile or {}),
        password_hash=password_hash,
        login_method=_login_method(login_method, organization),
        created_at=now,
        updated_at=now,
    )
    return _added(session, user)


def _added(session: Session, user: User) -> User:
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise Refused("the e-mail address or the sign-in ID is taken", member="email") from error
    return user


def find(session: Session, identifier: str) -> User:
    """By id, sign-in ID or address, else NotFound."""
    key = comparable(identifier)
    found = session.get(User, identifier) or session.scalar(
        select(User).where(or_(User.email_key == key, User.login_id_key == key))
    )
    if found is None:
        raise NotFound(f"no user {identifier!r}")
    return found


def _login_method(method: str, organization: Organization) -> str:
    if method not in policy.of_organization(organization.policy).login_methods:
        raise Refused(f"{method!r} is no login method there", member="login_method")
    return method


def require(session: Session, user_id: str, action: Action) -> None:
    """From now on `action` is due at this user's next request for an application."""
    user = session.get_one(User, user_id, with_for_update=True)
    user.required_actions = " ".join(dict.fromkeys([*user.required_actions.split(), action]))
    session.flush()


def is_done(session: Session, user_id: str, action: Action) -> None:
    """`action` is no longer due."""
    user = session.get_one(User, user_id, with_for_update=True)
    user.required_actions = " ".join(
        other for other in user.required_actions.split() if other != action
    )
    session.flush()


def change_stamp(session: Session, user_id: str, *, now: datetime, was: str | None = None) -> bool:
    """To be called with every change of a credential: what was bound to the old one dies.

    `was`: the stamp that this change was begun under. Of several changes begun under one stamp the
    first is made; the others, and whoever was switched off, are told False and make none.
    """
    statement = update(User).where(User.id == user_id)
    if was is not None:
        statement = statement.where(User.security_stamp == was, User.disabled_at.is_(None))
    result = session.execute(statement.values(security_stamp=new_id(), updated_at=now))
    return bool(result.rowcount)  # type: ignore[attr-defined]


# What proving who somebody is needs to know of them.
CREDENTIAL_COLUMNS: tuple[Any, ...] = (
    User.id,
    User.email,
    User.name,
    User.role,
    User.profile["locale"].as_string().label("locale"),
    User.password_hash,
    User.login_method,
    User.email_verified_at,
    User.security_stamp,
    User.organization_id,
    User.disabled_at,
    Organization.name.label("organization_name"),
    Organization.policy.label("organization_policy"),
    Organization.disabled_at.label("organization_disabled_at"),
)
CREDENTIALS = Prepared(
    select(*CREDENTIAL_COLUMNS)
    .join(Organization, Organization.id == User.organization_id)
    .where(or_(User.email_key == bindparam("key"), User.login_id_key == bindparam("key")))
)
BY_ID = Prepared(
    select(*CREDENTIAL_COLUMNS)
    .join(Organization, Organization.id == User.organization_id)
    .where(User.id == bindparam("user_id"))
)
