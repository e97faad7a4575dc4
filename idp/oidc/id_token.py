"""The ID token: the only thing of value that a relying party receives, issued here alone.

Source: OpenID Connect Core, 2, 3.1.3.6, 5.4; RFC 8176 (`amr`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from idp import assurance
from idp.accounts import claims
from idp.oidc.client import Client
from idp.oidc.codes import Grant
from idp.settings import Settings
from keys import jwt
from keys.keyring import Keyring

TYPE = "JWT"


def issue(
    grant: Grant, client: Client, row: Any, *, settings: Settings, keyring: Keyring, now: datetime
) -> str:
    """A signed ID token. `row`: the user as `claims.about` reads it."""
    scopes = grant.scopes if client.claims_in_id_token else ()
    issued_at = int(now.timestamp())
    minutes = client.id_token_minutes or settings.id_token_minutes
    # Protocol claims last, so that nothing about a person can stand in their place (ID-02).
    token: dict[str, object] = {
        **claims.about(row, scopes, grant.id_token_claims),
        "iss": settings.issuer,
        "sub": grant.user_id,
        "aud": client.id,
        "exp": issued_at + 60 * minutes,
        "iat": issued_at,
        "auth_time": grant.auth_time,
        "acr": assurance.acr(grant.methods),
        "amr": assurance.amr(grant.methods),
        "azp": client.id,
        "sid": grant.sid,
    }
    if grant.nonce is not None:
        token["nonce"] = grant.nonce
    return jwt.sign(token, keyring.signer(client.id_token_alg, now), typ=TYPE)
