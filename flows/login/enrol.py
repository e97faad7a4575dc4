"""Which second factor shall be set up? Asked when one is due and there are several kinds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flask import Response, request

from flows.login.visit import Question, Visit, question, save
from flows.next_step import Step
from idp import web
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Kind:
    method: str
    name: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolPage(Question):
    kinds: list[Kind]
    """The strongest first."""


def show(visit: Visit) -> Response:
    return web.render(
        "login/enrol.html",
        EnrolPage(
            **asdict(question(visit, Step.ENROL)),
            kinds=[_kind(method) for method in visit.next.options],
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    method = request.form.get("method", "")
    if method not in visit.next.options:
        return show(visit)
    return save(replace(visit.interaction, wanted=method))


def _kind(method: str) -> Kind:
    texts = {
        Method.PASSKEY: (
            gettext("Passkey"),
            gettext("Your fingerprint, face or PIN on this device or a security key. The safest."),
        ),
        Method.TOTP: (
            gettext("Authenticator app"),
            gettext("An app on your phone shows a code. Works without a connection."),
        ),
        Method.SMS: (
            gettext("Text message"),
            gettext("We send a code to your phone number. Easy, but the least safe."),
        ),
    }
    return Kind(method, *texts[Method(method)])
