"""The passkey page. As a first factor the key says who somebody is; as a second one it must be a
key of the person whom the visit is about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Response, request

from flows.login import challenges
from flows.login.visit import Question, Visit, proven, question
from flows.next_step import Step
from idp import web
from idp.accounts import ceremonies
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.oidc import respond
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyPage(Question):
    options: dict[str, Any]
    """For the browser: `ceremonies.authentication_options`."""
    is_second: bool
    identify_url: str | None
    """Where somebody goes who has no passkey; None where the question says so."""


def show(visit: Visit, *, error: str | None = None) -> Response:
    if not _is_asked(visit):
        return respond.redirect(visit.url(visit.next.step))
    is_named = visit.known.claimant is not None
    return web.render(
        "login/passkey.html",
        PasskeyPage(
            **asdict(question(visit, Step.PASSKEY, error)),
            options=options(visit),
            is_second=visit.is_second,
            identify_url=None if is_named else visit.url(Step.IDENTIFY),
        ),
        brand=visit.organization,
    )


def options(visit: Visit) -> dict[str, Any]:
    """What a browser needs to ask for a passkey in this visit."""
    return ceremonies.authentication_options(
        web.services(),
        challenges.challenge(visit.interaction, Step.PASSKEY),
        visit.now,
        user_id=visit.claimant.account if visit.is_second else None,
    )


def take(visit: Visit) -> Interaction | Response:
    if not _is_asked(visit):
        return visit.interaction
    asked = challenges.challenge(visit.interaction, Step.PASSKEY)
    interaction = challenges.use_up(visit.interaction, Step.PASSKEY)
    if interaction is None:
        return respond.redirect(f"/login/{visit.interaction.id}")
    is_second = visit.is_second
    owner = ceremonies.authenticate(
        web.services(),
        request.form.get("credential", ""),
        asked,
        visit.source,
        claimant=visit.claimant if is_second else None,
        now=visit.now,
    )
    visit = replace(visit, interaction=interaction)
    if owner is None or owner.user is None:
        return show(visit, error=gettext("That didn't work. Try again, or sign in another way."))
    if not is_second:
        named = replace(interaction, identifier=owner.user.email)
        visit = replace(visit, interaction=named)
    return proven(visit, owner.account, Proof(Method.PASSKEY, visit.now))


def _is_asked(visit: Visit) -> bool:
    """Whether a passkey would do here: for a sign-in the key's owner decides, else the policy."""
    return not visit.is_second or Method.PASSKEY in visit.next.options
