"""Authenticator apps: time-based one-time codes (RFC 6238), several for each user.

SHA-1, six digits, 30 seconds and 160 bits of secret, which every app understands. The code of this
step and of the one before is accepted (RFC 6238, 5.2), each once: the last accepted step is in the
row, raised by one conditional write. Secrets are sealed for their row.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    LargeBinary,
    String,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts import attempts, credentials, recovery_codes
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.identifiers import plain_code
from idp.accounts.organizations import check_name
from idp.audit import Event
from idp.db import Base, Prepared, Timestamp
from idp.errors import NotFound, Refused
from idp.policy import Method
from idp.services import Services

PERIOD = timedelta(seconds=30)
DIGITS = 6
SECRET_BYTES = 20
PER_USER = 10
ISSUER_LENGTH = 24  # A longer one makes a picture that telephones find hard to read.


class Authenticator(Base):
    __tablename__ = "authenticators"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    # The last time step whose code was accepted: only a later one is (RFC 6238, 5.2).
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)


_SECRETS = Prepared(
    select(Authenticator.id, Authenticator.user_id, Authenticator.sealed_secret).where(
        Authenticator.user_id == bindparam("user_id")
    )
)
_USE = Prepared(
    update(Authenticator)
    .where(Authenticator.id == bindparam("row"), Authenticator.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), last_used_at=bindparam("now"))
)
_LISTED = Prepared(
    select(
        Authenticator.id,
        Authenticator.name,
        Authenticator.created_at,
        Authenticator.last_used_at,
    )
    .where(Authenticator.user_id == bindparam("user_id"))
    .order_by(Authenticator.created_at)
)


# Codes -------------------------------------------------------------------------------------------


def check(
    services: Services, claimant: Claimant, typed: str, source: Source, *, now: datetime
) -> bool:
    """Whether one of the claimant's apps shows this code, which is spent then. One attempt,
    however many apps there are. Raises TooManyAttempts."""
    code = plain_code(typed)
    return attempts.check(
        services,
        claimant,
        Method.TOTP,
        source,
        lambda: _spend(services, claimant, code, now),
        now=now,
    )


def _spend(services: Services, claimant: Claimant, code: str, now: datetime) -> bool:
    rows = _SECRETS.all(services.database.reader, user_id=claimant.account)
    secrets = [(row.id, _open(services, row)) for row in rows]
    # The same work for those who have none, and for nobody (EN-02).
    for row_id, secret in secrets or [("", _encode(services.sealer.derive("nobody's app")))]:
        step = step_of(secret, code, now)
        if step is None or not claimant.is_able:
            continue
        if _USE.count(services.database.reader, row=row_id, step=step, now=now):
            return True
    return False


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is: that of now or the one before; None for any other code."""
    app = pyotp.TOTP(secret, digits=DIGITS, interval=int(PERIOD.total_seconds()))
    for instant in (now, now - PERIOD):
        try:
            return app.verify_and_get_timecode(code, for_time=instant)
        except OTPVerificationError:
            continue
    return None


# Setting one up ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """An app that is about to be set up. Nothing of it is stored anywhere."""

    id: str
    secret: str = field(repr=False)
    """In base32, as it is typed."""

    def uri(self, *, issuer: str, account: str) -> str:
        """What the picture says (Key URI Format of Google Authenticator). A colon would divide
        the issuer from the account."""
        name = " ".join(issuer.replace(":", " ").split())[:ISSUER_LENGTH]
        app = pyotp.TOTP(self.secret, digits=DIGITS)
        return app.provisioning_uri(name=account, issuer_name=name)


def propose(services: Services, user: Any, visit: str) -> Proposal:
    """The secret that this user is offered in this visit (the unguessable id of one).

    Computed and not stored: looking at the page writes nothing, looking again shows the same, and
    once any credential was changed, by this one's activation too, it is never shown again (BF-12).
    """
    key = services.sealer.derive("proposed apps")
    message = f"{visit}\0{user.id}\0{user.security_stamp}".encode()
    derived = hmac.digest(key, message, "sha512")
    return Proposal(id=derived[-16:].hex(), secret=_encode(derived[:SECRET_BYTES]))


def add(
    services: Services,
    user: Any,
    proposal: Proposal,
    typed: str,
    *,
    name: str,
    source: Source,
    now: datetime,
) -> bool:
    """Sets up an app that has shown its code, which is spent by that. False when another change
    was faster. Raises Refused for a wrong code, an unusable name and more than PER_USER apps.

    `user`: a row of `users.CREDENTIAL_COLUMNS`, as when `proposal` was made.
    """
    name = check_name(name, "the name of an authenticator app")
    step = step_of(proposal.secret, plain_code(typed), now)
    if step is None:
        raise Refused("the code is not the one that the app shows", member="code")
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        if _count(session, user.id) >= PER_USER:
            raise Refused(f"there are at most {PER_USER} authenticator apps", member="count")
        session.add(_row(services, user.id, proposal, name=name, step=step, now=now))
        recovery_codes.demand(session, user.id)
        credentials.tell_added(
            services, session, user, method=Method.TOTP, name=name, source=source, now=now
        )
    return True


def _row(
    services: Services, user_id: str, proposal: Proposal, *, name: str, step: int, now: datetime
) -> Authenticator:
    context = _context(user_id, proposal.id)
    return Authenticator(
        id=proposal.id,
        user_id=user_id,
        name=name,
        sealed_secret=services.sealer.seal(proposal.secret.encode(), context=context),
        last_step=step,
        created_at=now,
        last_used_at=now,
    )


# Keeping them ------------------------------------------------------------------------------------


def listed(services: Services, user_id: str) -> list[Any]:
    """The user's apps, oldest first: rows of id, name, created_at, last_used_at."""
    return _LISTED.all(services.database.reader, user_id=user_id)


def rename(
    services: Services, user: Any, app_id: str, name: str, *, source: Source, now: datetime
) -> None:
    """Raises NotFound unless the app is this user's, Refused for an unusable name."""
    name = check_name(name, "the name of an authenticator app")
    with services.database.transaction() as session:
        _find(session, user, app_id).name = name
        credentials.record(
            session,
            Event.FACTOR_CHANGED,
            user,
            source=source,
            now=now,
            method=Method.TOTP,
            name=name,
        )


def remove(services: Services, user: Any, app_id: str, *, source: Source, now: datetime) -> bool:
    """Removes one of this user's apps. False when another change was faster.

    Raises NotFound unless the app is this user's, and Refused for the last one of somebody who
    signs in with it.
    """
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        found = _find(session, user, app_id)
        if user.login_method == Method.TOTP and _count(session, user.id) == 1:
            raise Refused("who signs in with an app keeps at least one", member="count")
        session.execute(delete(Authenticator).where(Authenticator.id == found.id))
        credentials.tell_removed(
            services, session, user, method=Method.TOTP, name=found.name, source=source, now=now
        )
    return True


def _find(session: Session, user: Any, app_id: str) -> Authenticator:
    found = session.get(Authenticator, app_id)
    if found is None or found.user_id != user.id:
        raise NotFound("no such authenticator app")
    return found


def _count(session: Session, user_id: str) -> int:
    statement = select(func.count()).where(Authenticator.user_id == user_id)
    return session.scalars(statement).one()


def _open(services: Services, row: Any) -> str:
    context = _context(row.user_id, row.id)
    return services.sealer.open(row.sealed_secret, context=context).decode()


def _context(user_id: str, app_id: str) -> str:
    return f"authenticator:{user_id}:{app_id}"


def _encode(secret: bytes) -> str:
    return base64.b32encode(secret[:SECRET_BYTES]).decode()
