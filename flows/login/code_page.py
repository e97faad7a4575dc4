"""The page with one field for a code, whichever way the code comes. Not a step of its own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from math import ceil

from flask import Response

from flows.login.visit import Question, Visit, question
from flows.next_step import Step
from idp import interaction as interactions
from idp import web
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Resend:
    """The button for a new code. Works at any time: too early, nothing is sent."""

    text: str
    """The button's words now: with the seconds, as long as there are any."""
    seconds: int
    """How long from now until a new code can be sent."""
    wait: str
    """Its words while a script counts: `%d` are the seconds."""
    ready: str
    """Its words after that."""


@dataclass(frozen=True, slots=True)
class Code:
    """What is particular to one kind of code."""

    told: str
    """Where the code is to be found."""
    hint: str
    """What it looks like."""
    is_numeric: bool = True
    advice: str | None = None
    """What may help, in small print."""
    resend: Resend | None = None
    comes_to_phone: bool = False
    """A phone may fill it in."""
    other_number: str | None = None
    """The words of the button that goes back to the number; None: it cannot be changed here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage(Question):
    code: Code


def show(visit: Visit, step: Step, code: Code, error: str | None = None) -> Response:
    """The page of `step`, in all that pages with a question share and what this code is."""
    shared = question(visit, step, error)
    context = CodePage(
        **{item.name: getattr(shared, item.name) for item in fields(shared)}, code=code
    )
    return web.render("login/code.html", context, brand=visit.organization)


def resend(at: datetime | None, now: datetime) -> Resend:
    """`at`: from when on a new code can be sent; None: now."""
    seconds = 0 if at is None else max(0, ceil((at - now).total_seconds()))
    wait, ready = gettext("Send a new code (in %d s)"), gettext("Send a new code")
    return Resend(wait % seconds if seconds else ready, seconds, wait, ready)


def is_entered(visit: Visit, step: Step, what: str) -> bool:
    """Whether this visit has been to the page of `step` about `what` before."""
    return visit.interaction.notes.get(step.value) == what


def enter(visit: Visit, step: Step, what: str) -> None:
    """Remembers that it has. Another tab that was faster did the same or went on."""
    interactions.save(web.services().state, interactions.noted(visit.interaction, step.value, what))
