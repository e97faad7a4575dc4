"""Assurance: what the proofs shown in a session are worth. Pure.

`amr` values follow RFC 8176. Our `acr` values, weakest first, are below; a waiver, a remembered
browser or an e-mailed code never makes the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

SINGLE = "urn:sekisho:acr:single"
MULTIPLE = "urn:sekisho:acr:multiple"
LEVELS = (SINGLE, MULTIPLE)


@dataclass(frozen=True, slots=True)
class Proof:
    """One factor that was shown. `method` is an `amr` value (RFC 8176)."""

    method: str
    at: datetime


def acr(methods: Iterable[str]) -> str:
    """The level that these methods reach."""
    return MULTIPLE if "mfa" in amr(methods) else SINGLE


def amr(methods: Iterable[str]) -> list[str]:
    """`amr` of the ID token: the methods in the order shown, each once."""
    return list(dict.fromkeys(methods))


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
