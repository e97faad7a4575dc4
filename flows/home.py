"""The bare address: says what this is, and who is signed in on this browser."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from flows.account.entry import HOME as SECURITY_PAGE
from idp import sessions, web
from idp.oidc.end_session import LOGOUT_PAGE

blueprint = Blueprint("home", __name__)


@dataclass(frozen=True, slots=True)
class HomePage:
    accounts: list[str]
    security_url: str
    logout_url: str


@blueprint.get("/")
def show() -> Response:
    services = web.services()
    rows = sessions.in_browser(
        services.database.reader, web.session_secret(), services.settings, services.clock.now()
    )
    accounts = [f"{row.name} ({row.email})" for row in rows]
    return web.render("home.html", HomePage(accounts, SECURITY_PAGE, LOGOUT_PAGE))
