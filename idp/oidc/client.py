"""A client as decisions see it: a frozen value, read from a row's columns. Pure."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.policy import SecondFactor


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    name: str
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]
    auth_method: str
    secret_hash: bytes | None
    organization_id: str | None
    """When set, only users of this organisation may sign in."""
    is_first_party: bool
    requires_pkce: bool
    id_token_alg: str
    id_token_minutes: int | None
    has_userinfo: bool
    claims_in_id_token: bool
    default_max_age: int | None
    require_auth_time: bool
    default_acr_values: tuple[str, ...]
    second_factor: SecondFactor | None
    """When this client asks for a second factor; None leaves it to the organisation."""
    web_origins: frozenset[str]
    is_native: bool
    has_short_secret: bool
    """An imported secret that could be guessed: tries at it are limited."""
    policy_uri: str | None
    tos_uri: str | None

    @property
    def is_public(self) -> bool:
        return self.auth_method == "none"

    def allows_redirect_uri(self, uri: str) -> bool:
        """Exact comparison (RFC 9700, 2.1); a native client's port on loopback may vary
        (RFC 8252, 7.3)."""
        return uri in self.redirect_uris or (self.is_native and self._varies_port_of(uri))

    def _varies_port_of(self, uri: str) -> bool:
        host = re.match(r"http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(?=/|\?|\Z)", uri)
        if host is None:
            return False
        rest = uri[host.end() :]
        return any(
            registered.startswith(f"http://{host[1]}")
            and re.sub(r"\Ahttp://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", "", registered) == rest
            for registered in self.redirect_uris
        )


_CLIENT_ID = re.compile(r"[A-Za-z0-9._~:/@+-]{1,128}\Z")


def is_client_id(text: str) -> bool:
    """Whether this can be a client's id. What cannot is not looked up: some of it no database
    can even be asked about."""
    return _CLIENT_ID.match(text) is not None


@functools.lru_cache(maxsize=1024)
def parse(
    client_id: str, members: str, secret_hash: bytes | None, organization_id: str | None
) -> Client:
    """The client of these columns. Parsing is remembered for the same text, so a change of the
    row is seen at once and costs nothing otherwise."""
    metadata = json.loads(members)
    auth_method = metadata["token_endpoint_auth_method"]
    return Client(
        id=client_id,
        name=metadata.get("client_name", client_id),
        redirect_uris=frozenset(metadata["redirect_uris"]),
        post_logout_redirect_uris=frozenset(metadata.get("post_logout_redirect_uris", ())),
        auth_method=auth_method,
        secret_hash=None if secret_hash is None else bytes(secret_hash),
        organization_id=organization_id,
        is_first_party=metadata.get("first_party", False),
        requires_pkce=auth_method == "none" or metadata.get("require_pkce", True),
        id_token_alg=metadata.get("id_token_signed_response_alg", "RS256"),
        id_token_minutes=metadata.get("id_token_minutes"),
        has_userinfo=metadata.get("userinfo", True),
        claims_in_id_token=metadata.get("claims_in", "id_token") == "id_token",
        default_max_age=metadata.get("default_max_age"),
        require_auth_time=metadata.get("require_auth_time", False),
        default_acr_values=tuple(metadata.get("default_acr_values", ())),
        second_factor=(
            SecondFactor(metadata["second_factor"]) if "second_factor" in metadata else None
        ),
        web_origins=web_origins(metadata),
        is_native=metadata["application_type"] == "native" and auth_method == "none",
        has_short_secret=metadata.get("has_short_secret", False),
        policy_uri=metadata.get("policy_uri"),
        tos_uri=metadata.get("tos_uri"),
    )


def web_origins(metadata: Mapping[str, Any]) -> frozenset[str]:
    """Origins that may read our answers: those listed, and for a public client in a browser the
    ones it is redirected to."""
    origins = set(metadata.get("web_origins", ()))
    if metadata["token_endpoint_auth_method"] == "none" and metadata["application_type"] == "web":
        for uri in metadata["redirect_uris"]:
            parts = urlsplit(uri)
            origins.add(f"{parts.scheme}://{parts.netloc}")
    return frozenset(origins)


def hash_secret(key: bytes, client_id: str, secret: str) -> bytes:
    """How a client secret is stored: keyed, because an imported one may be short (BLAKE2b as a
    MAC, RFC 7693: the token endpoint does this at every call)."""
    message = f"{client_id}\0{secret}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(message, key=key, digest_size=32).digest()
