"""The first page: who are you? Looks nobody up, so it cannot tell who exists (EN-01)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from flows.login.visit import Visit, save
from flows.next_step import Step
from idp import web
from idp.accounts.identifiers import MAXIMUM
from idp.interaction import Interaction
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class IdentifyPage:
    action: str
    csrf: str
    application: str
    client_terms_url: str | None
    client_privacy_url: str | None
    identifier: str
    error: str | None
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
        ),
    )


def take(visit: Visit) -> Interaction | Response:
    typed = request.form.get("identifier", "").strip()
    if not typed or len(typed) > MAXIMUM or not typed.isprintable():
        return show(
            visit,
            error=gettext("Enter your sign-in ID or e-mail address."),
            typed=typed[:MAXIMUM] if typed.isprintable() else "",
        )
    return save(replace(visit.interaction, identifier=typed))
