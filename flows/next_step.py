"""Which page comes next. Pure: an interaction and facts in, a step out.

The order is that of the product: choose the account, say who you are, prove it, agree. What is
already satisfied is never asked, what is missing can never be skipped: the decision looks at what
has been shown, not at the way that the person came.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from idp.assurance import Proof
from idp.oidc.requirements import Need


class Step(enum.Enum):
    """The value of a page is its path segment."""

    CHOOSE_ACCOUNT = "account"
    IDENTIFY = "identify"
    PASSWORD = "password"
    CONSENT = "consent"
    OPEN_SESSION = "open_session"
    """No page: the proofs suffice, the session is opened."""
    DONE = "done"
    """No page: the relying party can be answered."""
    REFUSED = "refused"
    """No page: the relying party gets `Next.error`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision may know, besides the interaction itself."""

    needs: Sequence[Need]
    """What is missing, judged for the interaction's session."""
    has_accounts: bool
    """Whether somebody is signed in on this browser."""


@dataclass(frozen=True, slots=True)
class Next:
    step: Step
    error: str = ""


def next_step(
    *,
    identifier: str,
    opened: bool,
    proofs: Sequence[Proof],
    consent: str | None,
    facts: Facts,
) -> Next:
    """The next step of an interaction with these members (see `idp.interaction`)."""
    needs = facts.needs
    if (
        Need.ACCOUNT in needs
        and facts.has_accounts
        and not (proofs and Need.LOGIN in needs)  # Signing in names an account as well.
    ):
        return Next(Step.CHOOSE_ACCOUNT)
    if Need.LOGIN in needs or Need.ACCOUNT in needs:
        return _login(identifier, opened, proofs)
    if Need.ELIGIBILITY in needs:
        return Next(Step.REFUSED, "access_denied")
    if Need.ASSURANCE in needs:
        return Next(Step.REFUSED, "unmet_authentication_requirements")
    if consent == "deny":
        return Next(Step.REFUSED, "access_denied")
    if Need.CONSENT in needs:
        return Next(Step.CONSENT)
    return Next(Step.DONE)


def _login(identifier: str, opened: bool, proofs: Sequence[Proof]) -> Next:
    if opened:
        # Signed in just now, and still not whom the application asked for.
        return Next(Step.REFUSED, "login_required")
    if not identifier:
        return Next(Step.IDENTIFY)
    if not proofs:
        return Next(Step.PASSWORD)
    return Next(Step.OPEN_SESSION)
