"""Checking a password that somebody typed: reserved, compared, counted, told.

The one road for it: whatever door asks, the same counters apply and the same lock holds (BF-05).
Unknown, disabled, locked and wrong cost one hash each and answer alike (EN-01).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update

from idp import audit, notices
from idp.accounts.browsers import KNOWN
from idp.accounts.identifiers import comparable
from idp.accounts.users import CREDENTIALS, User
from idp.assurance import Proof
from idp.audit import Event
from idp.services import Services
from idp.throttle import Reservation, account_bucket

METHOD = "pwd"  # RFC 8176


@dataclass(frozen=True, slots=True)
class Source:
    """Where an attempt comes from."""

    address: str
    device: str | None
    """The cookie of a browser that somebody has signed in from before."""
    user_agent: str
    request_id: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    user_id: str
    proof: Proof


def by_password(
    services: Services, identifier: str, password: str, source: Source, *, now: datetime
) -> Proven | None:
    """Whose password this is; None for everything else, remembered.

    Raises TooManyAttempts for a source that fails too often, Unavailable when too many passwords
    are being hashed.
    """
    key = comparable(identifier)
    user = CREDENTIALS.one(services.database.reader, key=key)
    device = hashlib.sha256(source.device.encode()).digest() if source.device else None
    is_known = user is not None and device is not None and _knows(services, user.id, device)
    if not is_known:
        # A browser of this user's own goes on working whatever its neighbours do.
        services.throttle.check_source(source.address, now)
    account = (
        user.id if user else hmac.digest(services.ghost_key, key.encode(), "sha256").hex()[:32]
    )
    bucket = account_bucket("password", account, device if is_known else None)
    with services.passwords.gate.enter():
        reservation = services.throttle.reserve(bucket, now, is_known_browser=is_known)
        stored = user.password_hash if user and reservation.is_evaluated else None
        matches = services.passwords.compare(stored, password)
    if user is not None and matches and not _is_disabled(user):
        services.throttle.succeed(reservation)
        _upgrade(services, user, password)
        return Proven(user.id, Proof(METHOD, now))
    if not is_known:
        services.throttle.fail_source(source.address, account, now)
    _remember_failure(services, user, reservation, source, now)
    return None


def _knows(services: Services, user_id: str, device: bytes) -> bool:
    return bool(KNOWN.all(services.database.reader, user_id=user_id, secret_hash=device))


def _is_disabled(user: Any) -> bool:
    return user.disabled_at is not None or user.organization_disabled_at is not None


def _upgrade(services: Services, user: Any, password: str) -> None:
    """Hashes anew what was hashed with yesterday's parameters; unless the password was changed in
    this very moment."""
    if not services.passwords.is_outdated(user.password_hash):
        return
    upgraded = services.passwords.hash(password)
    with services.database.transaction() as session:
        session.execute(
            update(User)
            .where(User.id == user.id, User.password_hash == user.password_hash)
            .values(password_hash=upgraded)
        )


def _remember_failure(
    services: Services, user: Any | None, reservation: Reservation, source: Source, now: datetime
) -> None:
    event = Event.LOGIN_LOCKED if reservation.locks else Event.LOGIN_FAILED
    with services.database.transaction() as session:
        audit.record(
            session,
            event,
            at=now,
            actor="anonymous",
            user_id=user.id if user else None,
            organization_id=user.organization_id if user else None,
            client_id=source.client_id,
            address=source.address,
            request_id=source.request_id,
            evaluated=int(reservation.is_evaluated),
        )
        if user is None or reservation.locked_until is None or _is_disabled(user):
            return
        if services.throttle.may_notify(session, reservation.bucket, now):
            notices.account_locked(
                services,
                session,
                user,
                now=now,
                until=reservation.locked_until,
                address=source.address,
                user_agent=source.user_agent,
            )
