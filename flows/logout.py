"""Signing out: the question, and the page that says that it is done.

GET changes nothing. The form carries what the application asked for, and it is judged again.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, g, request

from idp import sessions, web
from idp.oidc import end_session, respond

blueprint = Blueprint("logout", __name__)
PURPOSE = "logout"


@dataclass(frozen=True, slots=True)
class LogoutPage:
    action: str
    csrf: str
    accounts: list[str]
    application: str | None
    hidden: dict[str, str]
    stay_url: str | None


@dataclass(frozen=True, slots=True)
class SignedOutPage:
    application: str | None
    return_url: str | None


@blueprint.get(end_session.LOGOUT_PAGE)
def show() -> Response:
    services = web.services()
    now = services.clock.now()
    parameters = end_session.read()
    g.ui_locales = parameters.get("ui_locales", "").split()
    rows = sessions.in_browser(
        services.database.reader, web.session_secret(), services.settings, now
    )
    if not rows or "done" in parameters:
        return _signed_out(parameters)
    logout = end_session.judge(services, parameters, now)
    return web.render(
        "logout.html",
        LogoutPage(
            action=end_session.LOGOUT_PAGE,
            csrf=web.csrf_token(PURPOSE),
            accounts=[f"{row.name} ({row.email})" for row in rows],
            application=logout.client.name if logout.client else None,
            hidden=parameters,
            stay_url=logout.return_uri,
        ),
    )


@blueprint.post(end_session.LOGOUT_PAGE)
def take() -> Response:
    web.check_csrf(PURPOSE)
    services = web.services()
    now = services.clock.now()
    parameters = end_session.read(request.form)
    logout = end_session.judge(services, parameters, now)
    rows = sessions.in_browser(
        services.database.reader, web.session_secret(), services.settings, now
    )
    end_session.end(services, rows, now=now, client=logout.client)
    response = respond.redirect(end_session.logout_page(parameters, done=True))
    web.delete_cookie(response, web.SESSION_COOKIE)
    return response


def _signed_out(parameters: dict[str, str]) -> Response:
    """The person may go back to a registered address; nobody is sent there without a valid hint."""
    services = web.services()
    logout = end_session.judge(services, parameters, services.clock.now())
    return web.render(
        "signed_out.html",
        SignedOutPage(
            application=logout.client.name if logout.client else None,
            return_url=logout.return_uri,
        ),
    )
