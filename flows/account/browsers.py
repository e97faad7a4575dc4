"""Remembered browsers: what the person sees of them, and taking it back."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from flows.account import entry
from flows.account.entry import Visitor
from idp import audit, i18n, notices, sessions, web
from idp.accounts import browsers
from idp.audit import Event

EVERY = "all"


@dataclass(frozen=True, slots=True)
class RememberedBrowser:
    id: str
    name: str
    place: str
    is_this: bool
    last_used: str
    until: str


def shown(visitor: Visitor) -> list[RememberedBrowser]:
    device = web.cookie(web.DEVICE_COOKIE)
    this = browsers.device_hash(device) if device else None
    moment = i18n.catalog(web.language()).moment
    return [
        RememberedBrowser(
            id=row.id,
            name=notices.kind_of_browser(row.user_agent),
            place=row.address,
            is_this=row.secret_hash == this,
            last_used=moment(row.last_seen_at),
            until=moment(browsers.remembered_until(row, visitor.policy)),
        )
        for row in browsers.remembered(
            web.services().database.reader,
            visitor.user.id,
            visitor.policy,
            visitor.user.role,
            visitor.now,
        )
    ]


def forget() -> Response:
    """POST: one browser, or all. Sessions that were opened there without a second factor are asked
    for one as well: else a lost computer would stay signed in for hours."""
    entry.check_csrf()
    visitor = entry.enter()
    if isinstance(visitor, Response):
        return visitor
    wanted = request.form.get("forget", "")
    if not (wanted.isascii() and wanted.isalnum()):
        return visitor.back("forgotten")
    with web.services().database.transaction() as session:
        only = None if wanted == EVERY else wanted
        count = browsers.forget(session, visitor.user.id, only)
        if count:
            sessions.end_waivers(session, visitor.user.id)
            audit.record(
                session,
                Event.BROWSER_FORGOTTEN,
                at=visitor.now,
                actor=visitor.user.id,
                user_id=visitor.user.id,
                organization_id=visitor.user.organization_id,
                address=web.remote_address(),
                request_id=web.request_id(),
                count=count,
            )
    return visitor.back("all_forgotten" if wanted == EVERY else "forgotten")
