"""The parts of a running provider, built once from settings and handed down.

Owns building them in the right order, and refusing to start with a wrong or missing master key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from idp import db, migrations
from idp.accounts.passwords import Passwords
from idp.clock import Clock, SystemClock
from idp.errors import SettingsError
from idp.settings import Settings
from idp.state import StateStore, make_state_store
from idp.throttle import Throttle
from keys.keyring import Keyring
from keys.sealing import SealBroken, Sealer
from keys.store import SqlKeyStore

MASTER_KEY_FILE = "master.key"


@dataclass(frozen=True)
class Services:
    settings: Settings
    clock: Clock
    database: db.Database
    state: StateStore
    sealer: Sealer
    keyring: Keyring
    passwords: Passwords
    throttle: Throttle
    client_secret_key: bytes
    csrf_key: bytes
    ghost_key: bytes
    """Names the failure counters of identifiers that nobody has."""
    sent_code_key: bytes

    def close(self) -> None:
        self.state.close()
        self.database.dispose()


def sealer(settings: Settings) -> Sealer:
    """The seal of this installation. Raises SettingsError when there is no usable master key."""
    source, text = "SEKISHO_MASTER_KEY", settings.master_key
    if not text:
        path = settings.data_dir / MASTER_KEY_FILE
        source = str(path)
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"no master key: SEKISHO_MASTER_KEY is not set and {path} cannot be read. "
                "Make one with `sekisho keys master` and keep it apart from database backups"
            ) from error
    try:
        return Sealer.from_text(text)
    except ValueError as error:
        raise SettingsError(f"{source} is not a master key: {error}") from error


def build(
    settings: Settings, *, clock: Clock | None = None, writer: Engine | None = None
) -> Services:
    """Everything but the web. `writer`: an engine that somebody else made (Flask-SQLAlchemy's).

    Raises SettingsError, one line with what to do.
    """
    clock = clock or SystemClock()
    seal = sealer(settings)
    url = settings.main_database_url
    database = db.Database(
        writer=db.prepare_writer(writer) if writer is not None else db.make_writer(url),
        reader=db.make_reader(url),
    )
    _check_schema(database)
    keyring = open_keyring(settings, database, seal, clock)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        state=make_state_store(settings.redis_url, db.make_reader(settings.state_database_url)),
        sealer=seal,
        keyring=keyring,
        passwords=Passwords(settings, seal.derive("password pepper"), seal.key_id),
        throttle=Throttle(database),
        client_secret_key=seal.derive("client secret"),
        csrf_key=seal.derive("csrf"),
        ghost_key=seal.derive("unknown identifiers"),
        sent_code_key=seal.derive("sent codes"),
    )


def open_keyring(settings: Settings, database: db.Database, seal: Sealer, clock: Clock) -> Keyring:
    keyring = Keyring(
        SqlKeyStore(database.writer),
        seal,
        rotate_every=timedelta(days=settings.key_rotation_days),
    )
    try:
        keyring.ensure(clock.now())
    except SealBroken as error:
        raise SettingsError(
            "the master key does not open the signing keys of this database: it is another "
            "installation's, or an old one. Nothing was changed"
        ) from error
    return keyring


def _check_schema(database: db.Database) -> None:
    try:
        current = migrations.current(database.writer)
    except SQLAlchemyError as error:
        raise SettingsError(f"the database does not answer: {_first_line(error)}") from error
    # A revision that we do not know is a later release's, which only added: that one serves
    # beside us until we are restarted.
    if current is None or (current in migrations.REVISIONS and current != migrations.NEWEST):
        raise SettingsError(
            "the database schema is not this version's: run `sekisho db upgrade`"
            + ("" if current else " (the database is empty)")
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
