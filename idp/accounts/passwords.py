"""Passwords: hashing, verifying, and the bounded gate around both.

Source: NIST SP 800-63B-4, 3.1.1.2 (NFC, no truncation, keyed step); RFC 9106 (Argon2id).
Stored form: `<pepper id>$argon2id$…`. The pepper is derived from the master key, outside the
database, so a stolen database alone cannot be guessed at.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from idp import memory
from idp.errors import Refused, Unavailable
from idp.settings import Settings

MAXIMUM_BYTES = 1024
MAXIMUM_CHARACTERS = 128
MINIMUM_CHARACTERS = 8
QUEUE_SECONDS = 2.0


class Gate:
    """At most `slots` hashes at once and a short queue: a flood of sign-ins costs neither the
    memory nor the processor that everybody else needs (DS-01)."""

    def __init__(self, slots: int, *, queue: int) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._waiting = threading.BoundedSemaphore(slots + queue)
        self._trim = memory.Trim()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Raises Unavailable when the queue is full, or after two seconds in it."""
        if not self._waiting.acquire(blocking=False):
            raise Unavailable("password hashing", retry_after=2)
        try:
            if not self._slots.acquire(timeout=QUEUE_SECONDS):
                raise Unavailable("password hashing", retry_after=2)
            try:
                yield
            finally:
                self._slots.release()
                self._trim.later()
        finally:
            self._waiting.release()


class Passwords:
    """Argon2id with the installation's parameters and pepper."""

    def __init__(self, settings: Settings, pepper: bytes, pepper_id: str) -> None:
        self._pepper = pepper
        self._pepper_id = pepper_id
        self._argon2 = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=1,
        )
        # The queue stays below the number of threads: some must be free for everything else.
        slots = settings.hash_slot_count
        self.gate = Gate(slots, queue=max(1, settings.threads - slots - 1))
        # Nobody's: salt and digest are random. Verifying against it costs what any other costs.
        salt, digest = _unpadded(secrets.token_bytes(16)), _unpadded(secrets.token_bytes(32))
        self._dummy = (
            f"{pepper_id}$argon2id$v=19$m={settings.argon2_memory_kib},t={settings.argon2_passes},"
            f"p=1${salt}${digest}"
        )
        self.computed = 0
        """How many hashes were computed: tests count them instead of measuring time."""

    def hash(self, password: str) -> str:
        with self.gate.enter():
            self.computed += 1
            return f"{self._pepper_id}{self._argon2.hash(self._keyed(password))}"

    def compare(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one behind `stored`. Computes exactly one hash also for None
        and for input that cannot be anybody's, so that time tells nothing.

        To be called inside of `gate`, together with the reservation of the attempt: who is turned
        away there has tried nothing.
        """
        pepper_id, _, encoded = (stored or self._dummy).partition("$")
        usable = stored is not None and pepper_id == self._pepper_id
        self.computed += 1
        try:
            matches = self._argon2.verify("$" + encoded, self._keyed(password))
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return bool(matches) and usable

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's."""
        return self._argon2.check_needs_rehash("$" + stored.partition("$")[2])

    def _keyed(self, password: str) -> bytes:
        normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
        return hmac.digest(self._pepper, normal, hashlib.sha256)


def _unpadded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


class Rule(enum.Enum):
    """What a password that is to be set may break. The value is the refusal, for operators."""

    TOO_SHORT = f"a password needs at least {MINIMUM_CHARACTERS} characters"
    TOO_LONG = f"a password has at most {MAXIMUM_CHARACTERS} characters"
    TOO_SIMPLE = "a password needs more different characters"
    SAME = "the new password must differ from the old one"


class Unacceptable(Refused):
    """A password that may not be set."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.value, member="password")
        self.rule = rule


def check_acceptable(password: str) -> None:
    """Whether a password may be set; Unacceptable with the rule it breaks. Judged when it is set,
    never when it is used."""
    normal = unicodedata.normalize("NFC", password)
    if len(normal) < MINIMUM_CHARACTERS:
        raise Unacceptable(Rule.TOO_SHORT)
    if (
        len(normal) > MAXIMUM_CHARACTERS
        or len(normal.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES
    ):
        raise Unacceptable(Rule.TOO_LONG)
    if len(set(normal)) < 4:
        raise Unacceptable(Rule.TOO_SIMPLE)
