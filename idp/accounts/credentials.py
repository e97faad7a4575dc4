"""What goes with every change of a credential: stamp, remembered browsers, audit, mail.

Called in the transaction that changes the credential itself. Owns no kind of them: each has a
module of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp import audit, notices, sessions
from idp.accounts import browsers, users
from idp.accounts.attempts import Source
from idp.audit import Event
from idp.limits import account_bucket
from idp.notices import Notice
from idp.services import Services


def begin_change(session: Session, user: Any, *, now: datetime) -> bool:
    """Whether a change that was begun under this user's stamp may be made. The first statement of
    its transaction: it makes other changes of this user wait, and those begun under the same stamp
    fail. `user`: a row of `users.CREDENTIAL_COLUMNS`."""
    if not users.change_stamp(session, user.id, now=now, was=user.security_stamp):
        return False
    end_waivers(session, user.id)
    return True


def end_waivers(session: Session, user_id: str) -> None:
    """No browser of this user is remembered any more, and sessions that were opened on the
    strength of that are asked for a factor as well (SE-14)."""
    browsers.forget_all(session, user_id)
    sessions.end_waivers(session, user_id)


def tell_added(
    services: Services,
    session: Session,
    user: Any,
    *,
    method: str,
    name: str,
    source: Source,
    now: datetime,
) -> None:
    """A factor was set up: audit and mail. What was guessed at is another secret now, so failures
    that were counted are over."""
    services.throttle.forget(session, account_bucket(method, user.id))
    record(session, Event.FACTOR_ADDED, user, source=source, now=now, method=method, name=name)
    notices.factor_added(_notice(services, session, user, source, now), method, name)


def tell_removed(
    services: Services,
    session: Session,
    user: Any,
    *,
    method: str,
    name: str,
    source: Source,
    now: datetime,
) -> None:
    """A factor was removed: audit and mail."""
    record(session, Event.FACTOR_REMOVED, user, source=source, now=now, method=method, name=name)
    notices.factor_removed(_notice(services, session, user, source, now), method, name)


def tell_recovery_code(
    services: Services,
    session: Session,
    user: Any,
    event: Event,
    *,
    source: Source,
    now: datetime,
) -> None:
    """The recovery code was used or made: audit and mail."""
    record(session, event, user, source=source, now=now)
    is_used = event is Event.RECOVERY_CODE_USED
    tell = notices.recovery_code_used if is_used else notices.recovery_code_made
    tell(_notice(services, session, user, source, now))


def record(
    session: Session,
    event: Event,
    user: Any,
    *,
    source: Source,
    now: datetime,
    **details: str | int | list[str],
) -> None:
    """The audit row of something that the user did: signing in, or changing the own account."""
    audit.record(
        session,
        event,
        at=now,
        actor=user.id,
        user_id=user.id,
        organization_id=user.organization_id,
        client_id=source.client_id,
        address=source.address,
        request_id=source.request_id,
        **details,
    )


def _notice(
    services: Services, session: Session, user: Any, source: Source, now: datetime
) -> Notice:
    return Notice(services, session, user, now, source.address, source.user_agent)
