"""Health: is the process alive, and can it serve? For load balancers and supervisors."""

from __future__ import annotations

from flask import Blueprint, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from idp import web
from idp.accounts.organizations import Organization
from idp.db import Prepared
from idp.errors import SekishoError
from idp.oidc import machine

blueprint = Blueprint("health", __name__)
_DATABASE = Prepared(select(Organization.id).limit(1))


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while the process answers at all."""
    return machine.answer({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """200 when database and state store answer, else 503 with what does not."""
    services = web.services()
    parts = {}
    for name, ask in (
        ("database", lambda: _DATABASE.all(services.database.reader)),
        ("state", services.state.ping),
        ("keys", lambda: services.keyring.signer("RS256", services.clock.now())),
    ):
        try:
            ask()
            parts[name] = "ok"
        except (SekishoError, SQLAlchemyError):
            parts[name] = "failing"
    ready = set(parts.values()) == {"ok"}
    return machine.answer({"status": "ok" if ready else "failing", **parts}, 200 if ready else 503)
