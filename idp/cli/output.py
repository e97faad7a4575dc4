"""What commands share: services for one command, and printing for people or for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.exc import OperationalError

from idp import services, settings
from idp.errors import Unavailable
from idp.services import Services

ACTOR = "cli"

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@contextmanager
def opened() -> Iterator[Services]:
    """The services, for the length of one command."""
    built = services.build(settings.load())
    try:
        yield built
    except OperationalError as error:
        raise Unavailable("the database") from error
    finally:
        built.close()


def show(value: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a JSON object, or one `name: value` line for each member."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    for name, member in value.items():
        if member is None or member == []:
            continue
        shown = ", ".join(map(str, member)) if isinstance(member, list) else member
        click.echo(f"{name}: {shown}")


def show_all(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Many things: a JSON list, or a table."""
    if as_json:
        click.echo(json.dumps(list(rows), ensure_ascii=False))
        return
    if not rows:
        click.echo(empty)
        return
    names = list(rows[0])
    table = [
        names,
        *([str(row[name] if row[name] is not None else "") for name in names] for row in rows),
    ]
    widths = [max(len(line[column]) for line in table) for column in range(len(names))]
    for line in table:
        click.echo(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )
