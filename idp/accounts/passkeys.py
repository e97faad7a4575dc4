"""Passkeys: the public halves of the keys that people keep on their devices, several for each.

Owns their rows, and what is due when one is added or removed. Does not own what a browser sends
(`ceremonies`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    LargeBinary,
    String,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts import credentials, recovery_codes
from idp.accounts.attempts import Source
from idp.accounts.identifiers import new_id
from idp.accounts.organizations import check_name
from idp.audit import Event
from idp.db import Base, Prepared, Timestamp
from idp.errors import Refused
from idp.policy import Method
from idp.services import Services

PER_USER = 20
NAME_LENGTH = 64


class Passkey(Base):
    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[str] = mapped_column(String(200), default="")
    aaguid: Mapped[str] = mapped_column(String(36), default="")
    is_synced: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a browser brought and was found good."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: str
    aaguid: str
    is_synced: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A passkey as its owner sees it."""

    id: str
    name: str
    is_synced: bool
    """Whether it is kept safe elsewhere, so that a lost device does not lose it."""
    created_at: datetime
    last_used_at: datetime | None


_LISTED = Prepared(
    select(Passkey.id, Passkey.name, Passkey.is_synced, Passkey.created_at, Passkey.last_used_at)
    .where(Passkey.user_id == bindparam("user_id"))
    .order_by(Passkey.created_at, Passkey.id)
)
CREDENTIALS = Prepared(
    select(Passkey.credential_id, Passkey.transports)
    .where(Passkey.user_id == bindparam("user_id"))
    .order_by(Passkey.created_at, Passkey.id)
)
BY_CREDENTIAL = Prepared(
    select(Passkey.id, Passkey.user_id, Passkey.public_key).where(
        Passkey.credential_id == bindparam("credential_id")
    )
)
# One write decides: of two answers with one count the second is refused, and so is a key that was
# removed meanwhile. Keys that are on several devices count nothing and always say 0.
_USE = Prepared(
    update(Passkey)
    .where(
        Passkey.id == bindparam("passkey_id"),
        or_(
            Passkey.sign_count < bindparam("count"),
            and_(Passkey.sign_count == 0, bindparam("count", type_=BigInteger()) == 0),
        ),
    )
    .values(
        sign_count=bindparam("count"), is_synced=bindparam("synced"), last_used_at=bindparam("now")
    )
)


def listed(services: Services, user_id: str) -> list[Listed]:
    """A user's passkeys, the oldest first."""
    rows = _LISTED.all(services.database.reader, user_id=user_id)
    return [Listed(r.id, r.name, r.is_synced, r.created_at, r.last_used_at) for r in rows]


def use(services: Services, passkey_id: str, count: int, *, is_synced: bool, now: datetime) -> bool:
    """Takes note that a key was used. False for one that is gone, or whose counter went back:
    then somebody may have copied it (WebAuthn Level 3, 7.2, step 22)."""
    used = _USE.count(
        services.database.reader, passkey_id=passkey_id, count=count, synced=is_synced, now=now
    )
    return used == 1


def add(
    services: Services, user: Any, key: NewKey, *, name: str, source: Source, now: datetime
) -> None:
    """Gives a user one more passkey, with all that a new factor is due. `user`: a row of
    `users.CREDENTIAL_COLUMNS`. Raises Refused for one too many, for a key that somebody has, and
    when another change of this user's was faster.
    """
    with services.database.transaction() as session:
        _begin(session, user, now)  # One change at a time, so counting is enough.
        count = session.scalar(select(func.count()).where(Passkey.user_id == user.id)) or 0
        if count >= PER_USER:
            raise Refused(f"no more than {PER_USER} passkeys", member="passkeys")
        session.add(
            Passkey(
                id=new_id(),
                user_id=user.id,
                name=name,
                credential_id=key.credential_id,
                public_key=key.public_key,
                sign_count=key.sign_count,
                transports=key.transports,
                aaguid=key.aaguid,
                is_synced=key.is_synced,
                created_at=now,
            )
        )
        try:
            session.flush()
        except IntegrityError as error:
            raise Refused("this passkey is registered already", member="credential") from error
        credentials.tell_added(
            services, session, user, method=Method.PASSKEY, name=name, source=source, now=now
        )
        recovery_codes.demand(session, user.id)


def rename(
    services: Services, user: Any, passkey_id: str, name: str, *, source: Source, now: datetime
) -> bool:
    """False when the user has no such passkey. Raises Refused for what is no name."""
    name = check_name(name, "the name of the passkey")
    with services.database.transaction() as session:
        passkey = _own(session, user.id, passkey_id)
        if passkey is None:
            return False
        passkey.name = name
        credentials.record(
            session,
            Event.FACTOR_CHANGED,
            user,
            source=source,
            now=now,
            method=Method.PASSKEY,
            name=name,
        )
    return True


def remove(
    services: Services, user: Any, passkey_id: str, *, source: Source, now: datetime
) -> bool:
    """Takes a passkey from its owner, who is told. False when the user has no such passkey. Raises
    Refused when another change of this user's was faster."""
    with services.database.transaction() as session:
        passkey = _own(session, user.id, passkey_id)
        if passkey is None:
            return False
        _begin(session, user, now)
        session.delete(passkey)
        credentials.tell_removed(
            services,
            session,
            user,
            method=Method.PASSKEY,
            name=passkey.name,
            source=source,
            now=now,
        )
    return True


def printable(name: str) -> str:
    """What was typed as a name, as far as it can be one: the key is on the device already, so a
    bad name is no reason to refuse it. May be empty."""
    shown = "".join(c if c.isprintable() else " " for c in name)
    return " ".join(shown.split())[:NAME_LENGTH].strip()


def _begin(session: Session, user: Any, now: datetime) -> None:
    if not credentials.begin_change(session, user, now=now):
        raise Refused("another change of this user's was faster", member="user")


def _own(session: Session, user_id: str, passkey_id: str) -> Passkey | None:
    return session.scalar(
        select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
    )
