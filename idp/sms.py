"""Text messages (SMS): what they say, and who sends them.

Owns the words and their length, and what the outbox keeps of one. Does not own numbers and how
many may be sent (`accounts.phones`), codes (`accounts.sent_codes`), nor trying again: the outbox.
Sources: 3GPP TS 23.038, 6.2.1 (the alphabet); WICG, Origin-bound one-time codes delivered via SMS.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from idp import i18n, outbox
from idp.clock import Clock
from idp.outbox import TooLate
from keys.sealing import Sealer

KIND = "sms"
SEPTETS, UNITS = 160, 70
"""What one message holds: of the alphabet of GSM, and of UTF-16 when there is anything else."""
NAME_UNITS = 20
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")
log = logging.getLogger(__name__)


class SmsSender(Protocol):
    def send(self, to: str, text: str) -> None:
        """`to`: E.164. Raises SekishoError, to be tried again."""


class Keeper:
    """Without a gateway the message stays in the outbox, where the demo shows it."""

    def send(self, to: str, text: str) -> None:
        """Nothing leaves the house."""


def code_text(language: str, organization: str, code: str, host: str | None) -> str:
    """One message with a code. The line that lets a phone fill it in on our pages alone comes
    last, where it still fits; `host` None: it could not help."""
    catalog = i18n.catalog(language)
    wording = catalog.gettext("%(org)s: your code is %(code)s (10 min). Never share it.")
    text = wording % {"org": _short(organization), "code": code}
    if host is None:
        return text
    bound = f"{text}\n@{host} #{code}"
    return bound if fits(bound) else text


def fits(text: str) -> bool:
    """Whether a text is one message."""
    if (_GSM | _GSM_TWICE).issuperset(text):
        return len(text) + sum(character in _GSM_TWICE for character in text) <= SEPTETS
    return _units(text) <= UNITS


def _short(name: str) -> str:
    """An organisation's name for a message: of a longer one the beginning."""
    if _units(name) <= NAME_UNITS:
        return name
    mark = "..." if name.isascii() else "…"  # Its own mark would cost a plain text its alphabet.
    while _units(name) > NAME_UNITS - len(mark):
        name = name[:-1]
    return name.rstrip() + mark


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def enqueue(
    session: Session, sealer: Sealer, *, to: str, text: str, now: datetime, until: datetime
) -> None:
    """Queues one message in the caller's transaction. After `until` it is of no use any more."""
    payload = {"to": to, "text": text, "until": until.timestamp()}
    outbox.enqueue(session, sealer, KIND, payload, now=now)


def delivery(sender: SmsSender, clock: Clock) -> Callable[[dict[str, Any]], None]:
    """Delivers what the outbox kept; raises TooLate for what nobody waits for any more."""

    def deliver(message: dict[str, Any]) -> None:
        if clock.now().timestamp() >= message["until"]:
            raise TooLate("the code in it is no longer valid")
        sender.send(message["to"], message["text"])

    return deliver
