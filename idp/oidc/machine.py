"""What the endpoints for machines share: form bodies, JSON answers, CORS, errors.

Source: RFC 6749, 5.1 and 5.2 (no-store, JSON errors); Fetch (CORS). Parameters come from the body
alone; what is repeated, too long or not UTF-8 is refused (RFC 6749, 3.2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from flask import Response, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import RequestEntityTooLarge

from idp import web
from idp.application import Exact
from idp.errors import Unavailable
from idp.oidc import clients, parameters
from idp.oidc.client import Client
from idp.oidc.client_auth import InvalidClient

BODY_LIMIT = 16 * 1024
VALUE_LIMIT = 8192
_JSON = [
    ("Cache-Control", "no-store"),
    ("Pragma", "no-cache"),
    ("Content-Type", "application/json"),
]
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def read_form(*, optional: bool = False) -> dict[str, str]:
    """The form in the body. Raises InvalidRequestError."""
    environ = request.environ
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        if optional:
            return {}
        raise InvalidRequestError("the body must be application/x-www-form-urlencoded")
    try:
        form = parameters.read(_body(environ).decode("latin-1"))
    except RequestEntityTooLarge:
        raise InvalidRequestError("the body is too long") from None
    except parameters.Unreadable as error:
        raise InvalidRequestError(str(error)) from None
    if any(len(value) > VALUE_LIMIT for value in form.values()):
        raise InvalidRequestError("a parameter is too long")
    return form


def _body(environ: dict[str, Any]) -> bytes:
    """The whole body. Where its length is told and small, it is read without Werkzeug's layers:
    the token endpoint does this at every call."""
    length = environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and int(length) <= BODY_LIMIT:
        body: bytes = environ["wsgi.input"].read(int(length))
        return body
    request.max_content_length = BODY_LIMIT
    return request.get_data(cache=False)


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    content = _encode(body).encode()
    length = ("Content-Length", str(len(content)))
    return Exact(content, status, [*_JSON, length])


def endpoint(view: Callable[[], Response]) -> Callable[[], Response]:
    """Turns the view's errors into JSON, as RFC 6749, 5.2 says."""

    @wraps(view)
    def guarded() -> Response:
        try:
            return view()
        except InvalidClient as failure:
            return _invalid_client(failure)
        except OAuth2Error as failure:
            body = {"error": failure.error}
            if failure.description:
                body["error_description"] = failure.description
            return answer(body, 400)
        except (Unavailable, OperationalError, PoolTimeout) as failure:
            response = answer({"error": "temporarily_unavailable"}, 503)
            response.headers["Retry-After"] = str(getattr(failure, "retry_after", 5))
            return response

    return guarded


def _invalid_client(failure: InvalidClient) -> Response:
    response = answer(
        {"error": "invalid_client", "error_description": failure.description},
        429 if failure.retry_after else 401,
    )
    if failure.retry_after:
        response.headers["Retry-After"] = str(failure.retry_after)
    if failure.tried_basic:
        response.headers["WWW-Authenticate"] = 'Basic realm="client"'
    return response


# CORS --------------------------------------------------------------------------------------------


def preflight() -> Response:
    """OPTIONS: allowed for an origin of some client; which one it is, only the request will say."""
    origin = request.headers.get("Origin", "")
    response = Response(status=204, headers=[("Vary", "Origin")])
    if is_known_origin(origin):
        response.headers.update(
            {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type",
                "Access-Control-Max-Age": "3600",
            }
        )
    return response


def is_known_origin(origin: str) -> bool:
    database = web.services().database
    return (
        0 < len(origin) <= 512
        and origin.isprintable()
        and bool(clients.ORIGIN_IS_KNOWN.all(database.reader, origin=origin))
    )


def allow_origin(response: Response, client: Client | None) -> Response:
    """Lets a page of this client read the answer. Never with cookies (WB-10)."""
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is None:
        return response
    response.headers["Vary"] = "Origin"
    allowed = origin in client.web_origins if client else is_known_origin(origin)
    if allowed:
        response.headers["Access-Control-Allow-Origin"] = origin
        # Our policy keeps answers to our own origin; this one is meant for another.
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
