"""The authorization request: read once, judged once, a value from then on.

Owns every parameter of the authorization endpoint. Pure: values in, value or error out.
Before client and redirect URI are verified an error is `Untrusted` and becomes a page; after that
it is an OAuth2Error and goes to the relying party. Authlib does not parse this request (it reads
query and body as one map, and fixes too little of what is repeated).
Source: OpenID Connect Core, 3.1.2; RFC 6749, 3.1 and 4.1; RFC 7636; RFC 9700; RFC 9207.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import (
    InvalidRequestError,
    InvalidScopeError,
    UnsupportedResponseTypeError,
)

from idp.errors import SekishoError
from idp.oidc import parameters
from idp.oidc.client import Client

LENGTHS = {
    "client_id": 128,
    "redirect_uri": 2048,
    "scope": 1024,
    "state": 2048,
    "nonce": 1024,
    "login_hint": 512,
    "id_token_hint": 8192,
    "acr_values": 512,
    "claims": 4096,
    "ui_locales": 256,
    "claims_locales": 256,
    "display": 64,
    "prompt": 64,
    "max_age": 12,
    "response_type": 64,
    "response_mode": 64,
    "code_challenge": 128,
    "code_challenge_method": 32,
    "request": 16384,
    "request_uri": 2048,
    "registration": 8192,
}
SCOPES = ("openid", "profile", "email", "phone", "address", "org")
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
RESPONSE_MODES = ("query", "fragment", "form_post")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Untrusted(SekishoError):
    """The request cannot be answered to anybody but the person in front: it becomes a page."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class RequestNotSupported(OAuth2Error):  # type: ignore[misc]
    error = "request_not_supported"


class RequestUriNotSupported(OAuth2Error):  # type: ignore[misc]
    error = "request_uri_not_supported"


class RegistrationNotSupported(OAuth2Error):  # type: ignore[misc]
    error = "registration_not_supported"


class AuthorizationRequest(NamedTuple):
    """A value like the frozen ones elsewhere, but cheaper to make: every request makes one."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    response_mode: str
    nonce: str | None = None
    code_challenge: str | None = None
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None
    """Seconds."""
    login_hint: str = ""
    id_token_hint: str = ""
    acr_values: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()
    """`acr` demanded by the `claims` parameter: to be met or refused (Core, 5.5.1.1)."""
    id_token_claims: tuple[str, ...] = ()
    userinfo_claims: tuple[str, ...] = ()
    claimed_sub: str | None = None
    """`sub` demanded by value in the `claims` parameter."""
    ui_locales: tuple[str, ...] = ()


class Destination(NamedTuple):
    """Where answers go, known to be the client's own."""

    redirect_uri: str
    response_mode: str
    state: str | None


def read(text: str) -> dict[str, str]:
    """The parameters of a query string or form body. Raises Untrusted for what is repeated, too
    long or unreadable; unknown parameters are ignored (RFC 6749, 3.1)."""
    try:
        found = parameters.read(text, LENGTHS)
    except parameters.Unreadable as error:
        raise Untrusted("invalid_request", str(error)) from error
    for name, value in found.items():
        if len(value) > LENGTHS[name]:
            raise Untrusted("invalid_request", f"{name} is too long")
    return found


def destination(given: Mapping[str, str], client: Client) -> Destination:
    """Verifies the redirect URI: the identical string, nothing normalised (RFC 9700, 2.1).

    Raises Untrusted. The response mode is best effort here: an unknown one answers in the query.
    """
    redirect_uri = given.get("redirect_uri")
    if redirect_uri is None:
        raise Untrusted("invalid_request", "redirect_uri is missing")
    if not client.allows_redirect_uri(redirect_uri):
        raise Untrusted("invalid_request", "redirect_uri is not registered for this client")
    mode = given.get("response_mode", "query")
    return Destination(
        redirect_uri, mode if mode in RESPONSE_MODES else "query", given.get("state")
    )


def parse(given: Mapping[str, str], client: Client, to: Destination) -> AuthorizationRequest:
    """The request as a value. Raises OAuth2Error, to be sent to `to`."""
    if "request" in given:
        raise RequestNotSupported()
    if "request_uri" in given:
        raise RequestUriNotSupported()
    if "registration" in given:
        raise RegistrationNotSupported()
    response_type = given.get("response_type")
    if response_type is None:
        raise InvalidRequestError("response_type is missing")
    if response_type != "code":
        raise UnsupportedResponseTypeError(None, "response_type must be code")
    if given.get("response_mode", "query") not in RESPONSE_MODES:
        raise InvalidRequestError("response_mode is not supported")
    for name in ("state", "nonce"):
        if name in given and _CONTROL.search(given[name]):
            raise InvalidRequestError(f"{name} has control characters")
    demanded = _claims(given.get("claims"))
    return AuthorizationRequest(
        client_id=client.id,
        redirect_uri=to.redirect_uri,
        scopes=_scopes(given.get("scope", "")),
        state=to.state,
        response_mode=to.response_mode,
        nonce=given.get("nonce"),
        code_challenge=_challenge(given, client),
        prompts=_prompts(given.get("prompt", "")),
        max_age=_max_age(given.get("max_age"), client.default_max_age),
        login_hint=given.get("login_hint", ""),
        id_token_hint=given.get("id_token_hint", ""),
        acr_values=tuple(given.get("acr_values", "").split()),
        ui_locales=tuple(given.get("ui_locales", "").split()),
        **demanded,
    )


def _scopes(text: str) -> tuple[str, ...]:
    asked = text.split()
    if "openid" not in asked:
        raise InvalidScopeError("scope must contain openid")
    # Unknown scopes, offline_access among them, are ignored (Core, 3.1.2.1 and 11).
    return tuple(scope for scope in SCOPES if scope in asked)


def _prompts(text: str) -> frozenset[str]:
    prompts = frozenset(text.split())
    if not prompts <= PROMPTS:
        raise InvalidRequestError("prompt has an unknown value")
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("prompt none stands alone")
    return prompts


def _max_age(text: str | None, default: int | None) -> int | None:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequestError("max_age is not a number of seconds")
    return int(text)


def _challenge(given: Mapping[str, str], client: Client) -> str | None:
    challenge = given.get("code_challenge")
    method = given.get("code_challenge_method")
    if challenge is None:
        if method is not None or client.requires_pkce:
            raise InvalidRequestError("code_challenge is missing")
        return None
    if method != "S256":
        raise InvalidRequestError("code_challenge_method must be S256")
    if not _CHALLENGE.match(challenge):
        raise InvalidRequestError("code_challenge must be 43 characters of base64url")
    return challenge


def _claims(text: str | None) -> dict[str, Any]:
    """What of the `claims` parameter (Core, 5.5) concerns us, as members of the request."""
    if text is None:
        return {}
    try:
        demanded = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError("claims is not JSON") from None
    if not isinstance(demanded, dict):
        raise InvalidRequestError("claims is not a JSON object")
    id_token, userinfo = demanded.get("id_token") or {}, demanded.get("userinfo") or {}
    if not isinstance(id_token, dict) or not isinstance(userinfo, dict):
        raise InvalidRequestError("claims has members that are not objects")
    return {
        "id_token_claims": tuple(id_token),
        "userinfo_claims": tuple(userinfo),
        "essential_acr": _essential_acr(id_token.get("acr")),
        "claimed_sub": _value(id_token.get("sub")) or _value(userinfo.get("sub")),
    }


def _value(member: object) -> str | None:
    value = member.get("value") if isinstance(member, dict) else None
    return value if isinstance(value, str) else None


def _essential_acr(member: object) -> tuple[str, ...]:
    if not isinstance(member, dict) or member.get("essential") is not True:
        return ()
    values = member.get("values")
    listed = (
        [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    )
    single = _value(member)
    return tuple([single] if single else listed)
