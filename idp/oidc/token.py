"""The token endpoint: one grant, authorization code, answered with an ID token.

The code is taken in the moment it is found, so redeeming it in parallel succeeds once; a wrong
verifier or a wrong client has burnt it. Written by hand because Authlib's grant looks a code up,
issues, and only then deletes it. Source: RFC 6749, 4.1.3 and 5; RFC 7636, 4.6; RFC 9700, 2.1.1;
OpenID Connect Core, 3.1.3.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from flask import Response, request
from sqlalchemy import bindparam, select

from idp import audit, sessions, web
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.audit import Event
from idp.db import Prepared
from idp.oidc import client_auth, clients, codes, id_token, machine
from idp.oidc.client import Client
from idp.oidc.clients import ClientRow
from idp.oidc.codes import Grant
from idp.services import Services
from idp.sessions import SessionRow

GRANT_TYPE = "authorization_code"


class UnsupportedGrantType(OAuth2Error):  # type: ignore[misc]
    """Authlib's own puts what was asked for into its text, which is not ours to repeat."""

    error = "unsupported_grant_type"


_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")

# The calling client, with the person behind a session that is still open (columns of None when
# there is none): everything that a claim may need.
_open_person = (
    select(
        SessionRow.id.label("sid"),
        User.id.label("user_id"),
        User.name,
        User.login_id,
        User.email,
        User.email_verified_at,
        User.role,
        User.profile,
        User.updated_at,
        User.organization_id,
        Organization.name.label("organization_name"),
    )
    .select_from(SessionRow)
    .join(User, User.id == SessionRow.user_id)
    .join(Organization, Organization.id == User.organization_id)
    .where(SessionRow.id == bindparam("sid"), *sessions.IS_OPEN)
    .subquery("person")
)
CLIENT_AND_PERSON = Prepared(
    select(*clients.COLUMNS, *_open_person.c)
    .select_from(ClientRow)
    .outerjoin(_open_person, _open_person.c.sid.is_not(None))
    .where(ClientRow.id == bindparam("client_id"), ClientRow.disabled_at.is_(None))
)


def token() -> Response:
    """POST /token."""
    if request.method == "OPTIONS":
        return machine.preflight()
    client: list[Client] = []
    response = machine.endpoint(lambda: _token(client))()
    return machine.allow_origin(response, client[0] if client else None)


def _token(found: list[Client]) -> Response:
    form = machine.read_form()
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise InvalidRequestError("grant_type is missing")
    if grant_type != GRANT_TYPE:
        raise UnsupportedGrantType("only authorization_code is supported")
    services = web.services()
    now = services.clock.now()
    credentials = client_auth.read(request.environ.get("HTTP_AUTHORIZATION"), form)
    code = form.get("code", "")
    row = CLIENT_AND_PERSON.one(
        services.database.reader, client_id=credentials.client_id, sid=codes.sid_of(code)
    )
    client = client_auth.authenticate(services, credentials, row, now)
    found.append(client)
    if not code:
        raise InvalidRequestError("code is missing")
    return machine.answer(_redeem(services, client, row, code, form, now))


def _redeem(
    services: Services, client: Client, row: Any, code: str, form: dict[str, str], now: datetime
) -> dict[str, Any]:
    grant, handle = _take(services, client, code, now)
    try:
        _check(grant, client, row, form, now)
    except InvalidGrantError:
        # Nobody was told the handle, but left there it would make a second attempt a replay.
        codes.end_handle(services.state, code)
        raise
    token = id_token.issue(
        grant, client, row, settings=services.settings, keyring=services.keyring, now=now
    )
    return {
        "access_token": handle,
        "token_type": "Bearer",
        "expires_in": services.settings.handle_seconds,
        "scope": " ".join(grant.scopes),
        "id_token": token,
    }


def _take(services: Services, client: Client, code: str, now: datetime) -> tuple[Grant, str]:
    """The grant of a code, once, and the handle it became. Raises InvalidGrantError."""
    if client.is_public:
        # Anybody can say this client_id: they must not burn what is another client's (TK-03).
        seen = codes.peek_code(services.state, code)
        if seen is not None and seen.client_id != client.id:
            raise InvalidGrantError("the code is not valid")
    taken = codes.take_code(
        services.state, code, now=now, handle_seconds=services.settings.handle_seconds
    )
    if taken is None:
        if codes.end_handle(services.state, code):
            _alarm(services, Event.CODE_REPLAYED, client, now)
        raise InvalidGrantError("the code is not valid")
    if taken[0].client_id != client.id:
        codes.end_handle(services.state, code)
        _alarm(services, Event.CODE_MISUSED, client, now, taken[0])
        raise InvalidGrantError("the code is not valid")
    return taken


def _check(grant: Grant, client: Client, row: Any, form: dict[str, str], now: datetime) -> None:
    """Raises InvalidGrantError unless this caller may have what the code stands for."""
    if now.timestamp() >= grant.expires_at:
        raise InvalidGrantError("the code has expired")
    if form.get("redirect_uri") != grant.redirect_uri:
        raise InvalidGrantError("redirect_uri is not the one of the authorization request")
    _check_verifier(grant, form.get("code_verifier"))
    if (row.sid, row.user_id) != (grant.sid, grant.user_id):
        raise InvalidGrantError("the session has ended")
    if client.organization_id not in (None, row.organization_id):
        raise InvalidGrantError("the user is not allowed to use this client")


def _check_verifier(grant: Grant, verifier: str | None) -> None:
    if grant.code_challenge is None:
        if verifier is not None:
            # A verifier without a challenge: the challenge was stripped (RFC 9700, 4.8.2).
            raise InvalidGrantError("no code_challenge was sent")
        return
    if verifier is None:
        raise InvalidGrantError("code_verifier is missing")
    if not _VERIFIER.match(verifier) or not hmac.compare_digest(
        create_s256_code_challenge(verifier), grant.code_challenge
    ):
        raise InvalidGrantError("code_verifier does not match")


def _alarm(
    services: Services, event: Event, client: Client, now: datetime, grant: Grant | None = None
) -> None:
    with services.database.transaction() as session:
        audit.record(
            session,
            event,
            at=now,
            actor=f"client:{client.id}"[:64],
            user_id=grant.user_id if grant else None,
            client_id=grant.client_id if grant else client.id,
            address=web.remote_address(),
            request_id=web.request_id(),
        )
