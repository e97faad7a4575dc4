"""The code of an authenticator app: as a second factor, or as what somebody signs in with."""

from __future__ import annotations

from flask import Response, request

from flows.login.visit import Visit, proven, question
from flows.next_step import Step
from idp import web
from idp.accounts import totp
from idp.accounts.identifiers import plain_code
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext


def show(visit: Visit, *, error: str | None = None) -> Response:
    return web.render(
        "login/totp.html", question(visit, Step.TOTP, error), brand=visit.organization
    )


def take(visit: Visit) -> Interaction | Response:
    code = plain_code(request.form.get("code", ""))
    if len(code) != totp.DIGITS:
        # Nobody's code looks like this, so it is no attempt.
        return show(visit, error=gettext("Enter the 6 digits your authenticator app shows."))
    if not totp.check(web.services(), visit.claimant, code, visit.source, now=visit.now):
        return show(visit, error=gettext("That didn't work. Check what you typed and try again."))
    return proven(visit, visit.claimant.account, Proof(Method.TOTP, visit.now))
