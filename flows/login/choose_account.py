"""Which of the accounts that are signed in here? Asked when the application wants a choice."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from flows.login.visit import Visit, save
from flows.next_step import Step
from idp import web
from idp.interaction import Interaction


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    email: str
    organization: str
    signed_in: bool


@dataclass(frozen=True, slots=True)
class ChooseAccountPage:
    action: str
    csrf: str
    application: str
    accounts: list[Account]


def show(visit: Visit) -> Response:
    return web.render(
        "login/choose_account.html",
        ChooseAccountPage(
            action=visit.url(Step.CHOOSE_ACCOUNT),
            csrf=visit.csrf,
            application=visit.asked.client.name,
            accounts=[
                Account(
                    id=row.sid,
                    name=row.user_name,
                    email=row.email,
                    organization=row.organization_name,
                    signed_in=True,
                )
                for row in visit.asked.rows
            ],
        ),
    )


def take(visit: Visit) -> Interaction | Response:
    """A session of this very browser, or another account."""
    wanted = request.form.get("account", "")
    if wanted == "other":
        return save(
            replace(
                visit.interaction,
                account_chosen=True,
                session_id=None,
                opened=False,
                identifier="",
                proofs=(),
                user_id=None,
            )
        )
    for row in visit.asked.rows:
        if row.sid == wanted:
            return save(
                replace(
                    visit.interaction,
                    account_chosen=True,
                    session_id=row.sid,
                    opened=False,
                    identifier=row.email,
                    proofs=(),
                    user_id=None,
                )
            )
    return show(visit)
