"""`sekisho keys`: signing keys, and making a master key."""

from __future__ import annotations

from datetime import timedelta

import click

from idp import audit
from idp.audit import Event
from idp.cli.output import ACTOR, as_json, opened, show, show_all
from idp.errors import NotFound
from idp.services import Services
from keys.keyring import UnknownKey
from keys.sealing import Sealer
from keys.signing_key import ALGORITHMS, phase

KEEP = timedelta(days=30)


@click.group()
def keys() -> None:
    """Signing keys."""


@keys.command("master")
def master() -> None:
    """Prints a new master key. Keep it apart from the database and its backups."""
    click.echo(Sealer.new_master_key_text())


@keys.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """The published keys and what each is for now."""
    with opened() as services:
        now = services.clock.now()
        published = services.keyring.public_keys(now)
        shown = [
            {
                "kid": key.kid,
                "alg": key.alg,
                "phase": str(phase(key, published, now, KEEP)),
                "signs_from": key.signs_from.isoformat(timespec="seconds"),
            }
            for key in published
        ]
    show_all(shown, as_json=as_json, empty="No keys.")


@keys.command("rotate")
@click.option("--alg", type=click.Choice(ALGORITHMS), help="One algorithm; default: all.")
@click.option(
    "--now",
    "immediately",
    is_flag=True,
    help="Sign with it at once: relying parties that cached the keys fail until they look again.",
)
@as_json
def rotate(alg: str | None, immediately: bool, as_json: bool) -> None:
    """Announces the next signing key; it signs after 24 hours."""
    shown = []
    with opened() as services:
        for each in [alg] if alg else ALGORITHMS:
            key = services.keyring.rotate(each, services.clock.now(), immediately=immediately)
            _record(services, Event.KEY_ROTATED, key.kid)
            shown.append(
                {
                    "kid": key.kid,
                    "alg": each,
                    "signs_from": key.signs_from.isoformat(timespec="seconds"),
                }
            )
    show_all(shown, as_json=as_json, empty="")


@keys.command("withdraw")
@click.argument("kid")
@as_json
def withdraw(kid: str, as_json: bool) -> None:
    """Stops trusting a key at once; its successor signs. For a key that may have leaked."""
    with opened() as services:
        try:
            services.keyring.withdraw(kid, services.clock.now())
        except UnknownKey as error:
            raise NotFound(f"no key {kid!r}") from error
        _record(services, Event.KEY_WITHDRAWN, kid)
    show({"kid": kid, "phase": "gone"}, as_json=as_json)


def _record(services: Services, event: Event, kid: str) -> None:
    with services.database.transaction() as session:
        audit.record(session, event, at=services.clock.now(), actor=ACTOR, kid=kid)
