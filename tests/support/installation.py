"""Whole installations in the test process: settings, database, application, steerable clock.

A database is migrated and filled once in each process of a run; each test finds it as it was then.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import Boolean, Integer, column, delete, func, inspect, select, table, text
from sqlalchemy.orm import Session

import wsgi
from idp import migrations, services
from idp.accounts import organizations, policies
from idp.accounts.users import User
from idp.clock import SteerableClock
from idp.redis_state import RedisStateStore
from idp.services import Services
from idp.settings import Settings
from idp.state import SqlStateStore
from keys.sealing import Sealer
from tests.support.world import ISSUER, NOW, Person, fill

if TYPE_CHECKING:
    from tests.support.browser import Browser


@dataclass(frozen=True, slots=True)
class Installation:
    """A running provider of the test's own."""

    app: Flask
    settings: Settings
    clock: SteerableClock

    @property
    def services(self) -> Services:
        built: Services = self.app.extensions["sekisho"]
        return built

    @property
    def issuer(self) -> str:
        return self.settings.issuer

    def browser(self, address: str = "192.0.2.10") -> Browser:
        """A new browser, without cookies, at this address."""
        from tests.support.browser import Browser

        return Browser(self, address)

    def pass_time(self, **by: float) -> None:
        """Moves the clock, e.g. `seconds=61`."""
        self.clock.instant += timedelta(**by)

    @contextmanager
    def database(self) -> Iterator[Session]:
        """A transaction, for arranging what no page does yet."""
        with self.services.database.transaction() as session:
            yield session

    def user(self, person: Person) -> User:
        with self.database() as session:
            return session.scalars(select(User).where(User.email == person.email)).one()

    def sub(self, person: Person) -> str:
        """The person's `sub`."""
        return self.user(person).id

    def switch(self, person: Person, *, on: bool) -> None:
        """Switches somebody off, or on again."""
        with self.database() as session:
            user = session.scalars(select(User).where(User.email == person.email)).one()
            user.disabled_at = None if on else self.clock.now()

    def change_policy(self, organization: str, **members: Any) -> None:
        """Changes the policy of the organisation "A" or "B"."""
        with self.database() as session:
            owner = organizations.find(session, f"Organisation {organization}")
            policies.change(session, owner, members, actor="test", now=self.clock.now())

    def sql(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """Runs a statement of the test's own; its rows, if it has any."""
        with self.services.database.writer.begin() as connection:
            result = connection.execute(text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    def events(self) -> list[str]:
        """The names of what the audit recorded, oldest first."""
        return [row["event"] for row in self.sql("SELECT event FROM audit ORDER BY id")]

    def counts(self) -> dict[str, int]:
        """How many rows each table has, and how many entries the StateStore."""
        engine = self.services.database.writer
        with engine.connect() as connection:
            counted = {
                name: connection.scalars(select(func.count()).select_from(table(name))).one()
                for name in inspect(connection).get_table_names()
            }
        return counted | {"state": len(self.state_entries())}

    def state_entries(self) -> list[bytes]:
        """Every value in the StateStore."""
        store = self.services.state
        if isinstance(store, RedisStateStore):
            import redis

            with redis.Redis.from_url(self.settings.redis_url) as connection:
                return [connection.get(key) for key in connection.scan_iter()]
        if not isinstance(store, SqlStateStore):
            raise TypeError(f"no way to look into {store!r}")
        with store._engine.connect() as connection:
            return [bytes(row[0]) for row in connection.execute(text("SELECT value FROM state"))]

    def close(self) -> None:
        self.services.close()
        with self.app.app_context():
            from idp.db import db

            db.engine.dispose()


@dataclass(frozen=True, slots=True)
class Template:
    """A migrated and filled database, and how to copy it."""

    settings: Settings

    def install(self, settings: Settings) -> Installation:
        """An installation on a copy that `settings` name."""
        clock = SteerableClock(NOW)
        return Installation(wsgi.create_app(settings, clock=clock), settings, clock)


def cheap_settings(data_dir: Path, **others: Any) -> Settings:
    """Settings of production, but with a password hash that costs next to nothing."""
    given: dict[str, Any] = {
        "base_url": ISSUER,
        "data_dir": data_dir,
        "argon2_memory_kib": 8,
        "argon2_passes": 1,
        # Nobody is there, but text messages are offered.
        "sms_url": "https://sms.test/send",
    }
    return Settings(**given | others)


def make_template(folder: Path, **others: Any) -> Template:
    settings = cheap_settings(folder, master_key=Sealer.new_master_key_text(), **others)
    migrations.upgrade(settings)
    built = services.build(settings, clock=SteerableClock(NOW))
    fill(built)
    built.close()
    return Template(settings)


SQLITE_FILES = ("sekisho.db", "state.db")


def copy_sqlite(template: Template, folder: Path, **changes: Any) -> Installation:
    """An installation on SQLite; `changes` are settings."""
    for name in SQLITE_FILES:
        shutil.copyfile(template.settings.data_dir / name, folder / name)
    return template.install(replace(template.settings, data_dir=folder, **changes))


def reset_sqlite(template: Template, installation: Installation) -> None:
    """Makes an installation as it was when it was copied; ten times faster than a new one."""
    with _as_new(installation):
        for name in SQLITE_FILES:
            with (
                closing(sqlite3.connect(template.settings.data_dir / name)) as source,
                closing(sqlite3.connect(installation.settings.data_dir / name)) as target,
            ):
                target.execute("pragma synchronous=off")
                source.backup(target)


def keep_postgres(installation: Installation) -> None:
    """Remembers what is in the database, for `reset_postgres`."""
    state = select(column("last_value", Integer), column("is_called", Boolean))
    with installation.services.database.writer.connect() as connection:
        tables = inspect(connection).get_table_names()
        sequences = {
            name: connection.execute(state.select_from(table(name))).one()
            for name in inspect(connection).get_sequence_names()
        }
    steps = [str(delete(table(name))) for name in tables]
    steps += [f"INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE kept.{name}" for name in tables]
    steps += [f"PERFORM setval('{name}', {at}, {used})" for name, (at, used) in sequences.items()]
    installation.sql("CREATE SCHEMA kept")
    for name in tables:
        installation.sql(f"CREATE TABLE kept.{name} AS TABLE {name}")
    # As a replica no foreign key is checked, so that the order of the tables does not matter.
    installation.sql(
        "CREATE FUNCTION kept.restore() RETURNS void LANGUAGE plpgsql"
        f" SET session_replication_role = replica AS $$ BEGIN {'; '.join(steps)}; END $$"
    )


def reset_postgres(installation: Installation) -> None:
    """Makes an installation as it was when it was kept; hundred times faster than a copy."""
    with _as_new(installation):
        installation.sql("SELECT kept.restore()")


@contextmanager
def _as_new(installation: Installation) -> Iterator[None]:
    """Around the change of all rows: what the process knows besides becomes true again."""
    kept = "SELECT kid FROM signing_keys ORDER BY kid"
    before = installation.sql(kept)
    yield
    installation.clock.instant = NOW
    if installation.sql(kept) != before:
        installation.services.keyring.ensure(NOW)
