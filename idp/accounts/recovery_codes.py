"""Recovery codes: one for each user, for the day on which the second factor is lost.

120 bits in Crockford's base32, so that a plain SHA-256 is stored (NIST SP 800-63B-4, 3.1.2.2:
look-up secrets of 112 bits and more). Used once, and replaced by a new one that the user must save
before an application is answered again (NIST SP 800-63B-4, 4.2.1.1).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, bindparam, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.accounts import attempts, credentials, users
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.identifiers import plain_code
from idp.accounts.users import Action, User
from idp.audit import Event
from idp.db import Base, Prepared, Timestamp
from idp.limits import account_bucket
from idp.policy import Method
from idp.services import Services

LENGTH = 24
GROUP = 4
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # https://www.crockford.com/base32.html
_LOOK_ALIKES = str.maketrans("ILO", "110")


class RecoveryCode(Base):
    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(Timestamp)


_MADE_AT = Prepared(
    select(RecoveryCode.created_at).where(RecoveryCode.user_id == bindparam("user_id"))
)


def propose(services: Services, user: Any, visit: str) -> str:
    """The code that this user is offered in this visit (the unguessable id of one).

    Computed and not stored, so that looking at the page writes nothing and looking again shows the
    same; once a credential was changed, by keeping this very code too, it is never shown again.
    """
    key = services.sealer.derive("proposed recovery codes")
    message = f"{visit}\0{user.id}\0{user.security_stamp}".encode()
    number = int.from_bytes(hmac.digest(key, message, "sha256"))
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(LENGTH))


def grouped(code: str) -> str:
    """The code as people read it: `ABCD-EFGH-…`."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def normalized(typed: str) -> str:
    """The code that somebody may have meant: any case and grouping, and letters for the digits
    they look like. Empty when it cannot be one."""
    code = plain_code(typed).upper().translate(_LOOK_ALIKES)
    return code if len(code) == LENGTH and set(code) <= set(_ALPHABET) else ""


def keep(services: Services, user: Any, code: str, *, source: Source, now: datetime) -> bool:
    """From now on this is the user's code. False when another change was faster.

    `user`: a row of `users.CREDENTIAL_COLUMNS`, as when the code was proposed.
    """
    with services.database.transaction() as session:
        if not credentials.begin_change(session, user, now=now):
            return False
        services.throttle.forget(session, account_bucket(Method.RECOVERY_CODE, user.id))
        session.merge(RecoveryCode(user_id=user.id, code_hash=_hash(code), created_at=now))
        users.is_done(session, user.id, Action.SAVE_RECOVERY_CODE)
        credentials.tell_recovery_code(
            services, session, user, Event.RECOVERY_CODE_MADE, source=source, now=now
        )
    return True


def made_at(services: Services, user_id: str) -> datetime | None:
    """When the user's code was made; None: there is none."""
    row = _MADE_AT.one(services.database.reader, user_id=user_id)
    return None if row is None else row.created_at


def demand(session: Session, user_id: str) -> None:
    """To be called when a factor was set up: who has no code yet is due one."""
    if session.get(RecoveryCode, user_id) is None:
        users.require(session, user_id, Action.SAVE_RECOVERY_CODE)


def use(
    services: Services, claimant: Claimant, typed: str, source: Source, *, now: datetime
) -> bool:
    """Whether this is the claimant's code, which is spent then: a new one is due. Raises
    TooManyAttempts."""
    code = normalized(typed)
    return attempts.check(
        services,
        claimant,
        Method.RECOVERY_CODE,
        source,
        lambda: claimant.is_able and _spend(services, claimant.user, code, source, now),
        now=now,
    )


def _spend(services: Services, user: Any, code: str, source: Source, now: datetime) -> bool:
    with services.database.transaction() as session:
        # In the order of all changes of a user, so that two of them cannot wait for each other.
        session.get_one(User, user.id, with_for_update=True)
        # A row that is gone is a code that is spent, whatever happens next: nothing that was never
        # shown to anybody takes its place, and the next visit asks the user to save a new one.
        spent = session.execute(
            delete(RecoveryCode).where(
                RecoveryCode.user_id == user.id, RecoveryCode.code_hash == _hash(code)
            )
        )
        if not spent.rowcount:  # type: ignore[attr-defined]
            return False
        users.require(session, user.id, Action.SAVE_RECOVERY_CODE)
        users.change_stamp(session, user.id, now=now)
        credentials.end_waivers(session, user.id)
        credentials.tell_recovery_code(
            services, session, user, Event.RECOVERY_CODE_USED, source=source, now=now
        )
    return True


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
