"""Terms of use: each that is due on a page of its own, and no application before they are agreed
to."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request
from markupsafe import Markup

from flows.login.visit import Visit
from flows.next_step import Step
from idp import i18n, markdown, web
from idp.accounts import terms
from idp.accounts.terms import Due
from idp.interaction import Interaction
from idp.oidc import respond, resume


@dataclass(frozen=True, slots=True)
class TermsPage:
    action: str
    csrf: str
    application: str
    identifier: str
    terms_id: str
    organization: str | None
    version: int
    date: str
    text: Markup


def show(visit: Visit) -> Response:
    due = _first(visit)
    if due is None:  # Agreed to in another tab meanwhile.
        return respond.redirect(f"/login/{visit.interaction.id}")
    language = web.language()
    return web.render(
        "login/terms.html",
        TermsPage(
            action=visit.url(Step.TERMS),
            csrf=visit.csrf,
            application=visit.asked.client.name,
            identifier=visit.user.email,
            terms_id=due.id,
            organization=due.organization_name,
            version=due.version,
            date=i18n.catalog(language).day(due.published_at),
            text=markdown.render(due.text_ja if language == "ja" else due.text_en),
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    """Agreement is to the version that was shown, and to nothing that came after it (AZ-16)."""
    decision = request.form.get("decision")
    due = _first(visit)
    if decision == "decline":
        return resume.refuse(visit.interaction, visit.asked, "access_denied")
    if due is None or decision != "agree" or request.form.get("terms") != due.id:
        return show(visit)
    with web.services().database.transaction() as session:
        terms.accept(
            session,
            visit.user,
            due,
            now=visit.now,
            address=web.remote_address(),
            client_id=visit.asked.client.id,
            request_id=web.request_id(),
        )
    return visit.interaction


def _first(visit: Visit) -> Due | None:
    due = terms.due(web.services(), visit.user)
    return due[0] if due else None
