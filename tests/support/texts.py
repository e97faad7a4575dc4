"""Text messages in the outbox, and people with phones."""

from __future__ import annotations

import re
from dataclasses import dataclass

from idp import outbox, sms
from idp.accounts import phones
from idp.outbox import OutboxRow
from tests.support.apps import row_of, somewhere
from tests.support.installation import Installation
from tests.support.world import Person

NUMBER = "+819012345678"


@dataclass(frozen=True, slots=True)
class TextMessage:
    to: str
    text: str

    @property
    def code(self) -> str:
        [code] = re.findall(r"\b[0-9A-Z]{6}\b", self.text.splitlines()[0])
        return str(code)


def texts(installation: Installation) -> list[TextMessage]:
    """All that were ever queued, the oldest first."""
    with installation.database() as session:
        rows = session.query(OutboxRow).filter(OutboxRow.kind == sms.KIND).all()
        opened = [outbox.open_payload(row, installation.services.sealer) for row in rows]
    opened.sort(key=lambda message: float(message["until"]))
    return [TextMessage(message["to"], message["text"]) for message in opened]


def give_phone(installation: Installation, person: Person, number: str = NUMBER) -> None:
    """Gives somebody a phone, as if they had proven it."""
    services, now = installation.services, installation.clock.now()
    user = row_of(installation, person)
    assert phones.add(services, user, number, source=somewhere(), now=now)
