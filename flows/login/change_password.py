"""A new password, because somebody said that the old one must be changed.

Whoever did not prove the old one in this very visit types it here, too: a browser that was left
signed in must not be enough to take the account over. That counts like any other attempt (BF-05).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from flask import Response, request

from flows.login.visit import Visit, restamped, save
from flows.next_step import Step
from idp import web
from idp.accounts import new_passwords, sign_in
from idp.accounts.passwords import (
    MAXIMUM_BYTES,
    MAXIMUM_CHARACTERS,
    MINIMUM_CHARACTERS,
    Rule,
    Unacceptable,
    check_acceptable,
)
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class ChangePasswordPage:
    action: str
    csrf: str
    application: str
    identifier: str
    asks_current: bool
    minimum: int
    maximum: int
    error: str | None
    error_field: str


def show(visit: Visit, error: str | None = None, field: str = "password") -> Response:
    return web.render(
        "login/change_password.html",
        ChangePasswordPage(
            action=visit.url(Step.CHANGE_PASSWORD),
            csrf=visit.csrf,
            application=visit.asked.client.name,
            identifier=visit.user.email,
            asks_current=_asks_current(visit),
            minimum=MINIMUM_CHARACTERS,
            maximum=MAXIMUM_CHARACTERS,
            error=error,
            error_field=field,
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    current = request.form.get("current", "")
    password = request.form.get("password", "")
    if _asks_current(visit) and not current:
        return show(visit, gettext("Enter your current password."), "current")
    try:
        check_acceptable(password)
        if _normal(password) != _normal(request.form.get("repeat", "")):
            return show(visit, gettext("The two new passwords are not the same."), "repeat")
        if _asks_current(visit) and not _is_current(visit, current):
            wrong = gettext("That didn't work. Check what you typed and try again.")
            return show(visit, wrong, "current")
        new_passwords.set_password(
            web.services(),
            visit.user,
            password,
            actor=visit.user.id,
            now=visit.now,
            keeps=visit.interaction.session_id,
            source=visit.source,
        )
    except Unacceptable as refused:
        return show(visit, _words(refused.rule))
    return save(restamped(visit.interaction))


def _asks_current(visit: Visit) -> bool:
    shown = (proof.method for proof in visit.interaction.proofs)
    return Method.PASSWORD not in shown and visit.user.password_hash is not None


def _is_current(visit: Visit, typed: str) -> bool:
    if len(typed.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
        typed = ""  # Nobody's, for the same price (DS-02).
    found = sign_in.by_password(
        web.services(), visit.user.email, typed, visit.source, now=visit.now
    )
    return found is not None and found.user_id == visit.user.id


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def _words(rule: Rule) -> str:
    match rule:
        case Rule.TOO_SHORT:
            return gettext("The new password needs at least %(minimum)d characters.") % {
                "minimum": MINIMUM_CHARACTERS
            }
        case Rule.TOO_LONG:
            return gettext("The new password may have at most %(maximum)d characters.") % {
                "maximum": MAXIMUM_CHARACTERS
            }
        case Rule.TOO_SIMPLE:
            return gettext("The new password needs more different characters.")
        case Rule.SAME:
            return gettext("The new password must differ from the one until now.")
