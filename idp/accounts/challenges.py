"""Challenges: what a passkey signs, so that an answer is to this question alone.

Computed and nowhere stored: 32 bytes of issue time and keyed hash, bound to a purpose and to a
name of the moment. Single use is the caller's: the name must change with every answer.
"""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from datetime import datetime

from idp.services import Services

LIFE_SECONDS = 300
CLOCKS_DIFFER = 30
"""Seconds by which the clocks of several machines may differ."""


class Purpose(enum.StrEnum):
    REGISTER = "register"
    AUTHENTICATE = "authenticate"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a challenge is for."""

    purpose: Purpose
    bound_to: str
    """What changes with every answer."""

    def issue(self, services: Services, now: datetime) -> bytes:
        issued = int(now.timestamp()).to_bytes(8, "big")
        return issued + self._code(services, issued)

    def matches(self, services: Services, given: bytes, now: datetime) -> bool:
        """Whether `given` was issued for this, less than five minutes ago."""
        issued, code = given[:8], given[8:]
        age = int(now.timestamp()) - int.from_bytes(issued, "big")
        return -CLOCKS_DIFFER <= age < LIFE_SECONDS and hmac.compare_digest(
            code, self._code(services, issued)
        )

    def _code(self, services: Services, issued: bytes) -> bytes:
        key = services.sealer.derive("passkey challenges")
        message = issued + f"{self.purpose}\0{self.bound_to}".encode()
        return hmac.digest(key, message, "sha256")[:24]
