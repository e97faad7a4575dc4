"""Setting up a passkey on the way in, where a second factor is due and there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Response, request

from flows.login import challenges
from flows.login.visit import Question, Visit, proven, question, save
from flows.next_step import Step
from idp import notices, web
from idp.accounts import ceremonies, passkeys
from idp.assurance import Proof
from idp.errors import Refused
from idp.interaction import Interaction
from idp.oidc import respond
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolPasskeyPage(Question):
    options: dict[str, Any]
    """For the browser: `ceremonies.registration_options`."""
    name: str
    """What the key is called unless the person finds a better name."""
    name_length: int
    may_choose: bool
    """Whether another kind of factor would do."""


def show(visit: Visit, *, error: str | None = None, name: str = "") -> Response:
    return web.render(
        "login/enrol_passkey.html",
        EnrolPasskeyPage(
            **asdict(question(visit, Step.ENROL_PASSKEY, error)),
            options=ceremonies.registration_options(
                web.services(),
                visit.user,
                challenges.challenge(visit.interaction, Step.ENROL_PASSKEY),
                visit.now,
            ),
            name=name or _default_name(visit),
            name_length=passkeys.NAME_LENGTH,
            may_choose=len(visit.next.options) > 1,
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    if "choose" in request.form:
        return save(replace(visit.interaction, wanted=""))
    services = web.services()
    asked = challenges.challenge(visit.interaction, Step.ENROL_PASSKEY)
    interaction = challenges.use_up(visit.interaction, Step.ENROL_PASSKEY)
    if interaction is None:
        return respond.redirect(f"/login/{visit.interaction.id}")
    visit = replace(visit, interaction=interaction)
    name = passkeys.printable(request.form.get("name", "")) or _default_name(visit)
    sent = request.form.get("credential", "")
    try:
        key = ceremonies.read_registration(services, sent, asked, visit.now)
        passkeys.add(services, visit.user, key, name=name, source=visit.source, now=visit.now)
    except Refused:
        return show(visit, error=gettext("The passkey could not be set up. Try again."), name=name)
    return proven(visit, visit.claimant.account, Proof(Method.PASSKEY, visit.now))


def _default_name(visit: Visit) -> str:
    """`Chrome (Windows)`: what the person will know the device by."""
    browser = notices.kind_of_browser(visit.source.user_agent)
    return gettext("Passkey") if browser == "?" else browser
