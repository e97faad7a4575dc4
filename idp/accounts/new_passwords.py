"""Changing the password: the one road for it, whichever door asks.

What hangs on the old one dies with it: other sessions, links, remembered browsers, the failures
counted against it. The owner is told. Source: OWASP ASVS 5.0, 6.2.3 and 7.4.3.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp import audit, notices, sessions
from idp.accounts import credentials, locks, users
from idp.accounts.attempts import Source
from idp.accounts.passwords import Rule, Unacceptable, check_acceptable
from idp.accounts.users import Action, User
from idp.audit import Event
from idp.notices import Notice
from idp.services import Services


def set_password(
    services: Services,
    user: Any,
    password: str,
    *,
    actor: str,
    now: datetime,
    keeps: str | None = None,
    source: Source | None = None,
    is_temporary: bool = False,
) -> bool:
    """Makes `password` the password of `user` (a row of `users.CREDENTIAL_COLUMNS`); False when a
    credential of theirs was changed elsewhere in this very moment, and then nothing happens.

    `keeps`: the session that goes on. `source`: where the person is; None when an administrator
    does it. `is_temporary`: it must be changed at the next sign-in. Raises Unacceptable, and
    Unavailable when too many passwords are being hashed.
    """
    check_acceptable(password)
    with services.passwords.gate.enter():
        is_old = services.passwords.compare(user.password_hash, password)
    if is_old:
        raise Unacceptable(Rule.SAME)
    # Before the transaction: nobody else waits for a row while this takes its time.
    hashed = services.passwords.hash(password)
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        row = session.get_one(User, user.id)
        row.password_hash = hashed
        session.flush()
        sessions.end_others(session, user.id, but=keeps, now=now)
        # It is another secret that is guessed at from now on, so even a hundred failures are over.
        services.throttle.forget(session, locks.bucket(user.id))
        change = users.require if is_temporary else users.is_done
        change(session, user.id, Action.CHANGE_PASSWORD)
        _tell(services, session, user, source, actor=actor, now=now, is_temporary=is_temporary)
    return True


def _tell(
    services: Services,
    session: Session,
    user: Any,
    source: Source | None,
    *,
    actor: str,
    now: datetime,
    is_temporary: bool,
) -> None:
    whence = (source.address, source.user_agent) if source else ("", "")
    notices.password_changed(Notice(services, session, user, now, *whence))
    audit.record(
        session,
        Event.PASSWORD_CHANGED,
        at=now,
        actor=actor,
        user_id=user.id,
        organization_id=user.organization_id,
        client_id=source.client_id if source else None,
        address=source.address if source else None,
        request_id=source.request_id if source else None,
        temporary=int(is_temporary),
    )
