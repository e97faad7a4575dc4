"""`sekisho db`, `sekisho doctor`, `sekisho settings`."""

from __future__ import annotations

import sys
from dataclasses import fields

import click
from sqlalchemy.exc import OperationalError as ConnectionFailed

from idp import migrations
from idp import settings as settings_module
from idp.cli import doctor as examination
from idp.cli.output import as_json, show, show_all
from idp.errors import Unavailable
from idp.setting_sources import PREFIX


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
    show({"revision": migrations.NEWEST}, as_json=as_json)


def reference() -> str:
    """docs/SETTINGS.md, generated."""
    lines = [
        "# Settings",
        "",
        "Given in the environment, or in one TOML file named by `SEKISHO_CONFIG` (names there in",
        "lower case without the prefix). Secrets (marked) may also be given as a file: the name",
        "with `_FILE` behind it. An unknown name is refused at start.",
        "",
        "This page is written by `sekisho settings`.",
        "",
        "| Setting | Default | Range | Meaning |",
        "| --- | --- | --- | --- |",
    ]
    for item in fields(settings_module.Settings):
        if item.name == "demo":
            continue
        unit = item.metadata["unit"]
        low_high = settings_module.RANGES.get(item.name)
        secret = " (secret)" if item.metadata["secret"] else ""
        default = ", ".join(item.default) if isinstance(item.default, tuple) else item.default
        lines.append(
            f"| `{PREFIX}{item.name.upper()}`{secret} "
            f"| {f'`{default}`' if str(default) else ''}{' ' + unit if unit else ''} "
            f"| {f'{low_high[0]}–{low_high[1]}' if low_high else ''} "
            f"| {item.metadata['doc'].replace('|', '/')} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
def settings() -> None:
    """Prints the reference of all settings (docs/SETTINGS.md)."""
    click.echo(reference(), nl=False)


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
