"""Discovery and the key set: what relying parties read to configure themselves.

Served from memory, cacheable, to everybody (DS-10). Source: OpenID Connect Discovery, 3 and 4;
RFC 8414; RFC 7517. The document says exactly what works.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from flask import Response, request

from idp import assurance, web
from idp.accounts.claims import PROFILE_CLAIMS
from idp.oidc.request import RESPONSE_MODES, SCOPES
from idp.settings import LANGUAGES
from keys.signing_key import ALGORITHMS

JWKS_SECONDS = 3600


def metadata(issuer: str) -> dict[str, object]:
    """The provider's metadata."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "end_session_endpoint": f"{issuer}/end_session",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "none",
        ],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": list(assurance.LEVELS),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "sid"),
            *("name", "preferred_username", "updated_at", *PROFILE_CLAIMS),
            *("email", "email_verified", "phone_number_verified", "org_id", "org_name", "roles"),
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": list(LANGUAGES),
    }


@lru_cache(maxsize=4)
def _document(issuer: str) -> tuple[bytes, str]:
    body = json.dumps(metadata(issuer), indent=1).encode()
    return body, hashlib.sha256(body).hexdigest()[:32]


def configuration() -> Response:
    """GET /.well-known/openid-configuration."""
    body, etag = _document(web.services().settings.issuer)
    return _public(body, etag, "application/json")


def jwks() -> Response:
    """GET /jwks."""
    services = web.services()
    document = services.keyring.jwks(services.clock.now())
    return _public(document.body, document.etag, "application/jwk-set+json")


def _public(body: bytes, etag: str, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    response.set_etag(etag)
    response.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response.make_conditional(request.environ)  # type: ignore[return-value]
