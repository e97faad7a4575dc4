"""The page that asks for proof of the address: a code is mailed to it. Somebody is signed in."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request

from flows.login import code_page, email_code
from flows.login.visit import Visit
from flows.next_step import Step
from idp.accounts.identifiers import masked
from idp.accounts.sent_codes import VERIFY
from idp.interaction import Interaction
from idp.web import gettext

STEP = Step.VERIFY_ADDRESS


def show(visit: Visit, *, error: str | None = None) -> Response:
    email_code.mail_first(visit, STEP, VERIFY)
    inbox = masked(visit.user.email)
    code = replace(
        email_code.words(visit, VERIFY, inbox),
        told=gettext("Please confirm that %(address)s is your address: we sent a code to it.")
        % {"address": inbox},
        advice=gettext(
            "A code works for 10 minutes, and only the newest one does. If this is not your "
            "address, ask your administrator to correct it."
        ),
    )
    return code_page.show(visit, STEP, code, error)


def take(visit: Visit) -> Interaction | Response:
    """The right code leaves nothing in the interaction: the address is verified, and the next
    judgement reads that."""
    if "resend" in request.form:
        email_code.mail(visit, VERIFY)
        return visit.interaction
    error = email_code.refused(visit, VERIFY)
    return visit.interaction if error is None else show(visit, error=error)
