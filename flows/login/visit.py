"""What a page is given, and what all pages share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flows.next_step import Next, Step
from idp import interaction as interactions
from idp import web
from idp.interaction import Interaction
from idp.oidc.authorize import Asked


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the sign-in pages: the interaction and everything that decides about it."""

    interaction: Interaction
    asked: Asked
    next: Next
    now: datetime

    @property
    def csrf(self) -> str:
        return web.csrf_token(self.interaction.id)

    def url(self, step: Step) -> str:
        return f"/login/{self.interaction.id}/{step.value}"


def save(interaction: Interaction) -> Interaction:
    """Writes the interaction. When another tab was faster, that tab's record is what counts, and
    the caller's `forward` judges it."""
    services = web.services()
    saved = interactions.save(services.state, interaction)
    if saved is not None:
        return saved
    current = interactions.load(
        services.state, interaction.id, browser=interaction.browser, now=services.clock.now()
    )
    return current if current is not None else interaction
