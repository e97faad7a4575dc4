"""Codes sent by e-mail: as first factor, as second, and to prove the address itself.

A code goes to the registered address and nowhere else, whatever a form says (BF-13). Machinery and
limits are those of `sent_codes`; the words are those of `notices`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.orm import Session

from idp import audit, notices
from idp.accounts import sent_codes, users
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.code_slots import LIFETIME
from idp.accounts.sent_codes import Sent
from idp.accounts.users import Action, User
from idp.audit import Event
from idp.notices import Notice
from idp.policy import Method
from idp.services import Services


class _Nobody(NamedTuple):
    """Whom a mail is written to, as for anybody, that is never queued."""

    email: str = "nobody@invalid"
    name: str = "Nobody"
    locale: str | None = None
    organization_name: str = ""


def send(
    services: Services,
    claimant: Claimant,
    *,
    interaction_id: str,
    purpose: str,
    application: str,
    source: Source,
    now: datetime,
) -> Sent:
    """Mails a code, see `sent_codes.send`. `application`: what somebody signs in to."""
    recipient: Any = claimant.user
    if recipient is None:
        recipient = _Nobody(organization_name=claimant.organization_name or "")

    def deliver(session: Session, code: str) -> None:
        notices.login_code(
            Notice(services, session, recipient, now, source.address, source.user_agent),
            code=code,
            purpose=purpose,
            application=application,
            until=now + LIFETIME,
        )

    return sent_codes.send(
        services,
        claimant,
        Method.EMAIL_CODE,
        interaction_id=interaction_id,
        purpose=purpose,
        deliver=deliver,
        source=source,
        now=now,
    )


def check(
    services: Services,
    claimant: Claimant,
    *,
    interaction_id: str,
    purpose: str,
    typed: str,
    source: Source,
    now: datetime,
) -> bool:
    """Whether this is the code, see `sent_codes.check`. Whoever typed it reads what is sent to the
    registered address, so the address is verified by it, whatever the code was for (ID-05)."""
    is_right = sent_codes.check(
        services,
        claimant,
        Method.EMAIL_CODE,
        interaction_id=interaction_id,
        purpose=purpose,
        typed=typed,
        source=source,
        now=now,
    )
    user = claimant.user
    if (
        is_right
        and user is not None
        and (user.email_verified_at is None or purpose == sent_codes.VERIFY)
    ):
        _verify(services, user, source, now)
    return is_right


def _verify(services: Services, user: Any, source: Source, now: datetime) -> None:
    with services.database.transaction() as session:
        # The stamp changes with the address: what was proven is what was there when it was read.
        verified = session.execute(
            update(User)
            .where(User.id == user.id, User.security_stamp == user.security_stamp)
            .values(email_verified_at=now, updated_at=now)
        )
        if verified.rowcount != 1:  # type: ignore[attr-defined]
            return
        users.is_done(session, user.id, Action.VERIFY_ADDRESS)
        audit.record(
            session,
            Event.ADDRESS_VERIFIED,
            at=now,
            actor=user.id,
            user_id=user.id,
            organization_id=user.organization_id,
            client_id=source.client_id,
            address=source.address,
            request_id=source.request_id,
        )
