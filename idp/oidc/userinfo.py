"""UserInfo: reads, for a handle of ours, claims that the ID token could also carry.

Source: OpenID Connect Core, 5.3; RFC 6750, 2.1, 2.2 and 3. The handle opens nothing else.
"""

from __future__ import annotations

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from flask import Response, request

from idp import web
from idp.accounts import claims
from idp.errors import SekishoError
from idp.oidc import clients, codes, machine
from idp.oidc.client import Client
from idp.oidc.token import CLIENT_AND_PERSON


class InvalidHandle(SekishoError):
    """No handle, or one that opens nothing (any more)."""

    def __init__(self, error: str | None, description: str = "") -> None:
        super().__init__(description)
        self.error = error


def userinfo() -> Response:
    """GET or POST /userinfo."""
    if request.method == "OPTIONS":
        return machine.preflight()
    found: list[Client] = []
    response = machine.endpoint(lambda: _guarded(found))()
    return machine.allow_origin(response, found[0] if found else None)


def _guarded(found: list[Client]) -> Response:
    try:
        return _userinfo(found)
    except InvalidHandle as failure:
        return _challenge(failure)
    except InvalidRequestError as failure:
        return _challenge(InvalidHandle("invalid_request", failure.description), 400)


def _challenge(failure: InvalidHandle, status: int = 401) -> Response:
    """401 with the reason in WWW-Authenticate; without one when nothing was presented (RFC 6750,
    3.1)."""
    body, header = {}, 'Bearer realm="userinfo"'
    if failure.error:
        body = {"error": failure.error, "error_description": str(failure)}
        header += f', error="{failure.error}", error_description="{failure}"'
    response = machine.answer(body, status)
    response.headers["WWW-Authenticate"] = header
    return response


def _userinfo(found: list[Client]) -> Response:
    services = web.services()
    grant = codes.open_handle(services.state, _presented(), services.clock.now())
    if grant is None:
        raise InvalidHandle("invalid_token", "the access token is not valid or has expired")
    row = CLIENT_AND_PERSON.one(services.database.reader, client_id=grant.client_id, sid=grant.sid)
    if row is None or row.user_id != grant.user_id:
        raise InvalidHandle("invalid_token", "the session has ended")
    client = clients.from_row(row)
    found.append(client)
    if not client.has_userinfo:
        raise InvalidHandle("invalid_token", "this client reads no UserInfo")
    return machine.answer(
        {**claims.about(row, grant.scopes, grant.userinfo_claims), "sub": grant.user_id}
    )


def _presented() -> str:
    """The handle: in the header, or in a form body, never in the query and never in two places."""
    header = request.environ.get("HTTP_AUTHORIZATION")
    form = machine.read_form(optional=True) if request.method == "POST" else {}
    in_body = form.get("access_token")
    if header is None:
        if in_body is None:
            raise InvalidHandle(None)
        return in_body
    if in_body is not None:
        raise InvalidRequestError("the access token is given twice")
    scheme, _, handle = header.partition(" ")
    if scheme.lower() != "bearer" or not handle:
        raise InvalidHandle("invalid_token", "a bearer token is needed")
    return str(handle.strip())
