"""Checking a password that somebody typed: reserved, compared, counted, told.

The one road for it: whatever door asks, the same counters apply and the same lock holds (BF-05).
Unknown, disabled, locked and wrong cost one hash each and answer alike (EN-01).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update

from idp import audit
from idp.accounts import claimants, locks
from idp.accounts.attempts import Source, known_browser
from idp.accounts.claimants import Claimant
from idp.accounts.users import User
from idp.assurance import Proof
from idp.audit import Event
from idp.limits import Reservation, account_bucket
from idp.policy import Method
from idp.services import Services


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
    claimant = claimants.meet(services, identifier)
    user, account = claimant.user, claimant.account
    device = known_browser(services, claimant, source)
    is_known = device is not None
    if not is_known:
        # A browser of this user's own goes on working whatever its neighbours do.
        services.throttle.check_source(source.address, now)
    bucket = account_bucket("password", account, device)
    with services.passwords.gate.enter():
        reservation = services.throttle.reserve(
            bucket,
            now,
            is_known_browser=is_known,
            ends=is_known or claimant.policy.automatic_unlock,
        )
        # Who signs in by another method has no password, even where an old one is stored.
        may = reservation.is_evaluated and claimant.login_method == Method.PASSWORD
        stored = user.password_hash if user and may else None
        matches = services.passwords.compare(stored, password)
    if user is not None and matches and claimant.is_able:
        services.throttle.succeed(reservation)
        _upgrade(services, user, password)
        return Proven(user.id, Proof(Method.PASSWORD, now))
    if not is_known:
        services.throttle.fail_source(source.address, claimant.typed, now)
    _remember_failure(services, claimant, reservation, source, now)
    return None


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
    services: Services, claimant: Claimant, reservation: Reservation, source: Source, now: datetime
) -> None:
    user = claimant.user
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
        locks.tell(services, session, claimant, reservation, source, now=now)
