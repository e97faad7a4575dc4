"""Setting up a phone: a number, then the code that was sent to it.

Open to somebody who proved who they are and has no second factor yet: `next_step` sees to that. The
number waits in the interaction, sealed, until its code comes back; a code is bound to its number,
so changing the number in another tab proves nothing (BF-13).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from math import ceil

from flask import Response, request

from flows.login import sms
from flows.login.visit import Question, Visit, proven, question, save
from flows.next_step import Step
from idp import interaction as interactions
from idp import web
from idp.accounts import phone_numbers, phones
from idp.accounts.phone_numbers import EVERYWHERE, Country
from idp.accounts.sent_codes import VERIFY
from idp.assurance import Proof
from idp.errors import Refused
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext

STEP = Step.ENROL_PHONE


@dataclass(frozen=True, slots=True)
class Pending:
    """The number that is being set up."""

    account: str
    """Whose it would be: a visit may go on about somebody else."""
    number: str
    is_changing: bool = False
    """The person went back to the form for another one."""
    is_capped: bool = False
    """When a code was last asked for, none could be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolPhonePage(Question):
    phone: str
    """As it was typed."""
    country: str
    common: list[Country]
    countries: list[Country]
    """All that there are; with a single one there is nothing to choose."""
    field: str
    """Which field the error is about."""
    may_choose: bool
    """Whether another kind of factor would do."""


def show(visit: Visit, *, error: str | None = None) -> Response:
    pending = _read(visit)
    if pending is None or pending.is_changing:
        return _form(visit)
    return sms.render(
        visit,
        STEP,
        pending.number,
        VERIFY,
        is_capped=pending.is_capped,
        other_number=gettext("Use another number"),
        error=error,
    )


def take(visit: Visit) -> Interaction | Response:
    pending = _read(visit)
    if "choose" in request.form:
        return save(replace(_noted(visit, None), wanted=""))
    if pending is not None and "change" in request.form:
        return save(_noted(visit, replace(pending, is_changing=True)))
    if "phone" in request.form:
        return _take_number(visit, pending)
    if pending is None or pending.is_changing:
        return _form(visit)
    if "resend" in request.form:
        texted = sms.send(visit, pending.number, VERIFY)
        return save(_noted(visit, replace(pending, is_capped=not texted.is_available)))
    return _take_code(visit, pending)


def _take_number(visit: Visit, pending: Pending | None) -> Interaction | Response:
    allowed = web.services().settings.sms_countries
    try:
        number = phone_numbers.parse(request.form["phone"], _country(), allowed)
    except Refused as refused:
        if refused.member == "country":
            error = gettext("We cannot send text messages to that country. Use another number.")
        else:
            error = gettext("This is not a mobile phone number. Check it and enter it again.")
        return _form(visit, error=error)
    texted = sms.send(visit, number, VERIFY)
    if not texted.is_available:
        return _form(visit, error=sms.unavailable(visit))
    is_new = pending is None or pending.number != number
    if is_new and not texted.is_sent and texted.resend_at is not None:
        seconds = max(1, ceil((texted.resend_at - visit.now).total_seconds()))
        told = gettext("We have just sent a code. Please wait %(seconds)s seconds, then try again.")
        return _form(visit, error=told % {"seconds": seconds})
    return save(_noted(visit, Pending(visit.claimant.account, number)))


def _take_code(visit: Visit, pending: Pending) -> Interaction | Response:
    error = sms.refused(visit, pending.number, VERIFY)
    if error is not None:
        return show(visit, error=error)
    is_added = phones.add(
        web.services(), visit.user, pending.number, source=visit.source, now=visit.now
    )
    done = replace(visit, interaction=_noted(visit, None))
    if not is_added:
        return save(done.interaction)  # Changed elsewhere in this very moment: judged anew.
    return proven(done, visit.user.id, Proof(Method.SMS, visit.now))


def _form(visit: Visit, *, error: str | None = None) -> Response:
    allowed = web.services().settings.sms_countries
    common, countries = phone_numbers.countries(web.language(), allowed)
    return web.render(
        "login/enrol_phone.html",
        EnrolPhonePage(
            **asdict(question(visit, STEP, error)),
            phone=request.form.get("phone", "")[: phone_numbers.LONGEST],
            country=_country(),
            common=common,
            countries=countries,
            field="phone",
            may_choose=len(visit.next.options) > 1,
        ),
        brand=visit.organization,
    )


def _country() -> str:
    """The country that was chosen, else the first that the installation names."""
    allowed = web.services().settings.sms_countries
    chosen = request.form.get("country", "")
    if chosen in allowed or (EVERYWHERE in allowed and chosen.isalpha()):
        return chosen
    first = "JP" if web.language() == "ja" else "US"
    return first if EVERYWHERE in allowed else allowed[0]


# The number in the interaction --------------------------------------------------------------------


def _read(visit: Visit) -> Pending | None:
    note = visit.interaction.notes.get(STEP.value)
    if note is None:
        return None
    opened = web.services().sealer.open(base64.b64decode(note), context=_context(visit))
    pending = Pending(**json.loads(opened))
    return pending if pending.account == visit.claimant.account else None


def _noted(visit: Visit, pending: Pending | None) -> Interaction:
    if pending is None:
        return interactions.noted(visit.interaction, STEP.value, None)
    written = json.dumps(asdict(pending)).encode()
    sealed = web.services().sealer.seal(written, context=_context(visit))
    return interactions.noted(visit.interaction, STEP.value, base64.b64encode(sealed).decode())


def _context(visit: Visit) -> str:
    return f"{STEP.value}:{visit.interaction.id}"
