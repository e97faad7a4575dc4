"""Policy: what an organisation asks of its people when they sign in. Pure.

Policy is data, never an expression: an organisation's members over the defaults, and of
installation, organisation and client the strictest wins. A waiver is kept apart from the rule it
waives, so that taking the waiver away brings the rule back.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from idp.errors import Refused


class Method(enum.StrEnum):
    """How somebody proves who they are, as records and policies name it: `amr` values of RFC
    8176 where there is one. What the ID token says of each is `assurance`'s."""

    PASSWORD = "pwd"
    EMAIL_CODE = "email"
    TOTP = "otp"
    SMS = "sms"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery"


class SecondFactor(enum.StrEnum):
    """When a second factor is asked for, the laxest first."""

    OFF = "off"
    NEW_BROWSER = "new_browser"
    ALWAYS = "always"


LOGIN_METHODS = (Method.PASSWORD, Method.EMAIL_CODE, Method.TOTP)
"""What may be somebody's login method. A passkey may stand beside each."""
FACTORS = (Method.PASSKEY, Method.TOTP, Method.SMS, Method.EMAIL_CODE)
"""What may be a second factor, the strongest first."""
PRIVILEGED_ROLES = frozenset({"helpdesk", "admin", "owner", "operator"})


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force for the members of one organisation."""

    login_methods: frozenset[str] = frozenset(LOGIN_METHODS)
    passkeys: bool = True
    """Whether a passkey may be used to sign in."""
    second_factor: SecondFactor = SecondFactor.OFF
    second_factor_after: frozenset[str] = frozenset({Method.PASSWORD})
    """The login methods after which a second factor is asked for."""
    factors: frozenset[str] = frozenset(FACTORS) - {Method.EMAIL_CODE}
    """What may be a second factor. A mailed code is the weakest and has to be allowed by name."""
    remember_days: int = 30
    """How long an unused browser stays remembered; 0: none is."""
    remember_privileged: bool = False
    """Whether the browsers of those with a role may be remembered."""
    verify_address: bool = False
    """Whether an address must be proven before an application is answered."""
    unlock_minutes: int = 60
    """How long the link of a lock mail works."""
    automatic_unlock: bool = True
    """Whether a lock ends by itself."""


DEFAULT = Policy()
_RANGES = {"remember_days": (0, 30), "unlock_minutes": (60, 14 * 24 * 60)}
_CHOICES: dict[str, tuple[str, ...]] = {
    "login_methods": LOGIN_METHODS,
    "second_factor_after": LOGIN_METHODS,
    "factors": FACTORS,
}


def check(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an organisation's policy as they are stored. Raises Refused by name."""
    known = {item.name: item for item in fields(Policy)}
    checked: dict[str, Any] = {}
    for name, value in members.items():
        if name not in known:
            raise Refused(f"{name[:40]!r} is no policy", member=name[:40])
        checked[name] = _checked(name, value)
    return checked


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if not isinstance(value, list) or not value or not set(value) <= set(_CHOICES[name]):
            raise Refused(f"{name} must list some of {', '.join(_CHOICES[name])}", member=name)
        return sorted(set(value))
    if name in _RANGES:
        low, high = _RANGES[name]
        if type(value) is not int or not low <= value <= high:
            raise Refused(f"{name} must be a number from {low} to {high}", member=name)
        return value
    if name == "second_factor":
        if value not in tuple(SecondFactor):
            raise Refused(f"{name} must be one of {', '.join(SecondFactor)}", member=name)
        return value
    if not isinstance(value, bool):
        raise Refused(f"{name} must be true or false", member=name)
    return value


def read(name: str, text: str) -> Any:
    """A member's value as an operator writes it; None for nothing, which is its default. What it
    may be is judged by `check`."""
    if not text:
        return None
    if name in _CHOICES:
        return [item.strip() for item in text.split(",")]
    if name in _RANGES:
        return int(text) if text.isascii() and text.isdecimal() else text
    return {"true": True, "false": False}.get(text, text)


@functools.lru_cache(maxsize=1024)
def of_organization(members: str, floor: SecondFactor = SecondFactor.OFF) -> Policy:
    """The policy of these stored members (a JSON object). `floor`: the installation's demand.
    Parsing is remembered for the same text, so a change is seen at once."""
    given = json.loads(members)
    values: dict[str, Any] = {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in given.items()
    }
    asked = SecondFactor(values.pop("second_factor", SecondFactor.OFF))
    return replace(DEFAULT, **values, second_factor=strictest((asked, floor)))


def strictest(demands: Iterable[SecondFactor | None]) -> SecondFactor:
    """Of what several parties demand, the most. None demands nothing."""
    order = tuple(SecondFactor)
    return max((d for d in demands if d is not None), key=order.index, default=SecondFactor.OFF)


def remembers(policy: Policy, role: str) -> bool:
    """Whether the browsers of somebody with this role may be remembered."""
    return policy.remember_days > 0 and (policy.remember_privileged or role not in PRIVILEGED_ROLES)
