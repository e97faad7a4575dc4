"""Sealing secrets at rest, and keys derived from the master key.

Owns: the master key in memory, the sealed format, derivation by purpose.
Does not own: where the master key comes from, which rows are sealed, re-wrapping.

AES-256-GCM (NIST SP 800-38D) under a key derived with HKDF-SHA256 (RFC 5869). Sealed bytes:

    version (1) | key id (8) | nonce (12) | ciphertext and tag

Associated data are the version, the key id and the context, which names the row and column the
secret belongs to: moved to another row it does not open.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASTER_KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 8
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES


class SealBroken(Exception):
    """Sealed bytes do not open: altered, moved elsewhere, or sealed by another master key."""


class Sealer:
    """Seals and opens secrets, and derives keys. Holds the master key only in derived form.

    `previous` are earlier master keys: they open what they sealed, and seal and derive nothing.
    """

    __slots__ = ("_ciphers", "_current", "_derivation", "key_id")

    def __init__(self, master_key: bytes, *, previous: Sequence[bytes] = ()) -> None:
        """Raises ValueError unless every key is 32 bytes."""
        if any(len(key) != MASTER_KEY_BYTES for key in (master_key, *previous)):
            raise ValueError(f"a master key is exactly {MASTER_KEY_BYTES} bytes")
        self._current = _key_id(master_key)
        self._ciphers = {
            _key_id(key): AESGCM(_expand(key, "seal")) for key in (*previous, master_key)
        }
        self._derivation = _expand(master_key, "derive")
        self.key_id: Final = self._current.hex()

    @classmethod
    def from_text(cls, text: str, *, previous: Sequence[str] = ()) -> Sealer:
        """From 64 hexadecimal digits, or 32 bytes in base64 or base64url. Raises ValueError."""
        return cls(_parse(text), previous=[_parse(earlier) for earlier in previous])

    @staticmethod
    def new_master_key_text() -> str:
        """A fresh random master key as `from_text` reads it."""
        return secrets.token_hex(MASTER_KEY_BYTES)

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Encrypts for one place. `context` names it, e.g. "signing_key:<kid>"."""
        head = _VERSION + self._current
        # A random nonce is safe up to 2^32 secrets under one key (NIST SP 800-38D, 8.3); an
        # installation seals one per key, TOTP seed and connector.
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self._current]
        return head + nonce + cipher.encrypt(nonce, plaintext, head + context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """The plaintext sealed for this `context`. Raises SealBroken for anything wrong."""
        if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise SealBroken(f"{context}: these are not sealed bytes of a known version")
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        cipher = self._ciphers.get(head[1:])
        if cipher is None:
            raise SealBroken(
                f"{context}: sealed with master key {head[1:].hex()}, but this one is {self.key_id}"
            )
        try:
            return cipher.decrypt(
                nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + context.encode()
            )
        except InvalidTag:
            raise SealBroken(f"{context}: altered, or sealed for another place") from None

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this purpose and master key give, e.g. for CSRF tokens or a pepper.

        They change with the master key: previous keys are not asked.
        """
        return _expand(self._derivation, purpose)

    def __repr__(self) -> str:
        return f"Sealer(key_id={self.key_id!r})"


def _expand(key: bytes, label: str) -> bytes:
    # No salt: the input is a uniformly random key already (RFC 5869, 3.1).
    return HKDF(SHA256(), length=32, salt=None, info=b"sekisho " + label.encode()).derive(key)


def _key_id(master_key: bytes) -> bytes:
    return _expand(master_key, "key id")[:_KEY_ID_BYTES]


def _parse(text: str) -> bytes:
    stripped = text.strip()
    try:
        if len(stripped) == 2 * MASTER_KEY_BYTES:
            return bytes.fromhex(stripped)
        padded = stripped.rstrip("=") + "=" * (-len(stripped.rstrip("=")) % 4)
        key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError(
            "a master key is 64 hexadecimal digits, or 32 bytes in base64; "
            "make one with: openssl rand -hex 32"
        )
    return key
