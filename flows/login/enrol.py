"""Which second factor shall be set up? Asked when one is due and there are several kinds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flask import Response, request

from flows import methods
from flows.login.visit import Question, Visit, question, save
from flows.next_step import Step
from idp import web
from idp.interaction import Interaction


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
            kinds=[
                Kind(method, methods.name(method), methods.to_set_up(method))
                for method in visit.next.options
            ],
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    method = request.form.get("method", "")
    if method not in visit.next.options:
        return show(visit)
    return save(replace(visit.interaction, wanted=method))
