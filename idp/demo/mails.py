"""The page of mails: what the demo would have sent. Exists in the demo alone."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response
from sqlalchemy import select
from werkzeug.exceptions import NotFound

from idp import i18n, outbox, web
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
    html_url: str


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
            .where(OutboxRow.kind == MAIL)
            .order_by(OutboxRow.created_at.desc())
            .limit(NEWEST)
        ).all()
    mails = []
    for row in rows:
        payload = outbox.open_payload(row, services.sealer)
        mails.append(
            Mail(
                to=payload["to"],
                subject=payload["subject"],
                at=moment(row.created_at),
                text=payload["text"],
                html_url=f"/demo/mails/{row.id}",
            )
        )
    return web.render("demo_mails.html", MailsPage(mails))


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
