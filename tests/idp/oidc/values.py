"""Requests, clients and sessions as the pure decisions see them; and changing a registration."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from idp.oidc import client, clients
from idp.oidc.client import Client
from idp.oidc.request import AuthorizationRequest
from idp.oidc.requirements import SignedIn
from tests.support.relying_party import RelyingParty
from tests.support.world import NOW


def a_client(**members: Any) -> Client:
    """A confidential first-party client in a browser, changed by registration members."""
    organization_id = members.pop("organization_id", None)
    metadata = {
        "redirect_uris": ["https://app.example/cb"],
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
        "first_party": True,
    }
    return client.parse("app", json.dumps(metadata | members), bytes(32), organization_id)


def a_request(**members: Any) -> AuthorizationRequest:
    """A request for `openid` alone, changed."""
    good: dict[str, Any] = {
        "client_id": "app",
        "redirect_uri": "https://app.example/cb",
        "scopes": ("openid",),
        "state": None,
        "response_mode": "query",
    }
    return AuthorizationRequest(**(good | members))


def a_session(age: float = 0, **members: Any) -> SignedIn:
    """Alice's, proven `age` seconds ago by a password."""
    good: dict[str, Any] = {
        "sid": "sid",
        "user_id": "alice",
        "organization_id": "A",
        "auth_time": NOW - timedelta(seconds=age),
        "methods": ("pwd",),
    }
    return SignedIn(**(good | members))


def register_anew(application: RelyingParty, **members: Any) -> None:
    """Registers an application again, with other members. Raises Refused."""
    installation = application.installation
    with installation.database() as session:
        clients.register(
            session,
            application.application.metadata | members,
            actor="test",
            secret_key=installation.services.client_secret_key,
            now=installation.clock.now(),
        )
