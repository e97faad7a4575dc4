"""The choice between the methods that would do at this point: to show one, or to set one up."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flask import Response, request

from flows import methods
from flows.login.visit import Question, Visit, question, save
from flows.next_step import ENROLS, PROVES, Step
from idp import web
from idp.interaction import Interaction
from idp.oidc import own
from idp.web import gettext

OPEN_AT = frozenset({*PROVES.values(), *ENROLS.values(), Step.ENROL})


@dataclass(frozen=True, slots=True)
class Way:
    method: str
    name: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWayPage(Question):
    title: str
    ways: list[Way]
    """The one that would be asked for by itself first."""
    back_url: str


def show(visit: Visit) -> Response:
    proves = visit.next.step in PROVES.values()
    about = methods.to_show if proves else methods.to_set_up
    return web.render(
        "login/other_way.html",
        OtherWayPage(
            **asdict(question(visit, Step.OTHER_WAY)),
            title=gettext("Sign in another way") if proves else gettext("Choose what to set up"),
            ways=[Way(way, methods.name(way), about(way)) for way in visit.next.options],
            back_url=visit.url(visit.next.step),
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    """One of those offered, whatever the form says; or none, and back to the application."""
    if "leave" in request.form and not own.is_own(visit.interaction.parameters):
        return save(replace(visit.interaction, consent="deny"))
    method = request.form.get("method", "")
    if method not in visit.next.options:
        return show(visit)
    return save(replace(visit.interaction, wanted=method))
