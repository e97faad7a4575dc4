"""Assurance: what the proofs shown in a session are worth. Pure.

The table below is what a method means, the only place that says so: its `amr` values (RFC 8176;
`pop` of OpenID Connect EAP ACR Values 1.0, 3, is a key of which nobody knows whether hardware holds
it; `email` and `recovery` are ours), and what kinds of factor it shows. `mfa` is said, and the
second `acr` reached, only when two kinds were really shown; an e-mailed code shows none of them
(NIST SP 800-63B-4, 3.1.3.1), and neither does a waiver or a remembered browser: no proofs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idp.policy import Method

SINGLE = "urn:sekisho:acr:single"
MULTIPLE = "urn:sekisho:acr:multiple"
LEVELS = (SINGLE, MULTIPLE)
_KNOW, _HAVE = "something known", "something held"

AMR: Final[dict[str, tuple[str, ...]]] = {
    Method.PASSWORD: ("pwd",),
    Method.EMAIL_CODE: ("email",),
    Method.TOTP: ("otp",),
    Method.SMS: ("sms",),
    Method.PASSKEY: ("pop", "user"),
    Method.RECOVERY_CODE: ("recovery",),
}
KINDS: Final[dict[str, frozenset[str]]] = {
    Method.PASSWORD: frozenset({_KNOW}),
    Method.EMAIL_CODE: frozenset(),
    Method.TOTP: frozenset({_HAVE}),
    Method.SMS: frozenset({_HAVE}),
    # User verification is required, so both its key and a PIN or a body part were there.
    Method.PASSKEY: frozenset({_KNOW, _HAVE}),
    # A look-up secret (NIST SP 800-63B-4, 3.1.2) of 120 bits, used once.
    Method.RECOVERY_CODE: frozenset({_HAVE}),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One factor that was shown. `method` is a value of `policy.Method`."""

    method: str
    at: datetime


def acr(methods: Iterable[str]) -> str:
    """The level that these methods reach."""
    return MULTIPLE if _is_multiple(methods) else SINGLE


def amr(methods: Sequence[str]) -> list[str]:
    """`amr` of the ID token: the values of the methods in the order shown, each once."""
    values = [value for method in methods for value in AMR.get(method, (method,))]
    if _is_multiple(methods):
        values.append("mfa")
    return list(dict.fromkeys(values))


def _is_multiple(methods: Iterable[str]) -> bool:
    shown: set[str] = set()
    for method in methods:
        shown |= KINDS.get(method, frozenset())
    return len(shown) > 1


def has_second(methods: Sequence[str]) -> bool:
    """Whether a second factor was shown as policy asks for one: another method beside the first,
    or one that is several factors itself. This is not `mfa`: an e-mailed code will do here."""
    return len(set(methods)) > 1 or _is_multiple(methods)


def satisfies(reached: str, wanted: Sequence[str]) -> bool:
    """Whether a level reached answers a request for one of several.

    A list in which nothing is known to us asks for nothing (`acr_values` is a wish, OpenID
    Connect Core, 3.1.2.1), nor does an empty one.
    """
    return not wanted or any(level not in LEVELS for level in wanted) or meets(reached, wanted)


def meets(reached: str, demanded: Sequence[str]) -> bool:
    """Whether a level reached is at least one of those demanded. What we do not know is never
    reached."""
    known = [LEVELS.index(level) for level in demanded if level in LEVELS]
    return bool(known) and LEVELS.index(reached) >= min(known)
