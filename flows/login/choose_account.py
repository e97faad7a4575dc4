"""Which of this browser's accounts? Asked when the application wants a choice."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from flows.login import accounts
from flows.login.accounts import Account
from flows.login.visit import Visit
from flows.next_step import Step
from idp import web
from idp.interaction import Interaction


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
            accounts=accounts.offered(visit),
        ),
    )


def take(visit: Visit) -> Interaction | Response:
    """An account of this very browser, another one, or one to be taken off the list."""
    if "remove" in request.form:
        return accounts.remove(visit, request.form["remove"])
    wanted = request.form.get("account", "")
    if wanted == "other":
        return accounts.another(visit)
    return accounts.pick(visit, wanted) or show(visit)
