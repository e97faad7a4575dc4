"""Challenges of a visit: each is good for one answer, right or wrong (BF-19).

A challenge is bound to the visit, to the page and to how often that page was answered. The count
lies in the interaction's notes, and counting on is a compare-and-swap: of parallel answers one is
judged. So showing a page writes nothing, and every page that is shown has its whole five minutes.
"""

from __future__ import annotations

from flows.next_step import Step
from idp import interaction as interactions
from idp import web
from idp.accounts.challenges import Challenge, Purpose
from idp.interaction import Interaction

_PURPOSES = {
    Step.PASSKEY: Purpose.AUTHENTICATE,
    Step.ENROL_PASSKEY: Purpose.REGISTER,
}


def challenge(interaction: Interaction, page: Step) -> Challenge:
    """What this page asks now."""
    return Challenge(_PURPOSES[page], f"{interaction.id}:{_count(interaction, page)}")


def use_up(interaction: Interaction, page: Step) -> Interaction | None:
    """The interaction in which what was asked so far is asked no more; None when something else
    happened in the visit meanwhile, so that nothing may be judged by what was read of it."""
    answered = str(_count(interaction, page) + 1)
    return interactions.save(
        web.services().state, interactions.noted(interaction, page.value, answered)
    )


def _count(interaction: Interaction, page: Step) -> int:
    return int(interaction.notes.get(page.value, "0"))
