"""What may be registered about a client: names, types, URIs. Pure.

Owns the judgement of registration metadata (OpenID Connect Registration, 2; RFC 7591; RFC 8252;
RP-Initiated Logout, 3.1) and of the members that are our own. Does not own storing them.
Members that we do not know are kept and named, those we cannot honour are refused by name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.accounts.organizations import check_name
from idp.errors import Refused
from idp.policy import SecondFactor
from idp.urls import is_loopback
from keys.signing_key import ALGORITHMS

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
MAXIMUM_URIS = 50
_CUSTOM_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+\Z")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}*]|[^\x00-\x7f]")


def check(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The metadata as it is stored, and the names of members that are kept but not used.

    Raises Refused with the member's name.
    """
    checked: dict[str, Any] = {}
    unused: list[str] = []
    for name, value in metadata.items():
        if value is None or name in ("client_id", "client_secret"):
            continue
        judge = _MEMBERS.get(name)
        if judge is None:
            _check_unknown(name, value)
            unused.append(name)
            checked[name] = value
            continue
        checked[name] = judge(name, value)
    checked.setdefault("token_endpoint_auth_method", "client_secret_basic")
    checked.setdefault("application_type", "web")
    if not checked.get("redirect_uris"):
        raise Refused("redirect_uris is missing", member="redirect_uris")
    _check_together(checked)
    unused += _drop_not_offered(checked)
    return checked, unused


def _check_together(checked: dict[str, Any]) -> None:
    is_public = checked["token_endpoint_auth_method"] == "none"
    if is_public and checked.get("require_pkce") is False:
        raise Refused("a public client cannot do without PKCE", member="require_pkce")
    is_native = checked["application_type"] == "native"
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        for uri in checked.get(name, ()):
            if not is_native and urlsplit(uri).scheme not in ("https", "http"):
                raise Refused(f"{name}: {uri} needs application_type native", member=name)


def _drop_not_offered(checked: dict[str, Any]) -> list[str]:
    """Drops grants and response types that we do not offer; ours must be among those listed."""
    notes = []
    for name, offered in (("grant_types", "authorization_code"), ("response_types", "code")):
        listed = checked.get(name)
        if listed is None:
            continue
        if offered not in listed:
            raise Refused(f"{name} must contain {offered}", member=name)
        notes += [f"{name}: {other}" for other in listed if other != offered]
        checked[name] = [offered]
    return notes


def check_redirect_uri(name: str, uri: object) -> str:
    """An absolute URI that a browser may be sent to (RFC 9700, 4.1.3; RFC 8252, 7).

    https anywhere; http on loopback alone; a private scheme with a dot for native applications.
    """
    if not isinstance(uri, str) or not 0 < len(uri) <= 2048 or _UNSAFE.search(uri):
        raise Refused(f"{name}: not a URI of printable ASCII without wildcards", member=name)
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"{name}: {uri} cannot be read", member=name) from error
    if "#" in uri or "@" in parts.netloc:
        raise Refused(f"{name}: {uri} must not have a fragment or a user", member=name)
    if parts.scheme == "https" and host and not _is_ip(host):
        return uri
    if parts.scheme in ("http", "https") and host and is_loopback(host):
        return uri
    if _CUSTOM_SCHEME.match(parts.scheme) and not parts.netloc:
        return uri
    raise Refused(
        f"{name}: {uri} must be https, http on loopback, or a scheme like com.example.app",
        member=name,
    )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # 2130706433 and 0x7f.1 are addresses too, to some who resolve them.
        return re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", host) is not None
    return True


def _uris(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MAXIMUM_URIS:
        raise Refused(f"{name} must be a list of at most {MAXIMUM_URIS} URIs", member=name)
    return [check_redirect_uri(name, uri) for uri in value]


def _origins(name: str, value: object) -> list[str]:
    origins = _uris(name, value)
    for origin in origins:
        parts = urlsplit(origin)
        if parts.path or parts.query or parts.scheme not in ("https", "http"):
            raise Refused(f"{name}: {origin} must be scheme, host and port alone", member=name)
    return origins


def _page(name: str, value: object) -> str:
    """A link that people may follow from our pages: https, or http on loopback."""
    uri = check_redirect_uri(name, value)
    if urlsplit(uri).scheme not in ("https", "http"):
        raise Refused(f"{name} must be an https URL", member=name)
    return uri


def _words(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(v, str) and len(v) < 200 for v in value):
        raise Refused(f"{name} must be a list of strings", member=name)
    return value


def _one_of(*allowed: str) -> Callable[[str, object], str]:
    def judge(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Refused(f"{name} must be one of {', '.join(allowed)}", member=name)
        return value

    return judge


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{name} must be true or false", member=name)
    return value


def _number(low: int, high: int) -> Callable[[str, object], int]:
    def judge(name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Refused(f"{name} must be a number from {low} to {high}", member=name)
        return value

    return judge


def _name(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Refused(f"{name} must be a string", member=name)
    try:
        return check_name(value, name)
    except Refused as error:
        raise Refused(str(error), member=name) from error


def _check_unknown(name: str, value: object) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.#-]{1,64}", name) or len(repr(value)) > 8192:
        raise Refused(f"{name[:64]!r} cannot be kept", member=name[:64])


_MEMBERS: dict[str, Callable[[str, Any], Any]] = {
    "client_name": _name,
    "redirect_uris": _uris,
    "post_logout_redirect_uris": _uris,
    "token_endpoint_auth_method": _one_of(*AUTH_METHODS),
    "application_type": _one_of("web", "native"),
    "grant_types": _words,
    "response_types": _words,
    "subject_type": _one_of("public"),
    "id_token_signed_response_alg": _one_of(*ALGORITHMS),
    "default_max_age": _number(0, 10_000_000),
    "require_auth_time": _flag,
    "default_acr_values": _words,
    "contacts": _words,
    "client_uri": _page,
    "policy_uri": _page,
    "tos_uri": _page,
    # Ours
    "require_pkce": _flag,
    "first_party": _flag,
    "userinfo": _flag,
    "claims_in": _one_of("id_token", "userinfo"),
    "id_token_minutes": _number(2, 60),
    "second_factor": _one_of(*SecondFactor),
    "web_origins": _origins,
}
# What would change what we send and is not honoured here: refusing is honest, ignoring is not.
for _unsupported in (
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "sector_identifier_uri",
    "require_signed_request_object",
    "require_pushed_authorization_requests",
    "software_statement",
):

    def _refuse(name: str, _value: object) -> None:
        raise Refused(f"{name} is not supported", member=name)

    _MEMBERS[_unsupported] = _refuse
