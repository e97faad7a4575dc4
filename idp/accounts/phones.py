"""Phones to which codes are sent, one for each user: sending seldom, setting one up.

A code goes to the number that is stored, or that this very user is setting up, and to no other
(BF-13). Text messages cost money, and there are people who live on having them sent: caps for each
user, number, block of numbers, source, organisation and the whole installation (BF-14). When one
is reached nothing is sent; that opens no other way in.
Sources: NIST SP 800-63B-4, 3.1.3.3 and 3.2.9 (SMS is a restricted authenticator); ASVS 5.0, 2.4.1.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import ForeignKey, String, bindparam, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import notices, sms
from idp.accounts import attempts, credentials, recovery_codes, sent_codes
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.code_slots import LIFETIME
from idp.accounts.phone_numbers import masked, prefix
from idp.db import Base, Prepared, Timestamp
from idp.errors import NotFound
from idp.limits import Limit, account_bucket, source_buckets
from idp.policy import Method
from idp.services import Services

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
PER_USER = (Limit(20, _DAY),)
PER_NUMBER = (Limit(5, _HOUR), Limit(15, _DAY))
PER_SOURCE = (Limit(30, _HOUR), Limit(100, _DAY))
PER_PREFIX = (Limit(60, _DAY),)
ID = "phone"
"""Names the one phone of a user among the other factors."""
log = logging.getLogger(__name__)


class Phone(Base):
    __tablename__ = "phones"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[str] = mapped_column(String(16))  # E.164
    verified_at: Mapped[datetime] = mapped_column(Timestamp)
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)


_LISTED = Prepared(
    select(Phone.number, Phone.verified_at, Phone.last_used_at).where(
        Phone.user_id == bindparam("user_id")
    )
)
_NUMBER = Prepared(select(Phone.number).where(Phone.user_id == bindparam("user_id")))


class Texted(NamedTuple):
    """What a page may say after a code was asked for."""

    is_sent: bool
    is_available: bool
    """False: no text message can be sent now. One that was sent before may still be used."""
    resend_at: datetime | None
    """From when on another may be asked for; None when none was sent in this visit."""


def number_of(services: Services, user_id: str) -> str | None:
    """The number that this user has proven."""
    row = _NUMBER.one(services.database.reader, user_id=user_id)
    return None if row is None else str(row.number)


# Codes -------------------------------------------------------------------------------------------


def send(
    services: Services,
    claimant: Claimant,
    number: str,
    *,
    interaction_id: str,
    purpose: str,
    source: Source,
    now: datetime,
) -> Texted:
    """Sends a code to a number of the claimant's, unless it is too soon or a cap is reached."""
    resend_at = partial(
        sent_codes.resend_at,
        services,
        claimant,
        Method.SMS,
        interaction_id=interaction_id,
        purpose=purpose,
        source=source,
        now=now,
    )
    before = resend_at()
    if before is not None and now < before:
        return Texted(False, True, before)
    if not _reserve(services, claimant, number, purpose, source, now):
        return Texted(False, False, before)
    sent = sent_codes.send(
        services,
        claimant,
        Method.SMS,
        interaction_id=interaction_id,
        purpose=purpose,
        deliver=partial(_queue, services, claimant.user, number, now),
        source=source,
        now=now,
        bound_to=number,
    )
    after = resend_at()
    # Another tab may have sent one in this very moment.
    return Texted(sent.is_sent, sent.is_sent or (before is None and after is not None), after)


def check(
    services: Services,
    claimant: Claimant,
    number: str,
    *,
    interaction_id: str,
    purpose: str,
    typed: str,
    source: Source,
    now: datetime,
) -> bool:
    """Whether this is the newest code that went to this number, see `sent_codes.check`."""
    return sent_codes.check(
        services,
        claimant,
        Method.SMS,
        interaction_id=interaction_id,
        purpose=purpose,
        typed=typed,
        source=source,
        now=now,
        bound_to=number,
    )


def is_used(services: Services, user_id: str, now: datetime) -> None:
    """Remembers that a code came back from this user's phone."""
    with services.database.transaction() as session:
        session.execute(update(Phone).where(Phone.user_id == user_id).values(last_used_at=now))


def _queue(
    services: Services, user: Any, number: str, now: datetime, session: Session, code: str
) -> None:
    settings = services.settings
    # Only pages over TLS can be filled in by a phone.
    host = urlsplit(settings.base_url).hostname if settings.is_https else None
    text = sms.code_text(notices.language_of(services, user), user.organization_name, code, host)
    sms.enqueue(session, services.sealer, to=number, text=text, now=now, until=now + LIFETIME)


# Caps --------------------------------------------------------------------------------------------


def _reserve(
    services: Services, claimant: Claimant, number: str, purpose: str, source: Source, now: datetime
) -> bool:
    """Whether one more message may be sent. The narrow caps come first: who has reached one uses
    up nothing of what others share."""
    if not services.settings.offers_sms:
        return False
    for name, bucket, limits in _caps(services, claimant, number, purpose, source):
        reserved = services.throttle.reserve_window(f"sms:{bucket}", now, limits, consecutive=False)
        if not reserved.is_evaluated:
            # Operators hear of it: a shared one is reached by fraud, or is too low.
            is_shared = name in ("organization", "installation")
            log.log(
                logging.ERROR if is_shared else logging.WARNING,
                "text messages are capped",
                extra={"cap": name, "user_id": claimant.account},
            )
            return False
    return True


def _caps(
    services: Services, claimant: Claimant, number: str, purpose: str, source: Source
) -> Iterator[tuple[str, str, tuple[Limit, ...]]]:
    device = attempts.known_browser(services, claimant, source)
    yield "user", account_bucket("user", claimant.account, device), PER_USER
    # Apart by purpose: who sets up a number that is not theirs keeps its owner from nothing.
    yield "number", f"number:{purpose}:{_hidden(services, number)}", PER_NUMBER
    if device is None:
        for name, factor in source_buckets(source.address):
            limits = tuple(Limit(limit.count * factor, limit.window) for limit in PER_SOURCE)
            yield "source", name, limits
    yield "prefix", f"prefix:{purpose}:{_hidden(services, prefix(number))}", PER_PREFIX
    a_day = services.settings.sms_per_day
    # However large it is, one organisation leaves some to the others.
    share = (Limit(max(1, a_day // 2), _DAY),)
    organization_id = claimant.user.organization_id if claimant.user else ""
    yield "organization", f"organization:{organization_id}", share
    yield "installation", "installation", (Limit(a_day, _DAY),)


def _hidden(services: Services, number: str) -> str:
    """Names a number in the counters without being one."""
    return hmac.digest(services.ghost_key, f"phone {number}".encode(), "sha256").hex()[:32]


# Setting one up ----------------------------------------------------------------------------------


def add(services: Services, user: Any, number: str, *, source: Source, now: datetime) -> bool:
    """This number, which the user has just proven, is theirs from now on, in place of any other.
    False when another change was faster. `user`: a row of `users.CREDENTIAL_COLUMNS`."""
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        session.merge(Phone(user_id=user.id, number=number, verified_at=now, last_used_at=now))
        recovery_codes.demand(session, user.id)
        credentials.tell_added(
            services,
            session,
            user,
            method=Method.SMS,
            name=masked(number),
            source=source,
            now=now,
        )
    return True


# Keeping it --------------------------------------------------------------------------------------


class Listed(NamedTuple):
    """The phone as its owner sees it."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None


def listed(services: Services, user_id: str) -> list[Listed]:
    """The user's phone, if there is one."""
    rows = _LISTED.all(services.database.reader, user_id=user_id)
    return [Listed(ID, masked(row.number), row.verified_at, row.last_used_at) for row in rows]


def remove(services: Services, user: Any, phone_id: str, *, source: Source, now: datetime) -> bool:
    """Takes the phone from its owner, who is told. False when another change was faster. Raises
    NotFound when there is none."""
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        phone = session.get(Phone, user.id)
        if phone is None or phone_id != ID:
            raise NotFound("no such phone")
        name = masked(phone.number)
        session.execute(delete(Phone).where(Phone.user_id == user.id))
        credentials.tell_removed(
            services, session, user, method=Method.SMS, name=name, source=source, now=now
        )
    return True
