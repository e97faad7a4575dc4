"""The recovery code, for somebody whose second factor is lost. A new one is due after it."""

from __future__ import annotations

from flask import Response, request

from flows.login.visit import Visit, proven, question
from flows.next_step import Step
from idp import web
from idp.accounts import recovery_codes
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext


def show(visit: Visit, *, error: str | None = None) -> Response:
    return web.render(
        "login/recovery_code.html",
        question(visit, Step.RECOVERY_CODE, error),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    code = recovery_codes.normalized(request.form.get("code", ""))
    if not code:
        # Nobody's code looks like this, so it is no attempt.
        return show(
            visit, error=gettext("A recovery code has 24 letters and digits. Enter all of them.")
        )
    if not recovery_codes.use(web.services(), visit.claimant, code, visit.source, now=visit.now):
        return show(visit, error=gettext("That didn't work. Check what you typed and try again."))
    return proven(visit, visit.claimant.account, Proof(Method.RECOVERY_CODE, visit.now))
