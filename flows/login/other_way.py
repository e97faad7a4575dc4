"""The choice between the methods that would do at this point: to prove something, or to set up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from flows.login.visit import Question, Visit, question, save
from flows.next_step import ENROLS, PROVES, Step
from idp import web
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext

IS_OPEN_AT = frozenset({*PROVES.values(), *ENROLS.values(), Step.ENROL})


@dataclass(frozen=True, slots=True)
class Way:
    method: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True)
class OtherWayPage:
    question: Question
    title: str
    ways: list[Way]
    back_url: str


def show(visit: Visit) -> Response:
    proves = visit.next.step in PROVES.values()
    words = _proving() if proves else _setting_up()
    title = gettext("Sign in another way") if proves else gettext("Choose what to set up")
    return web.render(
        "login/other_way.html",
        OtherWayPage(
            question=question(visit, Step.OTHER_WAY),
            title=title,
            ways=[Way(method, *words[method]) for method in visit.next.options],
            back_url=visit.url(visit.next.step),
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    """One of those offered, whatever the form says."""
    method = request.form.get("method", "")
    if method not in visit.next.options:
        return show(visit)
    return save(replace(visit.interaction, wanted=method))


def _proving() -> dict[str, tuple[str, str]]:
    return {
        Method.PASSWORD: (gettext("Password"), gettext("Enter the password of this account.")),
        Method.PASSKEY: (
            gettext("Passkey"),
            gettext("Use your fingerprint, your face, your screen lock or a security key."),
        ),
        Method.TOTP: (
            gettext("Authenticator app"),
            gettext("Enter the code that your app shows."),
        ),
        Method.SMS: (
            gettext("Code by SMS"),
            gettext("Receive a code at your registered phone number."),
        ),
        Method.EMAIL_CODE: (
            gettext("Code by e-mail"),
            gettext("Receive a code at your registered e-mail address."),
        ),
        Method.RECOVERY_CODE: (
            gettext("Lost your device?"),
            gettext("Enter the recovery code that you kept."),
        ),
    }


def _setting_up() -> dict[str, tuple[str, str]]:
    return {
        Method.PASSKEY: (
            gettext("Passkey"),
            gettext(
                "Sign in with your fingerprint, your face, your screen lock or a security key."
            ),
        ),
        Method.TOTP: (
            gettext("Authenticator app"),
            gettext("An app on your phone or computer shows codes, without a network as well."),
        ),
        Method.SMS: (
            gettext("Code by SMS"),
            gettext("We send codes to your phone number."),
        ),
    }
