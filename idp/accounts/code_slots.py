"""Where the newest sent code lies: one entry in the StateStore for each account, method, purpose
and bucket (`attempts.bucket`).

So the newest code is the only one, and strangers cannot touch those of a browser that the person
has used before. An entry holds a keyed hash, for eight digits could be guessed from any other. It
is bound to the interaction, the purpose, where the code went, and the account's security stamp,
which changes with its address.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.accounts.claimants import Claimant
from idp.policy import Method
from idp.services import Services
from idp.state import Kind

LIFETIME = timedelta(minutes=10)
TRIES = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What the StateStore holds of the newest code. The code works while `digest` is there."""

    digest: str
    visit: str
    """Names the interaction, but opens nothing."""
    sent_at: datetime
    asked_at: datetime
    """When a code was last asked for, whether one was sent or not."""
    tries: int = 0

    def encode(self) -> bytes:
        times = [self.sent_at.timestamp(), self.asked_at.timestamp()]
        return json.dumps([self.digest, self.visit, *times, self.tries]).encode()

    def seconds_left(self, now: datetime) -> int:
        """How long it is kept: spent codes as well, for when the next may be sent."""
        return max(1, int((self.sent_at + LIFETIME - now).total_seconds()))


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the codes of one account, method and purpose are, for one visit."""

    services: Services
    claimant: Claimant
    method: Method
    purpose: str
    interaction_id: str
    bucket: str
    bound_to: str

    @property
    def key(self) -> str:
        return f"{self.purpose}:{self.bucket}"

    @property
    def visit(self) -> str:
        return self._digest("visit", self.interaction_id)[:32]

    def digest(self, code: str) -> str:
        user = self.claimant.user
        stamp = user.security_stamp if user is not None else ""
        return self._digest("code", self.interaction_id, self.key, stamp, self.bound_to, code)

    def _digest(self, *parts: str) -> str:
        message = json.dumps(parts).encode()
        return hmac.digest(self.services.sent_code_key, message, "sha256").hex()

    def read(self, now: datetime) -> tuple[Entry | None, bytes]:
        """The newest code, if it is not too old, and the bytes that it was read from."""
        stored = self.services.state.get(Kind.SENT_CODE, self.key)
        if stored is None:
            return None, b""
        digest, visit, sent_at, asked_at, tries = json.loads(stored)
        entry = Entry(
            digest,
            visit,
            datetime.fromtimestamp(sent_at, tz=now.tzinfo),
            datetime.fromtimestamp(asked_at, tz=now.tzinfo),
            tries,
        )
        return (entry if now < entry.sent_at + LIFETIME else None), stored

    def write(self, entry: Entry, stored: bytes, now: datetime) -> bool:
        """Replaces what was read; False when somebody else was faster."""
        state, ttl = self.services.state, entry.seconds_left(now)
        if not stored:
            return state.add(Kind.SENT_CODE, self.key, entry.encode(), ttl)
        return state.swap(Kind.SENT_CODE, self.key, stored, entry.encode(), ttl)

    def redeem(self, digest: str, now: datetime) -> bool:
        """Whether this is the code. A try is counted before it is compared, and the right one
        spends the code, each by one conditional write: of any number of threads five may compare
        and one succeeds."""
        counted = self._count_try(now)
        return (
            counted is not None
            and hmac.compare_digest(counted, digest)
            and self._spend(counted, now)
        )

    def _count_try(self, now: datetime) -> str | None:
        """What to compare with; None when there is nothing, or it was tried too often. What was
        sent in another visit is not counted: nobody can use up somebody else's tries."""
        while True:
            entry, stored = self.read(now)
            if entry is None or entry.visit != self.visit or not entry.digest:
                return None
            if entry.tries >= TRIES:
                return None
            if self.write(replace(entry, tries=entry.tries + 1), stored, now):
                return entry.digest

    def _spend(self, digest: str, now: datetime) -> bool:
        while True:
            entry, stored = self.read(now)
            if entry is None or entry.digest != digest:  # Spent or replaced meanwhile.
                return False
            if self.write(replace(entry, digest=""), stored, now):
                return True
