"""The second half of the authorization endpoint, after the pages.

Everything is read and judged again, by the same functions as for the request itself: nothing that
happened on the pages can make an answer that a request straight from the application would not
get. Source: OpenID Connect Core, 3.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Response, current_app, g

from idp import interaction as interactions
from idp import sessions, web
from idp.interaction import Interaction
from idp.oidc import respond
from idp.oidc.authorize import Asked, Refusal, ask, choose, issue, signed_in
from idp.oidc.request import Untrusted
from idp.oidc.requirements import Need, Visit, unmet


def load_interaction(interaction_id: str) -> Interaction | None:
    """The interaction of this browser, with its language wishes made known."""
    services = web.services()
    secret = web.cookie(web.BROWSER_COOKIE)
    interaction = interactions.load(
        services.state,
        interaction_id,
        browser=sessions.browser_hash(secret).hex() if secret else None,
        now=services.clock.now(),
    )
    if interaction is not None:
        g.ui_locales = interaction.parameters.get("ui_locales", "").split()
    return interaction


def judge(interaction: Interaction, asked: Asked, now: datetime) -> Sequence[Need]:
    """What is still missing in an interaction: the same decision as for the request itself."""
    return unmet(
        asked.request,
        signed_in(
            web.services(),
            choose(asked, interaction.session_id) if interaction.session_id else None,
        ),
        asked.client,
        now=now,
        visit=Visit(
            signed_in=interaction.opened,
            account_chosen=interaction.account_chosen,
            consented=interaction.consent == "allow",
        ),
        hinted_sub=asked.hinted_sub,
    )


def resume(interaction_id: str) -> Response:
    """GET /authorize/resume/<id>: answers the relying party when nothing is missing any more."""
    services = web.services()
    now = services.clock.now()
    interaction = load_interaction(interaction_id)
    if interaction is None:
        return over()
    try:
        asked = ask(services, interaction.parameters, web.session_secret(), now)
    except Untrusted as failure:
        return respond.untrusted(failure)
    except Refusal as refusal:
        return respond.error(refusal.to, refusal.failure, after_post=True)
    if judge(interaction, asked, now):
        return respond.redirect(current_app.extensions["sekisho_interaction_url"](interaction))
    if not interactions.finish(services.state, interaction):
        return over()
    code = issue(services, asked, choose(asked, interaction.session_id), now)
    return respond.answer(asked.to, {"code": code}, after_post=True, application=asked.client.name)


def refuse(interaction: Interaction, asked: Asked, error: str) -> Response:
    """Ends an interaction with an error for the relying party."""
    if not interactions.finish(web.services().state, interaction):
        return over()
    return respond.error(asked.to, error, after_post=True, application=asked.client.name)


def over() -> Response:
    """The page for an interaction that has ended, or never was this browser's."""
    return web.error_page(
        400,
        "interaction_not_found",
        web.gettext("This sign-in has expired or was already finished."),
        title=web.gettext("This sign-in has expired"),
        advice=web.gettext("Go back to the application and start again."),
    )
