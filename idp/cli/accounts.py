"""`sekisho org` and `sekisho user`."""

from __future__ import annotations

import sys

import click

from idp import audit
from idp.accounts import organizations, passwords, users
from idp.accounts.users import Role
from idp.audit import Event
from idp.cli.output import ACTOR, as_json, opened, show
from idp.policy import LOGIN_METHODS, Method
from idp.services import Services


@click.group()
def org() -> None:
    """Organisations."""


@org.command("add")
@click.argument("name")
@as_json
def add_organization(name: str, as_json: bool) -> None:
    """Adds an organisation."""
    with opened() as services, services.database.transaction() as session:
        now = services.clock.now()
        added = organizations.add(session, name, now=now)
        audit.record(
            session,
            Event.ORGANIZATION_ADDED,
            at=now,
            actor=ACTOR,
            organization_id=added.id,
            name=added.name,
        )
        shown = {"id": added.id, "name": added.name}
    show(shown, as_json=as_json)


@click.group()
def user() -> None:
    """People."""


@user.command("add")
@click.argument("email")
@click.option("--org", "organization", required=True, help="Name or id of the organisation.")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.MEMBER.value)
@click.option("--login-id", help="A sign-in ID beside the address.")
@click.option("--locale", type=click.Choice(["ja", "en"]), help="Language of mails.")
@click.option(
    "--login-method",
    type=click.Choice([method.value for method in LOGIN_METHODS]),
    default=Method.PASSWORD.value,
    help="Password, mailed code or authenticator app; only the first takes a password.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@as_json
def add_user(
    email: str,
    organization: str,
    role: str,
    locale: str | None,
    password_stdin: bool,
    as_json: bool,
    **named: str,
) -> None:
    """Adds a user. The address counts as verified: the operator vouches for it."""
    if password_stdin and named["login_method"] != Method.PASSWORD:
        raise click.UsageError("--password-stdin is for those who sign in with a password")
    with opened() as services:
        password_hash = _read_password(services) if password_stdin else None
        now = services.clock.now()
        with services.database.transaction() as session:
            owner = organizations.find(session, organization)
            added = users.add(
                session,
                email,
                organization=owner,
                now=now,
                role=Role(role),
                password_hash=password_hash,
                profile={"locale": locale} if locale else None,
                email_verified=True,
                **named,
            )
            about = {"user_id": added.id, "organization_id": owner.id}
            audit.record(session, Event.USER_ADDED, at=now, actor=ACTOR, role=added.role, **about)
            shown = {
                **{
                    name: getattr(added, name)
                    for name in ("id", "email", "login_id", "name", "role", "login_method")
                },
                "organization": owner.name,
            }
    show(shown, as_json=as_json)


def _read_password(services: Services) -> str:
    """The hash of the first line of standard input. Raises Refused."""
    password = sys.stdin.readline().rstrip("\r\n")
    passwords.check_acceptable(password)
    return services.passwords.hash(password)
