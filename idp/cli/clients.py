"""`sekisho client`: relying applications. A secret is shown once, when it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from idp.accounts import organizations
from idp.cli.output import ACTOR, as_json, opened, show, show_all
from idp.errors import Refused
from idp.oidc import clients
from idp.oidc.client_metadata import AUTH_METHODS
from idp.oidc.clients import ClientRow
from keys.signing_key import ALGORITHMS


@click.group()
def client() -> None:
    """Relying applications."""


@client.command("add")
@click.argument("name")
@click.option("--redirect-uri", "redirect_uris", multiple=True, required=True)
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True)
@click.option("--public", is_flag=True, help="No secret: in a browser, or on a person's device.")
@click.option("--native", is_flag=True, help="An application on a person's device (RFC 8252).")
@click.option("--first-party", is_flag=True, help="Our own: people are not asked for consent.")
@click.option(
    "--auth-method", type=click.Choice(AUTH_METHODS[:-1]), help="How it shows its secret."
)
@click.option("--alg", type=click.Choice(ALGORITHMS), help="Signature of its ID tokens.")
@click.option("--no-pkce", is_flag=True, help="Do not demand PKCE (confidential clients alone).")
@click.option("--no-userinfo", is_flag=True, help="Its access token opens nothing.")
@click.option("--web-origin", "web_origins", multiple=True, help="Origin that may call us by CORS.")
@click.option("--org", "organization", help="Only users of this organisation may sign in.")
@as_json
def add_client(
    name: str,
    organization: str | None,
    as_json: bool,
    public: bool,
    native: bool,
    first_party: bool,
    auth_method: str | None,
    alg: str | None,
    no_pkce: bool,
    no_userinfo: bool,
    **lists: tuple[str, ...],
) -> None:
    """Registers an application."""
    metadata: dict[str, Any] = {
        "client_name": name,
        **{member: list(values) for member, values in lists.items() if values},
        "application_type": "native" if native else "web",
        "token_endpoint_auth_method": "none" if public else auth_method,
        "id_token_signed_response_alg": alg,
        "first_party": True if first_party else None,
        "require_pkce": False if no_pkce else None,
        "userinfo": False if no_userinfo else None,
    }
    with opened() as services, services.database.transaction() as session:
        owner = organizations.find(session, organization) if organization else None
        registered = clients.register(
            session,
            metadata,
            actor=ACTOR,
            secret_key=services.client_secret_key,
            now=services.clock.now(),
            organization_id=owner.id if owner else None,
        )
    show(_shown(registered), as_json=as_json)


def _shown(registered: clients.Registered) -> dict[str, Any]:
    return {
        "client_id": registered.client_id,
        "client_secret": registered.client_secret,
        "change": registered.change,
        **registered.metadata,
        "not_used": registered.unused,
    }


@client.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def import_clients(file: Path, as_json: bool) -> None:
    """Registers a JSON list of OpenID registration metadata: all of it, or nothing.

    A given client_id and client_secret are kept, so importing again changes nothing. Members that
    are kept but not used are named.
    """
    entries = _entries(file)
    results = []
    with opened() as services, services.database.transaction() as session:
        for position, entry in enumerate(entries, start=1):
            try:
                registered = clients.register(
                    session,
                    entry,
                    actor=ACTOR,
                    secret_key=services.client_secret_key,
                    now=services.clock.now(),
                )
            except Refused as error:
                raise Refused(f"entry {position}: {error}", member=error.member) from error
            results.append(registered)
    if as_json:
        click.echo(json.dumps([_shown(result) for result in results], ensure_ascii=False))
        return
    for result in results:
        click.echo(f"{result.change}: {result.client_id} ({result.metadata['client_name']})")
        if result.client_secret:
            click.echo(f"  client_secret: {result.client_secret}")
        if result.unused:
            click.echo(f"  kept, not used: {', '.join(result.unused)}")


def _entries(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{file} is not JSON: {str(error)[:200]}") from error
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refused(f"{file} must hold a JSON list of objects")
    return entries


@client.command("list")
@as_json
def list_clients(as_json: bool) -> None:
    """All applications, without their secrets."""
    with opened() as services, services.database.transaction() as session:
        rows = session.scalars(select(ClientRow).order_by(ClientRow.created_at)).all()
        shown = [
            {
                "client_id": row.id,
                "name": row.name,
                "auth_method": json.loads(row.members)["token_endpoint_auth_method"],
                "state": "disabled" if row.disabled_at else "enabled",
            }
            for row in rows
        ]
    show_all(shown, as_json=as_json, empty="No applications yet: `sekisho client add`.")


@client.command("show")
@click.argument("client_id")
@as_json
def show_client(client_id: str, as_json: bool) -> None:
    """One application, without its secret."""
    with opened() as services, services.database.transaction() as session:
        shown = clients.describe(clients.find(session, client_id))
    show(shown, as_json=as_json)


@client.command("disable")
@click.argument("client_id")
@as_json
def disable_client(client_id: str, as_json: bool) -> None:
    """Refuses every request of an application, at once."""
    _switch(clients.disable, client_id, as_json=as_json)


@client.command("enable")
@click.argument("client_id")
@as_json
def enable_client(client_id: str, as_json: bool) -> None:
    """Takes back `client disable`."""
    _switch(clients.enable, client_id, as_json=as_json)


def _switch(change: Callable[..., None], client_id: str, *, as_json: bool) -> None:
    with opened() as services, services.database.transaction() as session:
        change(session, client_id, actor=ACTOR, now=services.clock.now())
        shown = clients.describe(clients.find(session, client_id))
    show(shown, as_json=as_json)
