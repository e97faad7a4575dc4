"""The sign-in pages: one dispatcher, one module a page.

`/login/<interaction id>` goes to the next page; `/login/<interaction id>/<page>` is one. A page
shows (GET) or takes what was sent (POST), and ends with `forward`. A page that is not the next
step sends there instead, so neither the address bar nor the back button can skip anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from flows.login import (
    change_password,
    choose_account,
    consent,
    email_code,
    enrol,
    enrol_passkey,
    enrol_phone,
    enrol_totp,
    identify,
    other_way,
    passkey,
    password,
    recovery_code,
    save_recovery_code,
    sms,
    terms,
    totp,
    verify_address,
)
from flows.login.judgement import judge
from flows.login.signing_in import open_session, strengthen
from flows.login.visit import Visit
from flows.next_step import Step
from idp import web
from idp.interaction import Interaction
from idp.oidc import respond, resume

blueprint = Blueprint("login", __name__, url_prefix="/login")


@dataclass(frozen=True, slots=True)
class Page:
    show: Callable[[Visit], Response]
    take: Callable[[Visit], Interaction | Response]
    """What was sent: the interaction as it now is, or the page again with what was wrong."""
    also_at: frozenset[Step] = frozenset()
    """The page is open while one of these is next, too, as long as nothing was proven."""
    is_open_after_proofs: bool = False
    """`also_at` holds after something was proven as well."""


FIRST = frozenset({Step.PASSWORD, Step.EMAIL_CODE, Step.TOTP, Step.PASSKEY})
PAGES = {
    Step.CHOOSE_ACCOUNT: Page(choose_account.show, choose_account.take),
    Step.IDENTIFY: Page(identify.show, identify.take, also_at=FIRST),
    Step.PASSWORD: Page(password.show, password.take),
    Step.EMAIL_CODE: Page(email_code.show, email_code.take),
    Step.TOTP: Page(totp.show, totp.take),
    Step.SMS: Page(sms.show, sms.take),
    Step.RECOVERY_CODE: Page(recovery_code.show, recovery_code.take),
    Step.ENROL: Page(enrol.show, enrol.take),
    Step.ENROL_TOTP: Page(enrol_totp.show, enrol_totp.take),
    Step.ENROL_PHONE: Page(enrol_phone.show, enrol_phone.take),
    Step.SAVE_RECOVERY_CODE: Page(save_recovery_code.show, save_recovery_code.take),
    Step.VERIFY_ADDRESS: Page(verify_address.show, verify_address.take),
    Step.PASSKEY: Page(passkey.show, passkey.take, also_at=FIRST | {Step.IDENTIFY}),
    Step.ENROL_PASSKEY: Page(enrol_passkey.show, enrol_passkey.take),
    Step.OTHER_WAY: Page(
        other_way.show, other_way.take, also_at=other_way.OPEN_AT, is_open_after_proofs=True
    ),
    Step.CHANGE_PASSWORD: Page(change_password.show, change_password.take),
    Step.TERMS: Page(terms.show, terms.take),
    Step.CONSENT: Page(consent.show, consent.take),
}
BY_NAME = {step.value: step for step in PAGES}


@blueprint.get("/<interaction_id>")
def start(interaction_id: str) -> Response:
    interaction = resume.load_interaction(interaction_id)
    return resume.over() if interaction is None else forward(interaction)


@blueprint.get("/<interaction_id>/<name>")
def show(interaction_id: str, name: str) -> Response:
    page, interaction = _find(interaction_id, name)
    if interaction is None:
        return resume.over()
    visit = judge(interaction)
    if isinstance(visit, Response):
        return visit
    return page.show(visit) if _is_open(page, visit) else _go(visit)


@blueprint.post("/<interaction_id>/<name>")
def take(interaction_id: str, name: str) -> Response:
    web.check_csrf(interaction_id)
    page, interaction = _find(interaction_id, name)
    if interaction is None:
        return resume.over()
    visit = judge(interaction)
    if isinstance(visit, Response):
        return visit
    if not _is_open(page, visit):
        return _go(visit)
    outcome = page.take(visit)
    return forward(outcome) if isinstance(outcome, Interaction) else outcome


def forward(interaction: Interaction) -> Response:
    """The answer that every page ends with: 303 to where the person goes on."""
    visit = judge(interaction)
    return visit if isinstance(visit, Response) else _go(visit)


def _go(visit: Visit) -> Response:
    interaction, upcoming = visit.interaction, visit.next
    if upcoming.step is Step.OPEN_SESSION:
        return open_session(visit, forward)
    if upcoming.step is Step.STRENGTHEN:
        return strengthen(visit, forward)
    if upcoming.step is Step.DONE:
        return respond.redirect(f"/authorize/resume/{interaction.id}")
    if upcoming.step is Step.REFUSED:
        return resume.refuse(interaction, visit.asked, upcoming.error)
    return respond.redirect(f"/login/{interaction.id}/{upcoming.step.value}")


def _find(interaction_id: str, name: str) -> tuple[Page, Interaction | None]:
    step = BY_NAME.get(name)
    if step is None:
        raise NotFound
    return PAGES[step], resume.load_interaction(interaction_id)


def _is_open(page: Page, visit: Visit) -> bool:
    upcoming = visit.next.step
    return page is PAGES.get(upcoming) or (
        upcoming in page.also_at and (page.is_open_after_proofs or not visit.interaction.proofs)
    )
