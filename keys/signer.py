"""One opened signing key: it makes JWS signatures, and the header that goes before them.

Owns: the private key in memory, the signature encodings of RFC 7518, 3 and RFC 8037, 3.1.
Does not own: which key signs (`keyring`), claims (`jwt`).
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keys.sealing import Sealer
from keys.signing_key import SigningKey, seal_context

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_SHA256: Final = SHA256()
_PKCS1V15: Final = padding.PKCS1v15()
_ECDSA: Final = ec.ECDSA(_SHA256)


def base64url(value: bytes) -> bytes:
    """RFC 7515, 2: without padding. One pass less than base64.urlsafe_b64encode."""
    return binascii.b2a_base64(value, newline=False).translate(_TO_URL, b"=")


class Signer:
    """Signs with one key. Opens its seal at the first signature; has no repr of the key."""

    __slots__ = ("_headers", "_key", "_sealer", "_sign", "alg", "kid")

    def __init__(self, key: SigningKey, sealer: Sealer) -> None:
        self.kid: Final = key.kid
        self.alg: Final = key.alg
        self._key = key
        self._sealer = sealer
        self._headers: dict[str, bytes] = {}
        self._sign: Callable[[bytes], bytes] | None = None

    def header(self, typ: str) -> bytes:
        """The JWS Protected Header segment and its dot, encoded once for each `typ`."""
        try:
            return self._headers[typ]
        except KeyError:
            members = {"alg": self.alg, "kid": self.kid, "typ": typ}
            segment = base64url(json.dumps(members, separators=(",", ":")).encode()) + b"."
            self._headers[typ] = segment
            return segment

    def sign(self, data: bytes) -> bytes:
        """The raw JWS signature of `data`. Raises SealBroken when the key does not open."""
        sign = self._sign
        if sign is None:
            # Two threads may both get here; either result serves.
            sign = self._sign = self._open()
        return sign(data)

    def _open(self) -> Callable[[bytes], bytes]:
        der = self._sealer.open(self._key.sealed_private, context=seal_context(self.kid))
        # Checking an RSA key takes tens of milliseconds, in the first request of a new key. It
        # guards against hostile keys; AES-GCM has just proved that this one is as we made it.
        private = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        if self.alg == "RS256" and isinstance(private, rsa.RSAPrivateKey):
            return lambda data: private.sign(data, _PKCS1V15, _SHA256)
        if self.alg == "ES256" and isinstance(private, ec.EllipticCurvePrivateKey):
            return lambda data: _concatenated(private.sign(data, _ECDSA))
        if self.alg == "EdDSA" and isinstance(private, ed25519.Ed25519PrivateKey):
            return private.sign
        raise ValueError(f"signing key {self.kid} is not a key for {self.alg}")


def _concatenated(der: bytes) -> bytes:
    # RFC 7518, 3.4: R and S as 32 bytes each, not the ASN.1 that X9.62 uses.
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
