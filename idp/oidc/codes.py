"""Authorization codes and the UserInfo handles that come from them.

A code becomes its handle in one step, so of any number of redemptions one succeeds (RFC 6749,
4.1.2). The handle lies under a name derived from the code: presenting the code again finds and
ends it, without any record of used codes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import struct
from datetime import datetime
from typing import Any, NamedTuple

from idp.state import Kind, StateStore

_json = json.JSONEncoder(separators=(",", ":")).encode
_DEADLINE = struct.Struct("!d")
STORE_SLACK = 60  # seconds: expiry is judged by our clock; the store only cleans up


class Grant(NamedTuple):
    """What a code, and later its handle, stands for. `expires_at` is the code's."""

    client_id: str
    sid: str
    user_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    nonce: str | None
    code_challenge: str | None
    auth_time: int
    methods: tuple[str, ...]
    id_token_claims: tuple[str, ...]
    userinfo_claims: tuple[str, ...]
    expires_at: float


def issue_code(store: StateStore, grant: Grant, ttl: int) -> str:
    """A code for this grant. It begins with the `sid`, which is no secret, so that client and
    person can be read in one statement before the code is taken; the rest is 256 random bits."""
    code = f"{grant.sid}.{secrets.token_urlsafe(32)}"
    store.put(Kind.CODE, code, _encode(grant), ttl + STORE_SLACK)
    return code


def sid_of(code: str) -> str:
    """The session that a code speaks of; empty when it cannot be one of ours."""
    sid = code.partition(".")[0]
    return sid if sid.isascii() and sid.isalnum() else ""


def peek_code(store: StateStore, code: str) -> Grant | None:
    return _decode(store.get(Kind.CODE, code))


def take_code(
    store: StateStore, code: str, *, now: datetime, handle_seconds: int
) -> tuple[Grant, str] | None:
    """The grant of a code that nobody took before, and its handle, else None.

    The code becomes the handle in one step. The code may have expired: compare. Who refuses the
    redemption for that or another reason calls `end_handle`; nobody was told the handle.
    """
    place, secret = _place(code), secrets.token_urlsafe(32)
    until = _DEADLINE.pack(now.timestamp() + handle_seconds)
    head = hashlib.sha256(secret.encode()).digest() + until
    ttl = handle_seconds + STORE_SLACK
    grant = _decode(store.turn(Kind.CODE, code, Kind.HANDLE, place, head, ttl))
    return None if grant is None else (grant, f"{place}.{secret}")


def open_handle(store: StateStore, handle: str, now: datetime) -> Grant | None:
    """The grant of a handle that is still good, else None."""
    place, _, secret = handle.partition(".")
    stored = store.get(Kind.HANDLE, place) if secret else None
    if stored is None:
        return None
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    if not hmac.compare_digest(stored[:32], digest):
        return None
    (until,) = _DEADLINE.unpack(stored[32:40])
    return _decode(stored[40:]) if now.timestamp() < until else None


def end_handle(store: StateStore, code: str) -> bool:
    """Ends the handle that this code became; whether there was one."""
    return store.take(Kind.HANDLE, _place(code)) is not None


def _place(code: str) -> str:
    digest = hashlib.sha256(b"handle:" + code.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[:15]).decode()


def _encode(grant: Grant) -> bytes:
    return _json(grant).encode()


def _decode(stored: bytes | None) -> Grant | None:
    if stored is None:
        return None
    members: list[Any] = json.loads(stored.decode())
    return Grant._make(tuple(item) if isinstance(item, list) else item for item in members)
