"""Client authentication at the token endpoint: exactly the registered method, and nothing beside.

Source: RFC 6749, 2.3 and 5.2; OpenID Connect Core, 9. Every failure is the same `invalid_client`,
computed the same way for clients that do not exist.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError

from idp import audit, web
from idp.audit import Event
from idp.oidc import clients
from idp.oidc.client import Client, hash_secret, is_client_id
from idp.services import Services

_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    method: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """The readings of what was sent: libraries differ on whether Basic is percent-encoded."""

    @property
    def is_basic(self) -> bool:
        return self.method == "client_secret_basic"


class InvalidClient(InvalidClientError):  # type: ignore[misc]
    """`invalid_client`; `tried_basic` asks for the header that RFC 6749, 5.2 then demands."""

    def __init__(self, *, tried_basic: bool = False, retry_after: int = 0) -> None:
        super().__init__("client authentication failed")
        self.tried_basic = tried_basic
        self.retry_after = retry_after


def read(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Who the caller says to be. Raises InvalidClient for none, or for two at once."""
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if authorization is None:
        if client_id is None:
            raise InvalidClient
        if not is_client_id(client_id):
            raise InvalidClient
        if secret is None:
            return Credentials(client_id, "none")
        return Credentials(client_id, "client_secret_post", (secret,))
    basic = _basic(authorization)
    if secret is not None or (client_id is not None and client_id != basic.client_id):
        raise InvalidClient(tried_basic=True)
    return basic


def _basic(authorization: str) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    try:
        # WSGI hands headers over as latin-1.
        decoded = base64.b64decode(encoded.strip().encode("latin-1"), validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise InvalidClient(tried_basic=True) from None
    name, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or not secret:
        raise InvalidClient(tried_basic=True)
    client_id = unquote_plus(name)
    if not is_client_id(client_id):
        raise InvalidClient(tried_basic=True)
    readings = tuple(dict.fromkeys((unquote_plus(secret), secret)))
    return Credentials(client_id, "client_secret_basic", readings)


def authenticate(services: Services, credentials: Credentials, row: Any, now: datetime) -> Client:
    """The client, proven. `row`: has `clients.COLUMNS`, or None. Raises InvalidClient."""
    client = clients.from_row(row) if row is not None else None
    if credentials.method == "none":
        if client is not None and client.is_public:
            return client
        raise InvalidClient
    expected = (client.secret_hash if client else None) or _NOBODY
    matches = [
        hmac.compare_digest(
            expected, hash_secret(services.client_secret_key, credentials.client_id, secret)
        )
        for secret in credentials.secrets
    ]
    if client is not None and any(matches) and client.auth_method == credentials.method:
        # A secret of ours cannot be guessed; a short imported one must not be tried on and on.
        if not client.has_short_secret:
            return client
        wait = services.throttle.client_wait(client.id, web.remote_address(), now)
        if not wait:
            return client
        raise InvalidClient(tried_basic=credentials.is_basic, retry_after=wait)
    raise _failed(services, credentials, web.remote_address(), now)


def _failed(
    services: Services, credentials: Credentials, address: str, now: datetime
) -> InvalidClient:
    """Counts the failure against client and source together: nobody else is slowed down (TK-10)."""
    wait = services.throttle.client_wait(credentials.client_id, address, now)
    if not wait:
        wait = services.throttle.fail_client(credentials.client_id, address, now)
        if wait:
            _record(services, credentials, address, now)
    return InvalidClient(tried_basic=credentials.is_basic, retry_after=wait)


def _record(services: Services, credentials: Credentials, address: str, now: datetime) -> None:
    """Once for each series: an attacker must not be able to fill the audit log."""
    with services.database.transaction() as session:
        audit.record(
            session,
            Event.CLIENT_FAILED,
            at=now,
            actor="anonymous",
            client_id=credentials.client_id,
            address=address,
            request_id=web.request_id(),
            method=credentials.method,
        )
