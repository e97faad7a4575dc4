"""Attempts at a code: reserved, compared, counted. The one road for every factor but passwords.

Each method has counters of its own for each account, over all visits, tabs and resends: a fresh
visit is no fresh set of guesses (BF-06, BF-07). A success gives back the attempt of this account
and this method, and clears nothing else (BF-16).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from idp import audit, notices
from idp.accounts.browsers import KNOWN, device_hash
from idp.accounts.claimants import Claimant
from idp.audit import Event
from idp.limits import Limit, Reservation, account_bucket
from idp.notices import Notice
from idp.policy import Method
from idp.services import Services

_A_DAY = timedelta(days=1)
_CODES = (Limit(10, timedelta(hours=1)), Limit(20, _A_DAY))
_SECRETS = (Limit(5, timedelta(minutes=15)), Limit(20, _A_DAY))
LIMITS: dict[str, tuple[Limit, ...]] = {
    Method.EMAIL_CODE: _CODES,
    Method.SMS: _CODES,
    Method.TOTP: _SECRETS,
    Method.RECOVERY_CODE: _SECRETS,
}


# Failures after a right password that are nobody's concern.
_FORGIVEN = Limit(2, _A_DAY)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an attempt comes from."""

    address: str
    device: str | None
    """The cookie of a browser that somebody has signed in from before."""
    user_agent: str
    request_id: str
    client_id: str | None = None
    after_password: bool = False
    """Whether the right password was shown before in the same visit."""


def known_browser(services: Services, claimant: Claimant, source: Source) -> bytes | None:
    """The hash of this browser, if the claimant has signed in from it before."""
    if not source.device or claimant.user is None:
        return None
    device = device_hash(source.device)
    rows = KNOWN.all(services.database.reader, user_id=claimant.user.id, secret_hash=device)
    return device if rows else None


def bucket(services: Services, claimant: Claimant, method: str, source: Source) -> str:
    """Whose failures, sends and codes these are: a browser of the claimant's own is apart from all
    the strangers together, so that they cannot use them up."""
    return account_bucket(method, claimant.account, known_browser(services, claimant, source))


def check(
    services: Services,
    claimant: Claimant,
    method: Method,
    source: Source,
    compare: Callable[[], bool],
    *,
    now: datetime,
) -> bool:
    """Whether `compare` says so, for somebody who may sign in. It is not even called when too
    many attempts failed: the answer is that of a wrong code, and nothing more is counted.

    Raises TooManyAttempts for a source that fails too often.
    """
    device = known_browser(services, claimant, source)
    if device is None:
        services.throttle.check_source(source.address, now)
    name = account_bucket(method, claimant.account, device)
    # A hundred failures end what can be set up anew; a mailbox cannot, and its codes are many.
    ends = method not in (Method.EMAIL_CODE, Method.SMS)
    reservation = services.throttle.reserve_window(name, now, LIMITS[method], consecutive=ends)
    if reservation.is_evaluated and compare() and claimant.is_able:
        services.throttle.give_back(reservation, LIMITS[method])
        return True
    if device is None:
        services.throttle.fail_source(source.address, claimant.typed, now)
    _remember_failure(services, claimant, method, source, reservation, now)
    return False


def _remember_failure(
    services: Services,
    claimant: Claimant,
    method: Method,
    source: Source,
    reservation: Reservation,
    now: datetime,
) -> None:
    with services.database.transaction() as session:
        audit.record(
            session,
            Event.LOGIN_FAILED,
            at=now,
            actor="anonymous",
            user_id=claimant.user.id if claimant.user else None,
            organization_id=claimant.user.organization_id if claimant.user else None,
            client_id=source.client_id,
            address=source.address,
            request_id=source.request_id,
            method=method,
            evaluated=int(reservation.is_evaluated),
        )
        _warn(services, session, claimant, source, now)


def _warn(
    services: Services, session: Session, claimant: Claimant, source: Source, now: datetime
) -> None:
    """Who has the password but not the second factor may have stolen it: the owner is told at the
    third failure of a day, of whatever method, once a day (OWASP ASVS 5.0, 6.3.5)."""
    user = claimant.user
    if user is None or not claimant.is_able or not source.after_password:
        return
    counter = account_bucket("after-password", user.id)
    if services.throttle.exceeds(session, counter, now, _FORGIVEN):
        notices.password_known(
            Notice(services, session, user, now, source.address, source.user_agent)
        )
