"""Migrations: the schema's history, run by `sekisho db upgrade` (Alembic).

Expand, then contract: a release only adds, so that old and new processes run side by side;
removal comes one release later.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from idp import db, state
from idp.settings import Settings


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def newest() -> str:
    """The revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


def current(engine: Engine) -> str | None:
    """The revision of a database; None when it is empty."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(settings: Settings) -> None:
    """Brings the databases to the newest revision, each in one transaction. Safe to run twice,
    and while processes of the release before are serving."""
    main, short_lived = settings.main_database_url, settings.state_database_url
    config = _config()
    engine = db.make_writer(main)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
    if short_lived != main:
        # The second file of an embedded installation: one table, whose contents may be lost.
        engine = db.make_writer(short_lived)
        state.METADATA.create_all(engine)
        engine.dispose()
