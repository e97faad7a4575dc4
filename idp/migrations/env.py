"""Alembic's entry: runs on the connection that `idp.migrations.upgrade` hands over."""

from alembic import context

from idp import state, tickets
from idp.accounts import (
    browsers,
    consents,
    organizations,
    passkeys,
    phones,
    recovery_codes,
    terms,
    totp,
    users,
)
from idp.audit import AuditRow
from idp.db import Base
from idp.oidc import clients
from idp.outbox import OutboxRow
from idp.sessions import SessionRow
from idp.throttle import FailureRow
from keys import store

# Importing a module registers its tables.
TABLES = (
    browsers,
    consents,
    organizations,
    passkeys,
    phones,
    recovery_codes,
    terms,
    tickets,
    totp,
    users,
    clients,
    AuditRow,
    OutboxRow,
    SessionRow,
    FailureRow,
)

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    # One upgrade at a time, also from several machines.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7341002)")
context.configure(
    connection=connection,
    target_metadata=[Base.metadata, store.METADATA, state.METADATA],
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
