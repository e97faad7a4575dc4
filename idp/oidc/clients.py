"""Clients: relying applications that are registered here.

Owns the table, registering, changing and disabling. Does not own what may be registered
(`client_metadata`), nor the value that decisions work on (`client`).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, Text, bindparam, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import audit
from idp.audit import Event
from idp.db import Base, Prepared, Timestamp
from idp.errors import NotFound, Refused
from idp.oidc import client, client_metadata
from idp.oidc.client import Client

_SECRET = re.compile(r"[^\x00-\x1f\x7f]{1,256}\Z")
SHORT_SECRET = 22  # base64url characters of 128 bits


class ClientRow(Base):
    __tablename__ = "clients"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    # Members of OpenID Connect Registration and our own, one JSON object.
    # `metadata` itself is SQLAlchemy's name.
    members: Mapped[str] = mapped_column(Text)
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    organization_id: Mapped[str | None] = mapped_column(ForeignKey("organizations.id"))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    disabled_at: Mapped[datetime | None] = mapped_column(Timestamp)


class WebOrigin(Base):
    """Origins from which browser clients may call us: what a CORS preflight asks for."""

    __tablename__ = "web_origins"

    client_id: Mapped[str] = mapped_column(
        ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True
    )
    origin: Mapped[str] = mapped_column(String(512), primary_key=True, index=True)


COLUMNS: tuple[Any, ...] = (
    ClientRow.id.label("client_id"),
    ClientRow.members.label("client_members"),
    ClientRow.secret_hash.label("client_secret_hash"),
    ClientRow.organization_id.label("client_organization_id"),
)
ENABLED = Prepared(
    select(*COLUMNS).where(ClientRow.id == bindparam("client_id"), ClientRow.disabled_at.is_(None))
)
ORIGIN_IS_KNOWN = Prepared(
    select(WebOrigin.client_id)
    .join(ClientRow, ClientRow.id == WebOrigin.client_id)
    .where(WebOrigin.origin == bindparam("origin"), ClientRow.disabled_at.is_(None))
    .limit(1)
)


def from_row(row: Any) -> Client:
    """The client of a row that has COLUMNS."""
    return client.parse(
        row.client_id, row.client_members, row.client_secret_hash, row.client_organization_id
    )


@dataclass(frozen=True, slots=True)
class Registered:
    client_id: str
    client_secret: str | None
    """Only where a new one was made: shown once, never again."""
    metadata: dict[str, Any]
    unused: list[str]
    change: str
    """`added`, `changed` or `unchanged`."""


def register(
    session: Session,
    metadata: Mapping[str, Any],
    *,
    actor: str,
    secret_key: bytes,
    now: datetime,
    organization_id: str | None = None,
) -> Registered:
    """Registers a client, or changes the one whose `client_id` is given. Idempotent.

    `metadata`: members of OpenID Connect Registration, 2, and ours. A given `client_id` and
    `client_secret` are kept. Raises Refused with the member's name.
    """
    checked, unused = client_metadata.check(metadata)
    client_id = metadata.get("client_id") or secrets.token_hex(12)
    if not isinstance(client_id, str) or not client.is_client_id(client_id):
        raise Refused("client_id has characters that cannot be kept", member="client_id")
    name = checked.setdefault("client_name", client_id[:64])
    row = session.get(ClientRow, client_id, with_for_update=True)
    secret, is_new = _secret(metadata, checked, row)
    unused += _mark_short(secret, checked, row)
    members = json.dumps(checked, sort_keys=True, ensure_ascii=False)
    secret_hash: bytes | None = None
    if secret is not None:
        secret_hash = client.hash_secret(secret_key, client_id, secret)
    elif row is not None and checked["token_endpoint_auth_method"] != "none":
        secret_hash = row.secret_hash
    if row is not None and (row.members, row.secret_hash) == (members, secret_hash):
        return Registered(client_id, None, checked, unused, "unchanged")
    change, event = "changed", Event.CLIENT_CHANGED
    if row is None:
        change, event = "added", Event.CLIENT_ADDED
        row = ClientRow(id=client_id, created_at=now, organization_id=organization_id)
        session.add(row)
    row.name, row.members, row.secret_hash, row.updated_at = name, members, secret_hash, now
    session.flush()
    _write_origins(session, client_id, checked)
    audit.record(session, event, at=now, actor=actor, client_id=client_id, name=name)
    return Registered(client_id, secret if is_new else None, checked, unused, change)


def _mark_short(secret: str | None, checked: dict[str, Any], row: ClientRow | None) -> list[str]:
    """Marks a client whose secret could be guessed; what to tell who imports it."""
    if secret is None:
        if row is not None and json.loads(row.members).get("has_short_secret"):
            checked["has_short_secret"] = True
        return []
    if len(secret) >= SHORT_SECRET:
        return []
    checked["has_short_secret"] = True
    return [f"client_secret has fewer than {SHORT_SECRET} characters: rotate it"]


def _write_origins(session: Session, client_id: str, checked: Mapping[str, Any]) -> None:
    session.execute(delete(WebOrigin).where(WebOrigin.client_id == client_id))
    for origin in client.web_origins(checked):
        session.add(WebOrigin(client_id=client_id, origin=origin))


def _secret(
    metadata: Mapping[str, Any], checked: Mapping[str, Any], row: ClientRow | None
) -> tuple[str | None, bool]:
    """The secret to store, None to keep what is there, and whether it was made here."""
    given = metadata.get("client_secret")
    if checked["token_endpoint_auth_method"] == "none":
        if given:
            raise Refused("a public client has no client_secret", member="client_secret")
        return None, False
    if given is not None:
        if not isinstance(given, str) or not _SECRET.match(given):
            raise Refused(
                "client_secret must be 1 to 256 printable characters", member="client_secret"
            )
        return given, False
    if row is not None and row.secret_hash is not None:
        return None, False
    return secrets.token_urlsafe(32), True


def find(session: Session, client_id: str) -> ClientRow:
    row = session.get(ClientRow, client_id)
    if row is None:
        raise NotFound(f"no client {client_id!r}")
    return row


def describe(row: ClientRow) -> dict[str, Any]:
    """What may be shown of a client: everything but its secret."""
    return {
        "client_id": row.id,
        **json.loads(row.members),
        "organization_id": row.organization_id,
        "created_at": row.created_at.isoformat(),
        "disabled_at": row.disabled_at.isoformat() if row.disabled_at else None,
    }


def disable(session: Session, client_id: str, *, actor: str, now: datetime) -> None:
    """From now on every request of this client is refused, codes on the way included."""
    row = find(session, client_id)
    if row.disabled_at is None:
        row.disabled_at = row.updated_at = now
        audit.record(session, Event.CLIENT_DISABLED, at=now, actor=actor, client_id=client_id)


def enable(session: Session, client_id: str, *, actor: str, now: datetime) -> None:
    """Takes back `disable`."""
    row = find(session, client_id)
    if row.disabled_at is not None:
        row.disabled_at, row.updated_at = None, now
        audit.record(session, Event.CLIENT_ENABLED, at=now, actor=actor, client_id=client_id)
