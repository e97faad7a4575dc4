"""Codes that are sent (by e-mail, by SMS): made, sent seldom, redeemed once.

Owns how they look, when one may be sent, and checking one. Where the newest one lies is
`code_slots`; guesses over all of them are counted by `attempts`; what a message says and where it
goes is the caller's (`deliver`).

For an identifier that nobody has, everything here happens just the same; only what `deliver` wrote
is undone. Sources: NIST SP 800-63B-4, 3.1.3; OWASP ASVS 5.0, 6.5 and 6.6.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from idp import audit
from idp.accounts import attempts
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.code_slots import Entry, Slot
from idp.accounts.identifiers import plain_code
from idp.audit import Event
from idp.limits import Limit, source_buckets
from idp.policy import Method
from idp.services import Services

SIGN_IN = "sign_in"
"""The code is all that is asked for."""
SECOND = "second"
"""The code comes after another method."""
VERIFY = "verify"
"""The code proves an address or a number of somebody who is signed in."""

RESEND_AFTER = timedelta(seconds=30)
SENDS = (Limit(5, timedelta(hours=1)), Limit(15, timedelta(days=1)))
SOURCE_SENDS = 100
"""How many an hour may be asked for from one address; the network around it, four times more."""
_DIGITS = "0123456789"
# No vowels, which make words; of what looks alike (2/Z, 5/S, 8/B, U/V) one at most, and no 0 or 1.
_LETTERS = "346789CDFGHJKMNPQRTVWXY"


class Sent(NamedTuple):
    """What a page may say: the same for nobody and for somebody."""

    is_sent: bool
    """False: it is too soon, or too many were sent. The page's text does not change (EN-09)."""
    resend_at: datetime
    """From when on another may be asked for."""


def send(
    services: Services,
    claimant: Claimant,
    method: Method,
    *,
    interaction_id: str,
    purpose: str,
    deliver: Callable[[Session, str], None],
    source: Source,
    now: datetime,
    bound_to: str = "",
) -> Sent:
    """Makes a code and hands it to `deliver`, in a transaction, unless one was sent just now in
    this visit or too many were sent to this account. Of several callers at once one sends.

    `deliver(session, code)` queues the message. It is called for somebody who may not sign in and
    for nobody as well, and what it wrote is undone: asking takes the same work for everybody.
    `bound_to`: where it goes, if that is not (yet) the account's; `check` must be given the same.
    """
    slot = _slot(services, claimant, method, purpose, interaction_id, source, bound_to)
    entry, stored = slot.read(now)
    if entry is not None and entry.visit == slot.visit and now < entry.asked_at + RESEND_AFTER:
        return Sent(False, entry.asked_at + RESEND_AFTER)
    refused = Sent(False, now + RESEND_AFTER)
    if not _may_be_asked_from(services, source, slot, now):
        return refused
    reservation = services.throttle.reserve_window(
        f"send:{slot.bucket}", now, SENDS, consecutive=False
    )
    if not reservation.is_evaluated:
        if entry is not None and entry.visit == slot.visit:
            slot.write(replace(entry, asked_at=now), stored, now)
        return refused
    code = make(method, purpose)
    if not slot.write(Entry(slot.digest(code), slot.visit, now, now), stored, now):
        services.throttle.give_back(reservation, SENDS)
        return refused
    _deliver(slot, code, deliver, source, now)
    return Sent(True, now + RESEND_AFTER)


def resend_at(
    services: Services,
    claimant: Claimant,
    method: Method,
    *,
    interaction_id: str,
    purpose: str,
    source: Source,
    now: datetime,
) -> datetime | None:
    """From when on another code may be asked for in this visit (that may be over); None when no
    code was sent in it, or only one that is too old. Changes nothing."""
    slot = _slot(services, claimant, method, purpose, interaction_id, source)
    entry, _ = slot.read(now)
    if entry is None or entry.visit != slot.visit:
        return None
    return entry.asked_at + RESEND_AFTER


def check(
    services: Services,
    claimant: Claimant,
    method: Method,
    *,
    interaction_id: str,
    purpose: str,
    typed: str,
    source: Source,
    now: datetime,
    bound_to: str = "",
) -> bool:
    """Whether `typed` is the newest code, sent in this visit for this purpose. True once.

    Raises TooManyAttempts for a source that fails too often.
    """
    slot = _slot(services, claimant, method, purpose, interaction_id, source, bound_to)
    digest = slot.digest(normal(typed))
    return attempts.check(
        services, claimant, method, source, lambda: slot.redeem(digest, now), now=now
    )


def normal(typed: str) -> str:
    """What was typed as the code was made: plain, in large letters, without separators."""
    return plain_code(typed).upper()


def make(method: Method, purpose: str) -> str:
    """A new code: 8 digits by e-mail when it is all that is asked for, else 6 (ASVS 6.5.4); six
    characters by SMS."""
    if method == Method.SMS:
        return "".join(secrets.choice(_LETTERS) for _ in range(6))
    return "".join(secrets.choice(_DIGITS) for _ in range(length(method, purpose)))


def length(method: Method, purpose: str) -> int:
    """How many characters such a code has."""
    return 8 if method == Method.EMAIL_CODE and purpose == SIGN_IN else 6


def _slot(
    services: Services,
    claimant: Claimant,
    method: Method,
    purpose: str,
    interaction_id: str,
    source: Source,
    bound_to: str = "",
) -> Slot:
    bucket = attempts.bucket(services, claimant, method, source)
    return Slot(services, claimant, method, purpose, interaction_id, bucket, bound_to)


def _may_be_asked_from(services: Services, source: Source, slot: Slot, now: datetime) -> bool:
    """Whether this source did not ask for too many codes of too many people (EN-09). A browser
    that the person has used before may always ask."""
    if attempts.known_browser(services, slot.claimant, source) is not None:
        return True
    return all(
        services.throttle.reserve_window(
            f"send:{name}",
            now,
            (Limit(SOURCE_SENDS * factor, timedelta(hours=1)),),
            consecutive=False,
        ).is_evaluated
        for name, factor in source_buckets(source.address)
    )


def _deliver(
    slot: Slot, code: str, deliver: Callable[[Session, str], None], source: Source, now: datetime
) -> None:
    user = slot.claimant.user
    with slot.services.database.transaction() as session:
        message = session.begin_nested()
        deliver(session, code)
        if slot.claimant.is_able:
            message.commit()
        else:
            message.rollback()
        audit.record(
            session,
            Event.CODE_SENT,
            at=now,
            actor=user.id if user and slot.purpose != SIGN_IN else "anonymous",
            user_id=user.id if user else None,
            organization_id=user.organization_id if user else None,
            client_id=source.client_id,
            address=source.address,
            request_id=source.request_id,
            method=slot.method,
            purpose=slot.purpose,
            delivered=int(slot.claimant.is_able),
        )
