"""`sekisho org` and `sekisho user`."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import click

from idp import audit, policy
from idp.accounts import locks, new_passwords, organizations, passwords, policies, users
from idp.accounts.users import Action, Role
from idp.audit import Event
from idp.cli.output import ACTOR, as_json, opened, show
from idp.errors import Refused
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


@org.command("policy")
@click.argument("organization")
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@as_json
def change_policy(organization: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Shows an organisation's policy, or changes members of it: `second_factor=always`.

    Lists are separated by commas; an empty value takes a member back to its default.
    """
    with opened() as services, services.database.transaction() as session:
        owner = organizations.find(session, organization)
        if changes:
            policies.change(
                session,
                owner,
                dict(_change(text) for text in changes),
                actor=ACTOR,
                now=services.clock.now(),
            )
        members = policy.of_organization(owner.policy)
        shown = {member.name: _plain(getattr(members, member.name)) for member in fields(members)}
    show(shown, as_json=as_json)


def _change(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise Refused(f"{text[:80]!r} is not NAME=VALUE")
    return name, policy.read(name, value)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


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


@user.command("set-password")
@click.argument("email")
@click.option("--temporary", is_flag=True, help="It must be changed at the next sign-in.")
@as_json
def set_password(email: str, temporary: bool, as_json: bool) -> None:
    """Sets a password, read from standard input, and ends all sessions. The person is told."""
    with opened() as services:
        about = _credentials(services, email)
        password = sys.stdin.readline().rstrip("\r\n")
        done = new_passwords.set_password(
            services,
            about,
            password,
            actor=ACTOR,
            now=services.clock.now(),
            is_temporary=temporary,
        )
        if not done:
            raise Refused("this account was changed in this very moment: try again")
    show({"id": about.id, "email": about.email, "temporary": temporary}, as_json=as_json)


@user.command("unlock")
@click.argument("email")
@as_json
def unlock(email: str, as_json: bool) -> None:
    """Lifts the lock that wrong passwords brought."""
    with opened() as services, services.database.transaction() as session:
        found = users.find(session, email)
        usable = locks.unlock(services, session, found, actor=ACTOR, now=services.clock.now())
        shown = {"id": found.id, "email": found.email, "usable": usable}
    show(shown, as_json=as_json)
    if not usable:
        hint = "a hundred wrong passwords in a row ended this password: `sekisho user set-password`"
        click.echo(f"sekisho: {hint}", err=True)


@user.command("require")
@click.argument("email")
@click.argument(
    "action", type=click.Choice([Action.VERIFY_ADDRESS.value, Action.CHANGE_PASSWORD.value])
)
@as_json
def require(email: str, action: str, as_json: bool) -> None:
    """Has a person do something before the next application is answered."""
    with opened() as services:
        about = _credentials(services, email) if action == Action.CHANGE_PASSWORD else None
        with services.database.transaction() as session:
            found = users.find(session, about.email if about else email)
            users.require(session, found.id, Action(action))
            audit.record(
                session,
                Event.ACTION_REQUIRED,
                at=services.clock.now(),
                actor=ACTOR,
                user_id=found.id,
                organization_id=found.organization_id,
                action=action,
            )
            shown = {
                "id": found.id,
                "email": found.email,
                "required_actions": found.required_actions.split(),
            }
    show(shown, as_json=as_json)


def _credentials(services: Services, email: str) -> Any:
    """A row of `users.CREDENTIAL_COLUMNS` of somebody who signs in with a password."""
    with services.database.transaction() as session:
        found = users.find(session, email)
    about = users.BY_ID.one(services.database.reader, user_id=found.id)
    if about is None or about.login_method != Method.PASSWORD:
        raise Refused(f"{found.email} does not sign in with a password", member="login_method")
    return about


def _read_password(services: Services) -> str:
    """The hash of the first line of standard input. Raises Refused."""
    password = sys.stdin.readline().rstrip("\r\n")
    passwords.check_acceptable(password)
    return services.passwords.hash(password)
