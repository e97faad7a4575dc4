"""May this application have this? Asked once for each application that is not our own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from flows.login.visit import Visit, save
from flows.next_step import Step
from idp import audit, web
from idp.accounts import consents
from idp.audit import Event
from idp.interaction import Interaction
from idp.oidc.authorize import choose
from idp.oidc.requirements import asked
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class ConsentPage:
    action: str
    csrf: str
    application: str
    user: Person
    items: list[str]
    client_terms_url: str | None
    client_privacy_url: str | None


def show(visit: Visit) -> Response:
    client = visit.asked.client
    row = choose(visit.asked, visit.interaction.session_id)
    return web.render(
        "login/consent.html",
        ConsentPage(
            action=visit.url(Step.CONSENT),
            csrf=visit.csrf,
            application=client.name,
            user=Person(row.user_name, row.email) if row else Person("", ""),
            items=_items(asked(visit.asked.request)),
            client_terms_url=client.tos_uri,
            client_privacy_url=client.policy_uri,
        ),
        brand=visit.organization,
    )


def _items(scopes: frozenset[str]) -> list[str]:
    words = {
        "openid": gettext("Confirm that it is you"),
        "profile": gettext("Your name and profile"),
        "email": gettext("Your e-mail address"),
        "phone": gettext("Your phone number"),
        "address": gettext("Your postal address"),
        "org": gettext("Your organisation and roles"),
    }
    return [text for scope, text in words.items() if scope in scopes]


def take(visit: Visit) -> Interaction | Response:
    """Agreement is to what was shown: computed again from the request, never read from the form
    (AZ-16)."""
    decision = request.form.get("decision")
    if decision not in ("allow", "deny"):
        return show(visit)
    client = visit.asked.client
    row = choose(visit.asked, visit.interaction.session_id)
    if row is None:
        return visit.interaction
    event = Event.CONSENT_GRANTED if decision == "allow" else Event.CONSENT_DENIED
    scopes = sorted(asked(visit.asked.request))
    with web.services().database.transaction() as session:
        if decision == "allow":
            consents.grant(session, row.user_id, client.id, scopes, now=visit.now)
        audit.record(
            session,
            event,
            at=visit.now,
            actor=row.user_id,
            user_id=row.user_id,
            client_id=client.id,
            address=web.remote_address(),
            request_id=web.request_id(),
            scopes=scopes,
        )
    return save(replace(visit.interaction, consent=decision))
