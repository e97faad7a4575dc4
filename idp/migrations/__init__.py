"""Migrations: the schema's history, run by `sekisho db upgrade` (Alembic).

Expand, then contract: a release only adds, so that old and new processes run side by side;
removal comes one release later. Alembic itself is loaded to upgrade alone: a server only compares
two names, and ten megabytes in every process would be much for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text

from idp import db, state
from idp.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS = ("0001", "0002")
"""All revisions, oldest first; a test holds them against versions/."""
NEWEST = REVISIONS[-1]
"""The revision that this release needs."""


def current(engine: Engine) -> str | None:
    """The revision of a database; None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found


def upgrade(settings: Settings) -> None:
    """Brings the databases to the newest revision, each in one transaction. Safe to run twice,
    and while processes of the release before are serving."""
    from alembic import command

    main, short_lived = settings.main_database_url, settings.state_database_url
    config = configuration()
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


def configuration() -> Config:
    """Alembic's configuration: the folder, no file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
