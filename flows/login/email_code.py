"""The page for a code that was mailed, as first factor and as second.

The first code is mailed when the page is first shown, not by the form before it: some roads here
have no form (an application that asks a known person to sign in again). A visit belongs to one
browser, and remembers that it was here, so reloading, prefetching, another tab and the back button
send nothing more; the button does. For accounts that do not exist it is the same page, with the
same work, and nothing in anybody's inbox.
"""

from __future__ import annotations

from flask import Response, request

from flows.login import code_page
from flows.login.code_page import Code
from flows.login.visit import Visit, proven
from flows.next_step import Step
from idp import web
from idp.accounts import email_codes, sent_codes
from idp.accounts.identifiers import check_address, comparable, masked
from idp.assurance import Proof
from idp.errors import Refused
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext

STEP = Step.EMAIL_CODE


def show(visit: Visit, *, error: str | None = None) -> Response:
    purpose = _purpose(visit)
    mail_first(visit, STEP, purpose)
    return code_page.show(visit, STEP, words(visit, purpose, _inbox(visit)), error)


def take(visit: Visit) -> Interaction | Response:
    purpose = _purpose(visit)
    if "resend" in request.form:
        mail(visit, purpose)
        return visit.interaction
    error = refused(visit, purpose)
    if error is not None:
        return show(visit, error=error)
    return proven(visit, visit.user.id, Proof(Method.EMAIL_CODE, visit.now))


def _purpose(visit: Visit) -> str:
    return sent_codes.SECOND if visit.is_second else sent_codes.SIGN_IN


def _inbox(visit: Visit) -> str | None:
    """Where the code went, as far as this person may know: what was typed, or, after a proof, what
    is registered. None: they typed a sign-in ID, and its address is not for strangers to see."""
    if visit.is_second:
        return masked(visit.user.email)
    try:
        return masked(check_address(comparable(visit.interaction.identifier)))
    except Refused:
        return None


# Shared by the pages that mail a code ------------------------------------------------------------


def mail_first(visit: Visit, step: Step, purpose: str) -> None:
    """Mails a code when this visit has not been here about this person."""
    whom = f"{purpose}:{visit.claimant.account}"
    if not code_page.is_entered(visit, step, whom):
        mail(visit, purpose)
        code_page.enter(visit, step, whom)


def mail(visit: Visit, purpose: str) -> None:
    """Mails a code, unless it is too soon or too often. The page says the same (EN-09)."""
    email_codes.send(
        web.services(),
        visit.claimant,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        application=visit.asked.client.name,
        source=visit.source,
        now=visit.now,
    )


def refused(visit: Visit, purpose: str) -> str | None:
    """Why the code that was typed is not taken; None: it is the one."""
    typed = request.form.get("code", "")
    length = sent_codes.length(Method.EMAIL_CODE, purpose)
    if len(sent_codes.normal(typed)) != length:
        # No try: it cannot be right, and says nothing to whoever guesses.
        return gettext("Enter the %(digits)s digits from the mail.") % {"digits": length}
    is_right = email_codes.check(
        web.services(),
        visit.claimant,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        typed=typed,
        source=visit.source,
        now=visit.now,
    )
    if is_right:
        return None
    return gettext("That didn't work. Check what you typed and try again.")


def words(visit: Visit, purpose: str, inbox: str | None) -> Code:
    resend_at = sent_codes.resend_at(
        web.services(),
        visit.claimant,
        Method.EMAIL_CODE,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        source=visit.source,
        now=visit.now,
    )
    if inbox is None:
        told = gettext("We sent a code to your registered e-mail address. Check your inbox.")
    else:
        told = gettext("We sent a code to %(address)s. Check your inbox.") % {"address": inbox}
    digits = sent_codes.length(Method.EMAIL_CODE, purpose)
    return Code(
        told=told,
        hint=gettext("%(digits)s digits") % {"digits": digits},
        advice=gettext(
            "A code works for 10 minutes, and only the newest one does. If none arrives, look in "
            "the spam folder as well."
        ),
        resend=code_page.resend(resend_at, visit.now),
    )
