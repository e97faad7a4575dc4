"""The recovery code, shown once. Nothing goes on until the person says that it is saved."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass

from flask import Response, request

from flows.login.visit import Question, Visit, question, restamped, save
from flows.next_step import Step
from idp import i18n, web
from idp import interaction as interactions
from idp.accounts import recovery_codes
from idp.interaction import Interaction
from idp.policy import Method
from idp.web import gettext

FILE_NAME = "sekisho-recovery-code.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRecoveryCodePage(Question):
    code: str
    """In groups: `ABCD-EFGH-…`."""
    shown: str
    """Names the code that this page shows."""


def show(visit: Visit, *, error: str | None = None) -> Response:
    code = _proposed(visit)
    return web.render(
        "login/save_recovery_code.html",
        SaveRecoveryCodePage(
            **asdict(question(visit, Step.SAVE_RECOVERY_CODE, error)),
            code=recovery_codes.grouped(code),
            shown=_name(code),
        ),
        brand=visit.organization,
    )


def take(visit: Visit) -> Interaction | Response:
    code = _proposed(visit)
    shown = request.form.get("shown", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(shown, _name(code).encode()):
        # A credential was changed since the page was shown, and the code with it.
        return show(visit, error=gettext("The recovery code has changed. Save this one."))
    if "download" in request.form:
        return _file(visit, code)
    if "saved" not in request.form:
        return show(
            visit, error=gettext("Save the recovery code first, then tick the box to confirm.")
        )
    source = visit.source
    if not recovery_codes.keep(web.services(), visit.user, code, source=source, now=visit.now):
        return visit.interaction  # Changed elsewhere in this very moment: judged anew.
    enrolled = interactions.has_enrolled(visit.interaction, Method.RECOVERY_CODE)
    return save(restamped(enrolled))


def _proposed(visit: Visit) -> str:
    return recovery_codes.propose(web.services(), visit.user, visit.interaction.id)


def _name(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def _file(visit: Visit, code: str) -> Response:
    """The code as a text file: an answer of ours, since scripts need not run and the page's policy
    allows no `data:`."""
    lines = [
        gettext("Recovery code"),
        "",
        recovery_codes.grouped(code),
        "",
        gettext("Account: %(account)s") % {"account": visit.user.email},
        gettext("Organisation: %(name)s") % {"name": visit.organization or "Sekisho"},
        gettext("Address: %(url)s") % {"url": web.services().settings.base_url},
        gettext("Date: %(date)s") % {"date": i18n.catalog(web.language()).moment(visit.now)},
        "",
        gettext("Use it to sign in when you have lost your device. It works once."),
        "",
    ]
    response = Response("\r\n".join(lines), content_type="text/plain; charset=utf-8")
    response.headers.update(web.PAGE_HEADERS)
    response.headers["Content-Disposition"] = f'attachment; filename="{FILE_NAME}"'
    return response
