"""The password page. For accounts that do not exist it is the same page, with the same work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from flows.login.visit import Visit, save
from flows.next_step import Step
from idp import web
from idp.accounts import sign_in
from idp.accounts.passwords import MAXIMUM_BYTES
from idp.interaction import Interaction
from idp.oidc.authorize import choose
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class PasswordPage:
    action: str
    csrf: str
    application: str
    identifier: str
    not_you_url: str
    error: str | None
    why: str | None
    forgot_url: str | None = None


def show(visit: Visit, *, error: str | None = None) -> Response:
    return web.render(
        "login/password.html",
        PasswordPage(
            action=visit.url(Step.PASSWORD),
            csrf=visit.csrf,
            application=visit.asked.client.name,
            identifier=visit.interaction.identifier,
            not_you_url=visit.url(Step.IDENTIFY),
            error=error,
            why=_why(visit),
        ),
    )


def _why(visit: Visit) -> str | None:
    """Why somebody who is signed in is asked again."""
    if choose(visit.asked) is None:
        return None
    if "login" in visit.asked.request.prompts:
        return gettext("The application asks you to confirm that it is you.")
    if visit.asked.request.max_age is not None:
        return gettext("Your last sign-in was too long ago for this application.")
    return None


def take(visit: Visit) -> Interaction | Response:
    password = request.form.get("password", "")
    if not password:
        return show(visit, error=gettext("Enter your password."))
    if len(password.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
        password = ""  # Nobody's: refused like any wrong one, for the same price (DS-02).
    found = sign_in.by_password(
        web.services(),
        visit.interaction.identifier,
        password,
        sign_in.Source(
            address=web.remote_address(),
            device=web.cookie(web.DEVICE_COOKIE),
            user_agent=request.headers.get("User-Agent", ""),
            request_id=web.request_id(),
            client_id=visit.asked.client.id,
        ),
        now=visit.now,
    )
    if found is None:
        return show(visit, error=gettext("That didn't work. Check what you typed and try again."))
    return save(
        replace(
            visit.interaction,
            user_id=found.user_id,
            proofs=(*visit.interaction.proofs, found.proof),
        )
    )
