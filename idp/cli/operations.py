"""`sekisho db`, `sekisho doctor`, `sekisho settings`."""

from __future__ import annotations

import sys

import click
from sqlalchemy.exc import OperationalError as ConnectionFailed

from idp import migrations
from idp import settings as settings_module
from idp.cli import doctor as examination
from idp.cli.output import as_json, show, show_all
from idp.errors import Unavailable


@click.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@as_json
def upgrade(as_json: bool) -> None:
    """Makes or upgrades the tables. Safe to run again, and while old processes serve."""
    settings = settings_module.load()
    if settings.main_database_url.startswith("sqlite"):
        examination.make_data_dir(settings)
    try:
        migrations.upgrade(settings)
    except ConnectionFailed as error:
        raise Unavailable("the database") from error
    show({"revision": migrations.newest()}, as_json=as_json)


@click.command()
def settings() -> None:
    """Prints the reference of all settings (docs/SETTINGS.md)."""
    click.echo(settings_module.reference(), nl=False)


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Checks settings, database, Redis, mail, clock, keys and base URL; says what to do."""
    findings = examination.examine()
    rows = [
        {"check": finding.check, "result": finding.result, "advice": finding.advice}
        for finding in findings
    ]
    show_all(rows, as_json=as_json, empty="")
    if any(finding.result == "failed" for finding in findings):
        sys.exit(1)
