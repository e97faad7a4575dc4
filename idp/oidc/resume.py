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
from idp.oidc import authorize, own, respond
from idp.oidc.authorize import Asked, Refusal, choose, issue, signed_in
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


def ask(interaction: Interaction, now: datetime) -> Asked:
    """The request of an interaction, read and judged again with everything that decides about it.
    Raises Untrusted or Refusal."""
    services, secret = web.services(), web.session_secret()
    if not own.is_own(interaction.parameters):
        return authorize.ask(services, interaction.parameters, secret, now)
    asked = own.ask(services, interaction.parameters, web.gettext("your account"), secret)
    sid = interaction.session_id
    return own.strict(services, asked, choose(asked, sid) if sid else None)


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
        asked = ask(interaction, now)
    except Untrusted as failure:
        return respond.untrusted(failure)
    except Refusal as refusal:
        return respond.error(refusal.to, refusal.failure, after_post=True)
    if judge(interaction, asked, now):
        return respond.redirect(current_app.extensions["sekisho_interaction_url"](interaction))
    if not interactions.finish(services.state, interaction):
        return over()
    row = choose(asked, interaction.session_id)
    if own.is_own(interaction.parameters):
        return respond.redirect(own.destination(asked, row))
    code = issue(services, asked, row, now)
    return respond.answer(asked.to, {"code": code}, after_post=True, application=asked.client.name)


def refuse(interaction: Interaction, asked: Asked, error: str) -> Response:
    """Ends an interaction with an error for the relying party."""
    if not interactions.finish(web.services().state, interaction):
        return over()
    if own.is_own(interaction.parameters):
        return web.error_page(
            403,
            error,
            web.gettext("Your organisation does not allow what is missing to be set up here."),
            advice=web.gettext("Contact your administrator."),
        )
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
