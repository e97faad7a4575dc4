"""The lock of a password: telling of it, and lifting it.

Owns what a lock mail says and what lifts a lock; `throttle` keeps the counters and `limits` says
when they lock. Only the counter of strangers locks somebody out: browsers of one's own have
counters of their own, and passkeys have none. Lifting a lock grants nothing but another try: it
clears neither the hundred failures in a row that end a password nor anything else (LK-15).
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from idp import audit, notices, tickets
from idp.accounts import attempts, claimants
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.users import User
from idp.audit import Event
from idp.limits import Reservation, account_bucket
from idp.notices import Notice
from idp.policy import Method
from idp.services import Services
from idp.tickets import Purpose

PER_DAY = 3
_A_DAY = timedelta(days=1)


class Outcome(enum.Enum):
    """What came of using the link of a lock mail."""

    UNLOCKED = "unlocked"
    DEAD = "dead"
    """Used, too old, replaced, or overtaken by a change of the account."""
    TOO_OFTEN = "too_often"
    SPENT = "spent"
    """The lock is lifted, but a hundred failures in a row ended this password."""


def bucket(account: str) -> str:
    """The counter of all strangers who try this account's password."""
    return account_bucket("password", account)


def tell(
    services: Services,
    session: Session,
    claimant: Claimant,
    reservation: Reservation,
    source: Source,
    *,
    now: datetime,
) -> None:
    """Mails the owner of an account that a failed attempt found or left locked: once when it is
    locked, at most once a day. A lock that does not end by itself is told again, with a new link,
    when somebody tries in vain a day later: nobody is left without a way in."""
    user = claimant.user
    if user is None or not claimant.is_able:
        return
    is_strangers = reservation.bucket == bucket(user.id)
    ends = claimant.policy.automatic_unlock or not is_strangers
    if not reservation.locks and (ends or reservation.is_evaluated):
        return
    # In this order everywhere: first the user's row, then that of the counter.
    session.get_one(User, user.id, with_for_update=True)
    if not services.throttle.may_notify(session, reservation.bucket, now):
        return
    lifetime = _lifetime(claimant)
    notices.account_locked(
        Notice(services, session, user, now, source.address, source.user_agent),
        until=reservation.locked_until if ends else None,
        is_own_browser=not is_strangers,
        unlock_url=_link(services, session, user, lifetime, now) if is_strangers else None,
        unlock_until=now + lifetime,
    )


def _lifetime(claimant: Claimant) -> timedelta:
    """How long the link works. As only one mail a day is sent, the link of a lock that does not
    end by itself lasts as long at least."""
    chosen = timedelta(minutes=claimant.policy.unlock_minutes)
    return chosen if claimant.policy.automatic_unlock else max(chosen, _A_DAY)


def _link(
    services: Services, session: Session, user: Any, lifetime: timedelta, now: datetime
) -> str | None:
    """The link for a lock mail; None where a link could not help."""
    if services.throttle.is_spent(session, bucket(user.id)):
        return None
    secret = tickets.issue(
        session,
        Purpose.UNLOCK,
        user.id,
        bound_to=user.security_stamp,
        lifetime=lifetime,
        now=now,
    )
    return f"{services.settings.base_url}/unlock/{secret}"  # LK-03: never the request's host


def whose(services: Services, secret: str, *, now: datetime) -> Claimant | None:
    """Whom the link of a lock mail is about, as long as it works. Changes nothing."""
    found = tickets.look(services.database, secret, Purpose.UNLOCK, now=now)
    claimant = claimants.named(services, found.user_id) if found is not None else None
    if found is None or claimant is None or claimant.user is None or not claimant.is_able:
        return None
    return claimant if claimant.user.security_stamp == found.bound_to else None


def by_link(services: Services, secret: str, *, now: datetime, source: Source) -> Outcome:
    """Lifts the lock that the link is about, at most three times a day."""
    claimant = whose(services, secret, now=now)
    if claimant is None:
        return Outcome.DEAD
    with services.database.transaction() as session:
        # Uses of several links, and changes of the account, wait for each other here.
        user = session.get_one(User, claimant.account, with_for_update=True)
        if tickets.used(session, user.id, Purpose.UNLOCK, since=now - _A_DAY) >= PER_DAY:
            return Outcome.TOO_OFTEN
        claimed = tickets.claim(
            session, secret, Purpose.UNLOCK, bound_to=user.security_stamp, now=now
        )
        if claimed is None:
            return Outcome.DEAD
        is_open = unlock(services, session, user, actor=user.id, now=now, source=source)
    return Outcome.UNLOCKED if is_open else Outcome.SPENT


def unlock(
    services: Services,
    session: Session,
    user: User,
    *,
    actor: str,
    now: datetime,
    source: Source | None = None,
) -> bool:
    """Lifts the lock of this user's password; whether it can be tried again. Links of lock mails
    work no longer. Who comes without a `source` is an administrator, whose word counts for codes
    as well."""
    is_open = services.throttle.unlock(session, bucket(user.id))
    if source is None:
        for method in attempts.LIMITS:
            services.throttle.forget(session, account_bucket(method, user.id))
    tickets.revoke(session, user.id, Purpose.UNLOCK)
    audit.record(
        session,
        Event.LOGIN_UNLOCKED,
        at=now,
        actor=actor,
        user_id=user.id,
        organization_id=user.organization_id,
        address=source.address if source else None,
        request_id=source.request_id if source else None,
        method=Method.PASSWORD,
    )
    return is_open
