"""The page for a code that was sent by text message, as a second factor.

It goes to the stored number and nowhere else, whatever a form says (BF-13). The first one is sent
when the page is first shown, as on the page of mailed codes, and for the same reason. When no text
message can be sent the page says so and names the other ways; that opens no door (BF-14).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flask import Response, request

from flows.login import code_page
from flows.login.code_page import Code
from flows.login.visit import Visit, proven, question, save
from flows.next_step import Step
from idp import interaction as interactions
from idp import web
from idp.accounts import phones, sent_codes
from idp.accounts.phone_numbers import masked
from idp.accounts.phones import Texted
from idp.accounts.sent_codes import SECOND
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext

STEP = Step.SMS
SENT, CAPPED = "sent", "capped"


def show(visit: Visit, *, error: str | None = None) -> Response:
    number = _number(visit)
    state = visit.interaction.notes.get(STEP.value, "")
    if state not in (f"{visit.claimant.account}:{SENT}", f"{visit.claimant.account}:{CAPPED}"):
        visit = replace(visit, interaction=_send(visit, number))
        state = visit.interaction.notes.get(STEP.value, "")
    return render(visit, STEP, number, SECOND, is_capped=state.endswith(CAPPED), error=error)


def take(visit: Visit) -> Interaction | Response:
    number = _number(visit)
    if "resend" in request.form:
        return _send(visit, number)
    error = refused(visit, number, SECOND)
    if error is not None:
        return show(visit, error=error)
    phones.is_used(web.services(), visit.claimant.account, visit.now)
    return proven(visit, visit.claimant.account, Proof(Method.SMS, visit.now))


def _number(visit: Visit) -> str:
    number = phones.number_of(web.services(), visit.claimant.account)
    if number is None:
        raise AssertionError("a page for those who have a phone")
    return number


def _send(visit: Visit, number: str) -> Interaction:
    texted = send(visit, number, SECOND)
    state = SENT if texted.is_available else CAPPED
    note = f"{visit.claimant.account}:{state}"
    return save(interactions.noted(visit.interaction, STEP.value, note))


# Shared by the pages that send a code to a phone --------------------------------------------------


def send(visit: Visit, number: str, purpose: str) -> Texted:
    """Sends a code, unless it is too soon or a cap is reached."""
    return phones.send(
        web.services(),
        visit.claimant,
        number,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        source=visit.source,
        now=visit.now,
    )


def refused(visit: Visit, number: str, purpose: str) -> str | None:
    """Why the code that was typed is not taken; None: it is the one."""
    typed = request.form.get("code", "")
    if len(sent_codes.normal(typed)) != sent_codes.length(Method.SMS, purpose):
        # No try: it cannot be right, and says nothing to whoever guesses.
        return gettext("Enter the 6 characters from the text message.")
    is_right = phones.check(
        web.services(),
        visit.claimant,
        number,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        typed=typed,
        source=visit.source,
        now=visit.now,
    )
    if is_right:
        return None
    return gettext("That didn't work. Check what you typed and try again.")


def render(
    visit: Visit,
    step: Step,
    number: str,
    purpose: str,
    *,
    is_capped: bool,
    other_number: str | None = None,
    error: str | None = None,
) -> Response:
    """The page for the code, or, when none could be sent, one that says so. `is_capped`: none
    could be sent when one was last asked for; `other_number`: see `code_page.Code`."""
    resend_at = _resend_at(visit, purpose)
    if is_capped and resend_at is None:
        shared = question(visit, step, unavailable(visit))
        return web.render("login/no_sms.html", shared, brand=visit.organization)
    told = gettext("We sent a code by text message to the number %(number)s.")
    if is_capped:
        error = error or gettext(
            "No further text message can be sent right now. The code that we sent before still "
            "works."
        )
    code = Code(
        told=told % {"number": masked(number)},
        hint=gettext("6 letters and digits"),
        is_numeric=False,
        advice=gettext(
            "A code works for 10 minutes, and only the newest one does. We never call or write to "
            "ask you for it."
        ),
        resend=code_page.resend(resend_at, visit.now),
        comes_to_phone=True,
        other_number=other_number,
    )
    return code_page.show(visit, step, code, error)


def _resend_at(visit: Visit, purpose: str) -> datetime | None:
    return sent_codes.resend_at(
        web.services(),
        visit.claimant,
        Method.SMS,
        interaction_id=visit.interaction.id,
        purpose=purpose,
        source=visit.source,
        now=visit.now,
    )


def unavailable(visit: Visit) -> str:
    """That no text message can be sent now, and what else there is."""
    if len(visit.next.options) > 1:
        return gettext(
            "Text messages cannot be sent right now. Please confirm in another way, or try again "
            "later."
        )
    return gettext(
        "Text messages cannot be sent right now. Please try again later, or ask your administrator "
        "for help."
    )
