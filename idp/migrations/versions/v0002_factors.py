"""Factors: policies, authenticators, passkeys, phones, recovery codes, tickets, terms.

Revision: 0002
"""

import sqlalchemy as sa
from alembic import op

from idp.db import Timestamp

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _add_columns()
    _create_factors()
    _create_terms()
    op.create_table(
        "tickets",
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        _user_id(),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False),
        sa.Column("used_at", Timestamp(), nullable=True),
        _of_user("tickets"),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_tickets")),
    )
    op.create_index(op.f("ix_tickets_user_id"), "tickets", ["user_id"], unique=False)


def _add_columns() -> None:
    """Each with a default of the database's, for the release before, which does not know them."""
    op.add_column(
        "organizations", sa.Column("policy", sa.Text(), server_default="{}", nullable=False)
    )
    for name, length, default in (
        ("email_domain", 254, ""),
        ("login_method", 16, "pwd"),
        ("required_actions", 200, ""),
    ):
        op.add_column(
            "users",
            sa.Column(name, sa.String(length=length), server_default=default, nullable=False),
        )
    # An address of ours has one at sign.
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE users SET email_domain = substr(email_key, instr(email_key, '@') + 1)")
    else:
        op.execute("UPDATE users SET email_domain = split_part(email_key, '@', 2)")
    op.create_index("ix_users_email_domain", "users", ["email_domain", "id"], unique=False)
    op.add_column("browsers", sa.Column("remembered_at", Timestamp(), nullable=True))
    for name, length in (("id", 32), ("address", 45), ("user_agent", 200)):
        op.add_column(
            "browsers", sa.Column(name, sa.String(length=length), server_default="", nullable=False)
        )
    op.create_index("ix_browsers_secret_hash", "browsers", ["secret_hash"], unique=False)
    op.add_column(
        "sessions",
        sa.Column("is_waived", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def _user_id() -> sa.Column[str]:
    return sa.Column("user_id", sa.String(length=32), nullable=False)


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id_users"), ondelete="CASCADE"
    )


def _create_factors() -> None:
    op.create_table(
        "authenticators",
        sa.Column("id", sa.String(length=32), nullable=False),
        _user_id(),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("last_used_at", Timestamp(), nullable=True),
        _of_user("authenticators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticators")),
    )
    op.create_index(op.f("ix_authenticators_user_id"), "authenticators", ["user_id"], unique=False)
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(length=32), nullable=False),
        _user_id(),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.String(length=200), nullable=False),
        sa.Column("aaguid", sa.String(length=36), nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("last_used_at", Timestamp(), nullable=True),
        _of_user("passkeys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index(op.f("ix_passkeys_user_id"), "passkeys", ["user_id"], unique=False)
    op.create_table(
        "phones",
        _user_id(),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("verified_at", Timestamp(), nullable=False),
        sa.Column("last_used_at", Timestamp(), nullable=True),
        _of_user("phones"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_phones")),
    )
    op.create_table(
        "recovery_codes",
        _user_id(),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        _of_user("recovery_codes"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_recovery_codes")),
    )


def _create_terms() -> None:
    op.create_table(
        "terms",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("organization_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("text_ja", sa.Text(), nullable=False),
        sa.Column("published_at", Timestamp(), nullable=False),
        sa.Column("superseded_at", Timestamp(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terms")),
    )
    op.create_index(
        "uq_terms_organization_id", "terms", ["organization_id", "version"], unique=True
    )
    op.create_table(
        "terms_acceptances",
        _user_id(),
        sa.Column("terms_id", sa.String(length=32), nullable=False),
        sa.Column("accepted_at", Timestamp(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False, server_default=""),
        _of_user("terms_acceptances"),
        sa.ForeignKeyConstraint(
            ["terms_id"],
            ["terms.id"],
            name=op.f("fk_terms_acceptances_terms_id_terms"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "terms_id", name=op.f("pk_terms_acceptances")),
    )
