"""A software authenticator: makes passkeys and shows them, and forges whatever a test wants.

Answers as a browser does, in the JSON of WebAuthn Level 3, 5.1 (`toJSON`). Every part can be bent:
`type`, `challenge`, `origin`, `cross_origin`, `rp_id`, `flags`, `count`, `handle`, `signature`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

from idp.accounts import passkeys, users
from idp.accounts.attempts import Source
from idp.accounts.passkeys import NewKey

if TYPE_CHECKING:
    from tests.support.installation import Installation
    from tests.support.world import Person

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
PRESENT = UP | UV
SYNCED = PRESENT | BE | BS
CREATE, GET = "webauthn.create", "webauthn.get"


def to_text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "===")


@dataclass
class Passkey:
    """One key on the device. `count` is what it says next; 0 for ever when `is_synced`."""

    handle: bytes
    rp_id: str
    origin: str
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    count: int = 0
    is_synced: bool = True

    @property
    def public_key(self) -> bytes:
        """As COSE has it (RFC 9053, 7.1.1)."""
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def attestation_object(self, **bent: Any) -> bytes:
        """What `create` brings. `bent`: members of the object, or of `authenticator_data`."""
        members = {name: bent.pop(name) for name in ("fmt", "attStmt") if name in bent}
        attested = (
            bent.pop("aaguid", bytes(16))
            + len(self.credential_id).to_bytes(2, "big")
            + self.credential_id
            + bent.pop("public_key", self.public_key)
        )
        bent.setdefault("flags", (SYNCED if self.is_synced else PRESENT) | AT)
        data = self.authenticator_data(**bent) + attested
        return cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data} | members)

    def authenticator_data(
        self, *, rp_id: str | None = None, flags: int | None = None, count: int | None = None
    ) -> bytes:
        if flags is None:
            flags = SYNCED if self.is_synced else PRESENT
        return (
            hashlib.sha256((rp_id or self.rp_id).encode()).digest()
            + bytes([flags])
            + (self.count if count is None else count).to_bytes(4, "big")
        )

    def client_data(
        self,
        type_: str,
        challenge: str,
        *,
        origin: str | None = None,
        cross_origin: Any = False,
        **more: Any,
    ) -> bytes:
        return json.dumps(
            {
                "type": type_,
                "challenge": challenge,
                "origin": origin or self.origin,
                "crossOrigin": cross_origin,
                **more,
            }
        ).encode()

    def made(self, challenge: str, *, type_: str = CREATE, **bent: Any) -> dict[str, Any]:
        """The answer of `navigator.credentials.create`."""
        client = {name: bent.pop(name) for name in ("origin", "cross_origin") if name in bent}
        attestation = bent.pop("attestation_object", None)
        return self._credential(
            clientDataJSON=to_text(self.client_data(type_, challenge, **client)),
            attestationObject=to_text(attestation or self.attestation_object(**bent)),
            transports=["internal", "hybrid"],
        )

    def shown(
        self,
        challenge: str,
        *,
        type_: str = GET,
        handle: bytes | None = None,
        has_handle: bool = True,
        signed_by: EllipticCurvePrivateKey | None = None,
        **bent: Any,
    ) -> dict[str, Any]:
        """The answer of `navigator.credentials.get`. Counts on, unless the key is synced."""
        if not self.is_synced:
            self.count += 1
        client = {name: bent.pop(name) for name in ("origin", "cross_origin") if name in bent}
        client_data = self.client_data(type_, challenge, **client)
        data = self.authenticator_data(**bent)
        signature = (signed_by or self.key).sign(
            data + hashlib.sha256(client_data).digest(), ECDSA(SHA256())
        )
        return self._credential(
            clientDataJSON=to_text(client_data),
            authenticatorData=to_text(data),
            signature=to_text(signature),
            **({"userHandle": to_text(handle or self.handle)} if has_handle else {}),
        )

    def _credential(self, **response: Any) -> dict[str, Any]:
        name = to_text(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


def give(installation: Installation, person: Person, *, is_synced: bool = True) -> Passkey:
    """A passkey that this person has had all along."""
    services = installation.services
    user = users.BY_ID.all(services.database.reader, user_id=installation.sub(person))[0]
    settings = services.settings
    key = Passkey(
        user.id.encode(),
        urlsplit(settings.base_url).hostname or "",
        settings.base_url,
        is_synced=is_synced,
    )
    passkeys.add(
        services,
        user,
        NewKey(key.credential_id, key.public_key, key.count, "internal", "", key.is_synced),
        name="A key",
        source=Source("192.0.2.99", None, "", "test"),
        now=services.clock.now(),
    )
    installation.sql("UPDATE users SET required_actions = '' WHERE id = :id", id=user.id)
    return key


def make(options: Mapping[str, Any], origin: str, *, is_synced: bool = True) -> Passkey:
    """A new key for what a page asked to be made."""
    return Passkey(
        handle=to_bytes(options["user"]["id"]),
        rp_id=options["rp"]["id"],
        origin=origin,
        is_synced=is_synced,
    )
