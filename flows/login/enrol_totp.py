"""Setting up an authenticator app: a picture to scan or a key to type, proven by one code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import segno
from flask import Response, request
from markupsafe import Markup

from flows.login.visit import Question, Visit, proven, question, save
from flows.next_step import Step
from idp import web
from idp.accounts import totp
from idp.accounts.totp import Proposal
from idp.assurance import Proof
from idp.errors import Refused
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolTotpPage(Question):
    picture: Markup
    """An SVG without size and style."""
    uri: str
    """What the picture says: opens an app on this very device."""
    key: str
    """The same to be typed, in groups of four."""
    name: str
    field: str
    """Which field the error is about."""
    may_choose: bool
    """Whether another kind of factor would do."""


def show(
    visit: Visit, *, error: str | None = None, field: str = "code", name: str | None = None
) -> Response:
    proposal = _proposal(visit)
    uri = proposal.uri(issuer=visit.organization or "Sekisho", account=visit.user.email)
    secret = proposal.secret
    return web.render(
        "login/enrol_totp.html",
        EnrolTotpPage(
            **asdict(question(visit, Step.ENROL_TOTP, error)),
            picture=picture(uri),
            uri=uri,
            key=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
            name=gettext("Authenticator app") if name is None else name,
            field=field,
            may_choose=len(visit.next.options) > 1,
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    if "choose" in request.form:
        return save(replace(visit.interaction, wanted=""))
    name = request.form.get("name", "").strip() or gettext("Authenticator app")
    try:
        is_added = totp.add(
            web.services(),
            visit.user,
            _proposal(visit),
            request.form.get("code", ""),
            name=name,
            source=visit.source,
            now=visit.now,
        )
    except Refused as refused:
        return show(visit, **_wrong(refused), name=name)
    if not is_added:
        return visit.interaction  # Changed elsewhere in this very moment: judged anew.
    return proven(visit, visit.user.id, Proof(Method.TOTP, visit.now))


def _wrong(refused: Refused) -> dict[str, Any]:
    if refused.member == "name":
        return {"field": "name", "error": gettext("A name has at most 64 letters and signs.")}
    if refused.member == "count":
        return {"error": gettext("You have as many authenticator apps as there can be.")}
    return {
        "error": gettext(
            "That is not the code the app shows now. Enter the newest one, and check that the "
            "time on your phone is set automatically."
        )
    }


def picture(uri: str) -> Markup:
    """A QR code that takes the size it is given. Dark on light in every colour scheme."""
    code = segno.make(uri, error="l", micro=False)
    return Markup(  # noqa: S704 - figures and colours alone
        code.svg_inline(omitsize=True, light="#fff", svgclass=None, lineclass=None)
    )


def _proposal(visit: Visit) -> Proposal:
    return totp.propose(web.services(), visit.user, visit.interaction.id)
