"""The page of mails and text messages: what the demo would have sent. Exists in it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response
from sqlalchemy import select
from werkzeug.exceptions import NotFound

from idp import i18n, outbox, sms, web
from idp.notices import MAIL
from idp.outbox import OutboxRow

blueprint = Blueprint("demo_mails", __name__, url_prefix="/demo/mails")
NEWEST = 50


@dataclass(frozen=True, slots=True)
class Mail:
    to: str
    subject: str
    at: str
    text: str
    html_url: str | None = None


@dataclass(frozen=True, slots=True)
class MailsPage:
    mails: list[Mail]


@blueprint.get("")
def show() -> Response:
    services = web.services()
    moment = i18n.catalog(web.language()).moment
    with services.database.transaction() as session:
        rows = session.scalars(
            select(OutboxRow)
            .where(OutboxRow.kind.in_([MAIL, sms.KIND]))
            .order_by(OutboxRow.created_at.desc())
            .limit(NEWEST)
        ).all()
    mails = [
        _shown(row, outbox.open_payload(row, services.sealer), moment(row.created_at))
        for row in rows
    ]
    return web.render("demo_mails.html", MailsPage(mails))


def _shown(row: OutboxRow, payload: dict[str, Any], at: str) -> Mail:
    if row.kind == sms.KIND:
        subject = web.gettext("Text message")
        return Mail(payload["to"], subject, at, payload["text"])
    return Mail(payload["to"], payload["subject"], at, payload["text"], f"/demo/mails/{row.id}")


@blueprint.get("/<row_id>")
def show_html(row_id: str) -> Response:
    services = web.services()
    with services.database.transaction() as session:
        row = session.get(OutboxRow, row_id)
    if row is None or row.kind != MAIL:
        raise NotFound
    html = outbox.open_payload(row, services.sealer)["html"]
    response = Response(html, content_type="text/html; charset=utf-8")
    # Mail programs need styles in the mail itself.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
    )
    return response
