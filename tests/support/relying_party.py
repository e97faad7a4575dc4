"""A relying party: makes requests, redeems codes, verifies ID tokens with joserfc against /jwks."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from tests.support.browser import Browser, Outcome
from tests.support.installation import Installation
from tests.support.world import PASSWORD, Application, Person

VERIFIER = "a-verifier-of-forty-three-characters-at-least"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The header of client_secret_basic, not percent-encoded, as most libraries send it."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """One application, at one address, as the provider sees it."""

    installation: Installation
    application: Application
    backend: Browser = field(init=False)
    """Where its requests to /token and /userinfo come from."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "backend", self.installation.browser("198.51.100.1"))

    def request(self, **changes: str | None) -> dict[str, str]:
        """A good authorization request, changed; None leaves a parameter out."""
        good: dict[str, str | None] = {
            "client_id": self.application.client_id,
            "redirect_uri": self.application.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": "the state",
            "nonce": "the nonce",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (good | changes).items() if value is not None}

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and form members that authenticate it."""
        application = self.application
        if application.secret is None:
            return {}, {"client_id": application.client_id}
        if application.auth_method == "client_secret_post":
            posted = {"client_id": application.client_id, "client_secret": application.secret}
            return {}, posted
        return basic(application.client_id, application.secret), {}

    def redeem(self, code: str | None, **changes: str | None) -> TestResponse:
        """Its request to /token, changed; None leaves a parameter out."""
        headers, proof = self.credentials()
        good: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.application.redirect_uri,
            "code_verifier": VERIFIER,
            **proof,
        }
        form = {name: value for name, value in (good | changes).items() if value is not None}
        return self.backend.post("/token", form, headers=headers)

    def userinfo(self, handle: str) -> TestResponse:
        return self.backend.get("/userinfo", headers={"Authorization": f"Bearer {handle}"})

    def verify(self, id_token: str, *, nonce: str | None = "the nonce") -> dict[str, Any]:
        """The claims, verified as OpenID Connect Core, 3.1.3.7 asks of a relying party."""
        keys = KeySet.import_key_set(self.backend.get("/jwks").get_json())
        alg = self.application.members.get("id_token_signed_response_alg", "RS256")
        token = jws.deserialize_compact(id_token, keys, algorithms=[alg])
        assert token.headers()["kid"]
        claims: dict[str, Any] = json.loads(token.payload)
        now = self.installation.clock.now().timestamp()
        assert claims["iss"] == self.installation.issuer
        assert claims["aud"] == self.application.client_id
        assert claims["iat"] <= now < claims["exp"]
        assert claims.get("nonce") == nonce
        return claims

    def code(self, browser: Browser, person: Person, **changes: str | None) -> str:
        """A code, after signing in where that is asked for."""
        return self.arrive(browser, person, **changes).code

    def arrive(self, browser: Browser, person: Person, **changes: str | None) -> Outcome:
        """Sends a browser with a request through the pages; its answer."""
        outcome = browser.authorize(self.request(**changes))
        if outcome.step in ("identify", "password"):
            outcome = browser.sign_in(outcome, person, PASSWORD)
        return browser.submit(outcome, decision="allow") if outcome.step == "consent" else outcome

    def tokens(self, browser: Browser, person: Person, **changes: str | None) -> Mapping[str, Any]:
        """The answer of /token after a whole sign-in."""
        response = self.redeem(self.code(browser, person, **changes))
        assert response.status_code == 200, response.text
        members: Mapping[str, Any] = response.get_json()
        return members

    def claims(self, browser: Browser, person: Person, **changes: str | None) -> dict[str, Any]:
        """The ID token's verified claims after a whole sign-in."""
        token = self.tokens(browser, person, **changes)["id_token"]
        return self.verify(token, nonce=changes.get("nonce", "the nonce"))
