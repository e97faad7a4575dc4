"""RP-initiated logout: judges the request; asking and ending is done where people are asked.

A redirect to the application needs a hint of ours that speaks of the session in this browser, and
a registered URI, compared exactly. Anything less is a question to the person, and no redirect.
Source: OpenID Connect RP-Initiated Logout, 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from flask import Response, request
from werkzeug.exceptions import BadRequest

from idp import audit, sessions, web
from idp.audit import Event
from idp.oidc import clients, machine, parameters, respond
from idp.oidc.client import Client, is_client_id
from idp.oidc.id_token import TYPE
from idp.services import Services
from keys import jwt

LENGTHS = {
    "done": 1,
    "id_token_hint": 8192,
    "post_logout_redirect_uri": 2048,
    "client_id": 128,
    "state": 2048,
    "logout_hint": 512,
    "ui_locales": 256,
}
HINT_AGE = timedelta(days=30)
LOGOUT_PAGE = "/logout"


@dataclass(frozen=True, slots=True)
class Logout:
    """What a logout request is worth."""

    client: Client | None
    hinted_sid: str | None
    """The session that a valid hint of this client names."""
    hinted_sub: str | None
    return_uri: str | None
    """Registered by `client`; with `state` in it."""


def end_session() -> Response:
    """GET or POST /end_session. Another site's POST comes without our cookies: see /authorize."""
    asked = read()
    if request.method == "POST":
        return respond.redirect("/end_session?" + parameters.write(asked))
    services = web.services()
    now = services.clock.now()
    logout = judge(services, asked, now)
    live = sessions.in_browser(
        services.database.reader, web.cookie(web.SESSION_COOKIE), services.settings, now
    )
    named = [row for row in live if row.sid == logout.hinted_sid]
    if logout.hinted_sub is not None and (named or not live):
        end(services, named, now=now, client=logout.client)
        return respond.redirect(logout.return_uri or logout_page({}, done=True))
    # Nobody proved that this is the person's own wish: ask (SE-06, SE-07).
    return respond.redirect(logout_page(asked))


def logout_page(asked: dict[str, str], *, done: bool = False) -> str:
    """The address of the page that asks, or says that it is done."""
    kept: dict[str, str] = {
        name: asked[name]
        for name in ("client_id", "post_logout_redirect_uri", "state", "ui_locales")
        if name in asked
    }
    if done:
        kept["done"] = "1"
    return LOGOUT_PAGE + ("?" + parameters.write(kept) if kept else "")


def read(form: Mapping[str, str] | None = None) -> dict[str, str]:
    """The parameters, from the body of a POST and the query of a GET, or of a `form` that was
    read before. Raises BadRequest."""
    try:
        given: Mapping[str, str]
        if form is not None:
            given = form
        elif request.method == "POST":
            given = machine.read_form(optional=True)
        else:
            given = parameters.read(request.environ.get("QUERY_STRING", ""), LENGTHS)
    except (InvalidRequestError, parameters.Unreadable):
        raise BadRequest from None
    if any(len(given.get(name, "")) > limit for name, limit in LENGTHS.items()):
        raise BadRequest
    return {name: value for name, value in given.items() if name in LENGTHS and value}


def judge(services: Services, asked: dict[str, str], now: datetime) -> Logout:
    """Looks at hint, client and URI. Whatever does not fit counts as not sent (SE-08, SE-09)."""
    hint = _hint(services, asked.get("id_token_hint", ""), now)
    client_id = asked.get("client_id")
    if hint is not None and client_id not in (None, hint["aud"]):
        hint = None
    audience = hint["aud"] if hint else client_id
    row = None
    if audience is not None and is_client_id(audience):
        row = clients.ENABLED.one(services.database.reader, client_id=audience)
    client = clients.from_row(row) if row else None
    if client is None:
        hint = None
    uri = asked.get("post_logout_redirect_uri")
    is_registered = client is not None and uri in client.post_logout_redirect_uris
    return Logout(
        client=client,
        hinted_sid=str(hint.get("sid")) if hint else None,
        hinted_sub=str(hint["sub"]) if hint else None,
        return_uri=respond.post_logout(uri, asked.get("state"))
        if uri is not None and is_registered
        else None,
    )


def _hint(services: Services, token: str, now: datetime) -> dict[str, Any] | None:
    """The claims of an ID token of ours; it may have expired (RP-Initiated Logout, 2)."""
    if not token:
        return None
    try:
        return jwt.verify(
            token,
            services.keyring,
            now,
            typ=TYPE,
            issuer=services.settings.issuer,
            audience=None,
            expired_for=HINT_AGE,
        )
    except jwt.InvalidToken:
        return None


def end(services: Services, rows: list[Any], *, now: datetime, client: Client | None) -> None:
    """Ends these sessions of this browser."""
    if not rows:
        return
    with services.database.transaction() as session:
        sessions.end(session, [row.sid for row in rows], now=now)
        for row in rows:
            audit.record(
                session,
                Event.SESSION_ENDED,
                at=now,
                actor=row.user_id,
                user_id=row.user_id,
                client_id=client.id if client else None,
                address=web.remote_address(),
                request_id=web.request_id(),
                sid=row.sid,
            )
