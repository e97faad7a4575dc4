"""An authenticator app on somebody's phone, and the recovery code they wrote down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp

from idp.accounts import recovery_codes, totp, users
from idp.accounts.attempts import Source
from tests.support.installation import Installation
from tests.support.world import Person


@dataclass(frozen=True, slots=True)
class App:
    """Shows codes at the installation's time."""

    installation: Installation
    secret: str
    recovery_code: str = field(default="", repr=False)

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many steps later."""
        at = self.installation.clock.now() + timedelta(seconds=30 * steps)
        return pyotp.TOTP(self.secret).at(at)


def row_of(installation: Installation, person: Person) -> Any:
    """The person as `users.CREDENTIAL_COLUMNS`."""
    row = users.CREDENTIALS.one(installation.services.database.reader, key=person.email)
    assert row is not None
    return row


def somewhere(number: int = 1) -> Source:
    """A source that nobody else comes from."""
    return Source(f"198.51.{number // 200}.{number % 200}", None, "a browser", "request", "c1")


def set_up(installation: Installation, person: Person, name: str = "My phone") -> App:
    """Sets up an app and a recovery code; the code that the app shows now is still unused."""
    services, now = installation.services, installation.clock.now()
    user = row_of(installation, person)
    proposal = totp.propose(services, user, f"a visit for {name}")
    code = App(installation, proposal.secret).code(-1)
    assert totp.add(services, user, proposal, code, name=name, source=somewhere(), now=now)
    user = row_of(installation, person)
    recovery = recovery_codes.propose(services, user, "a visit")
    assert recovery_codes.keep(services, user, recovery, source=somewhere(), now=now)
    return App(installation, proposal.secret, recovery)
