"""Which second factors somebody has: one statement over the tables of all kinds.

Does not own any kind: each has a module of its own (`passkeys`, `totp`, `phones`, `email_codes`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, exists, literal, select

from idp.accounts.claimants import Claimant
from idp.accounts.passkeys import Passkey
from idp.accounts.phones import Phone
from idp.accounts.recovery_codes import RecoveryCode
from idp.accounts.totp import Authenticator
from idp.db import Prepared
from idp.policy import FACTORS, Method
from idp.services import Services


def _has(table: Any) -> Any:
    return exists().where(table.user_id == bindparam("user_id"))


_HELD = Prepared(
    select(
        literal(1).label("one"),
        _has(Passkey).label(Method.PASSKEY),
        _has(Authenticator).label(Method.TOTP),
        _has(Phone).label(Method.SMS),
        _has(RecoveryCode).label(Method.RECOVERY_CODE),
    )
)


class Factors(NamedTuple):
    """What somebody can show, each the strongest first."""

    held: tuple[str, ...] = ()
    """What policy accepts as a second factor."""
    owned: tuple[str, ...] = ()
    """All that was set up, whatever policy accepts: it guards the account all the same."""
    has_recovery_code: bool = False


def of(services: Services, claimant: Claimant) -> Factors:
    """A code can be mailed to whoever has a verified address, so nobody enrols for that; a login
    method is not its own second factor."""
    user, policy = claimant.user, claimant.policy
    if user is None:
        return Factors()
    (row,) = _HELD.all(services.database.reader, user_id=user.id)
    owned = tuple(
        method
        for method in FACTORS
        if getattr(row, method, False) and method != claimant.login_method
    )
    is_mailable = user.email_verified_at is not None and claimant.login_method != Method.EMAIL_CODE
    usable = (*owned, *([Method.EMAIL_CODE] if is_mailable else []))
    return Factors(
        held=tuple(m for m in FACTORS if m in usable and m in policy.factors),
        owned=owned,
        has_recovery_code=bool(row.recovery),
    )
