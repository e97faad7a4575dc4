"""Claims about a user, by scope and by name. Pure.

Source: OpenID Connect Core, 5.1, 5.4, 5.5. Protocol claims are put in later, over these, and can
never be shadowed: a user's attributes are limited when written and picked by name when read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from idp.errors import Refused

PROFILE_CLAIMS = {
    "given_name": str,
    "family_name": str,
    "middle_name": str,
    "nickname": str,
    "gender": str,
    "birthdate": str,
    "zoneinfo": str,
    "locale": str,
    "website": str,
    "phone_number": str,
    "address": dict,
}
_TAGGED = re.compile(r"(name|given_name|family_name)#ja-(Hani|Kana)-JP\Z")


def check_profile(profile: dict[str, Any]) -> dict[str, Any]:
    """Only standard claims of the right type; protocol claims can never be stored here (ID-02)."""
    for name, value in profile.items():
        expected: Any = str if _TAGGED.match(name) else PROFILE_CLAIMS.get(name)
        if expected is None:
            raise Refused(f"{name[:40]!r} is not a profile attribute", member=name[:40])
        texts: list[Any] = list(value.values()) if isinstance(value, dict) else [value]
        are_texts = all(isinstance(text, str) and len(text) <= 256 for text in texts)
        if not isinstance(value, expected) or not are_texts:
            raise Refused(f"{name!r} does not fit its type", member=name)
    return profile


# Columns of a row that has everything the claims are made of.
_FROM_ROW: dict[str, Callable[[Any], object]] = {
    "name": lambda row: row.name,
    "preferred_username": lambda row: row.login_id or row.email,
    "updated_at": lambda row: int(row.updated_at.timestamp()),
    "email": lambda row: row.email,
    "email_verified": lambda row: row.email_verified_at is not None,
    "org_id": lambda row: row.organization_id,
    "org_name": lambda row: row.organization_name,
    "roles": lambda row: [row.role],
    "phone_number_verified": lambda row: False if "phone_number" in (row.profile or {}) else None,
}
_BY_SCOPE: dict[str, tuple[str, ...]] = {
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
    "org": ("org_id", "org_name", "roles"),
}
_OUTSIDE_PROFILE = {name for names in _BY_SCOPE.values() for name in names}
_PROFILE_NAMES = tuple(
    name
    for name in (*PROFILE_CLAIMS, "name", "preferred_username", "updated_at")
    if name not in _OUTSIDE_PROFILE
)


def about(row: Any, scopes: Iterable[str], names: Iterable[str] = ()) -> dict[str, object]:
    """The claims of the granted scopes, and those asked for by name; never an empty one."""
    profile: dict[str, object] = row.profile or {}
    wanted: set[str] = set(names)
    for scope in scopes:
        if scope == "profile":
            wanted.update(_PROFILE_NAMES)
            wanted.update(name for name in profile if _TAGGED.match(name))
        else:
            wanted.update(_BY_SCOPE.get(scope, ()))
    found: dict[str, object] = {}
    for name in wanted:
        read = _FROM_ROW.get(name)
        value = read(row) if read else _of_profile(profile, name)
        if value is not None and value != "":
            found[name] = value
    return found


def _of_profile(profile: dict[str, object], name: str) -> object:
    """Only what may be stored there is read from there, whoever wrote it (ID-02)."""
    return profile.get(name) if name in PROFILE_CLAIMS or _TAGGED.match(name) else None
