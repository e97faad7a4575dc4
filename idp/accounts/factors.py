"""Which second factors somebody has: one statement over the tables of all kinds.

Does not own any kind: each has a module of its own (`passkeys`, `totp`, `phones`, `email_codes`).
"""

from __future__ import annotations

from typing import Any

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


def held(services: Services, claimant: Claimant) -> tuple[str, ...]:
    """The second factors this user can show now and policy allows, the strongest first.

    A code can be mailed to whoever has a verified address, so nobody enrols for that; a login
    method is not its own second factor.
    """
    user, policy = claimant.user, claimant.policy
    if user is None:
        return ()
    (row,) = _HELD.all(services.database.reader, user_id=user.id)
    has = {method: bool(getattr(row, method)) for method in FACTORS if method in row._fields}
    has[Method.EMAIL_CODE] = user.email_verified_at is not None
    return tuple(
        method
        for method in FACTORS
        if has[method] and method in policy.factors and method != claimant.login_method
    )


def has_recovery_code(services: Services, user_id: str) -> bool:
    (row,) = _HELD.all(services.database.reader, user_id=user_id)
    return bool(row.recovery)
