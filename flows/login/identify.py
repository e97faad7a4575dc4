"""The first page: who are you? Offers the accounts that signed in on this browser before, and
looks nobody else up, so it cannot tell who exists (EN-01).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, request

from flows.login import accounts, passkey
from flows.login.accounts import Account
from flows.login.visit import Visit, save
from flows.next_step import Step
from idp import interaction as interactions
from idp import web
from idp.accounts import claimants
from idp.accounts.identifiers import MAXIMUM
from idp.interaction import Interaction
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class OfferedPasskey:
    action: str
    """Where the passkey page takes the answer."""
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdentifyPage:
    action: str
    csrf: str
    application: str
    client_terms_url: str | None
    client_privacy_url: str | None
    identifier: str
    error: str | None
    passkey: OfferedPasskey | None
    accounts: list[Account]
    forgot_url: str | None = None


def show(visit: Visit, *, error: str | None = None, typed: str | None = None) -> Response:
    client = visit.asked.client
    prefill = visit.interaction.identifier or visit.asked.request.login_hint
    return web.render(
        "login/identify.html",
        IdentifyPage(
            action=visit.url(Step.IDENTIFY),
            csrf=visit.csrf,
            application=client.name,
            client_terms_url=client.tos_uri,
            client_privacy_url=client.policy_uri,
            identifier=prefill if typed is None else typed,
            error=error,
            passkey=_offered_passkey(visit),
            accounts=accounts.offered(visit) if _offers(visit) else [],
        ),
    )


def _offered_passkey(visit: Visit) -> OfferedPasskey | None:
    """Somebody with a passkey need not type who they are. Not where nobody may use one."""
    known = visit.known.claimant
    rules = (
        claimants.audience_policy(web.services(), visit.asked.client.organization_id)
        if known is None
        else known.policy
    )
    if not rules.passkeys:
        return None
    return OfferedPasskey(visit.url(Step.PASSKEY), passkey.options(visit))


def _offers(visit: Visit) -> bool:
    """Whether the list helps: the application did not say who, and the person did not just say
    "another account"."""
    said_another = visit.interaction.account_chosen and not visit.interaction.identifier
    return not visit.asked.request.login_hint and not said_another


def take(visit: Visit) -> Interaction | Response:
    if "remove" in request.form:
        return accounts.remove(visit, request.form["remove"])
    if "account" in request.form:
        return accounts.pick(visit, request.form["account"]) or show(visit)
    typed = request.form.get("identifier", "").strip()
    if not typed or len(typed) > MAXIMUM or not typed.isprintable():
        return show(
            visit,
            error=gettext("Enter your sign-in ID or e-mail address."),
            typed=typed[:MAXIMUM] if typed.isprintable() else "",
        )
    return save(interactions.anew(visit.interaction, identifier=typed))
