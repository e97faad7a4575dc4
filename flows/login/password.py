"""The password page. For accounts that do not exist it is the same page, with the same work."""

from __future__ import annotations

from flask import Response, request

from flows.login.visit import Visit, proven, question
from flows.next_step import Step
from idp import web
from idp.accounts import sign_in
from idp.accounts.passwords import MAXIMUM_BYTES
from idp.interaction import Interaction
from idp.web import gettext


def show(visit: Visit, *, error: str | None = None) -> Response:
    return web.render(
        "login/password.html", question(visit, Step.PASSWORD, error), brand=visit.organization
    )


def take(visit: Visit) -> Interaction | Response:
    password = request.form.get("password", "")
    if not password:
        return show(visit, error=gettext("Enter your password."))
    if len(password.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
        password = ""  # Nobody's: refused like any wrong one, for the same price (DS-02).
    found = sign_in.by_password(
        web.services(), visit.interaction.identifier, password, visit.source, now=visit.now
    )
    if found is None:
        return show(visit, error=gettext("That didn't work. Check what you typed and try again."))
    return proven(visit, found.user_id, found.proof)
