"""The accounts that this browser can offer: those signed in here, then those that were before.

Of this browser alone: named by its session cookie or its device cookie, which is set after a full
sign-in. An id from elsewhere is nothing, so nobody can ask here who exists (EN-01).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flows.login.visit import Visit, save
from idp import interaction as interactions
from idp import web
from idp.accounts import browsers
from idp.interaction import Interaction
from idp.oidc import end_session


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    """Of the session, or of the browser's row: what the form sends."""
    name: str
    email: str
    organization: str
    signed_in: bool


def offered(visit: Visit) -> list[Account]:
    """The accounts to choose from, each once, those last used first."""
    here = {
        row.user_id: Account(row.sid, row.user_name, row.email, row.organization_name, True)
        for row in visit.asked.rows
    }
    before = [
        Account(row.browser_id, row.user_name, row.email, row.organization_name, False)
        for row in _known()
        if row.user_id not in here
    ]
    return [*here.values(), *before]


def pick(visit: Visit, account_id: str) -> Interaction | None:
    """The visit of who picked one of these accounts; None when there is no such one here."""
    picked = next((account for account in offered(visit) if account.id == account_id), None)
    if picked is None:
        return None
    return _chosen(
        visit, session_id=picked.id if picked.signed_in else None, identifier=picked.email
    )


def another(visit: Visit) -> Interaction:
    """The visit of who wants to sign in with an account that is not offered."""
    return _chosen(visit, session_id=None, identifier="")


def _chosen(visit: Visit, *, session_id: str | None, identifier: str) -> Interaction:
    return save(
        replace(
            interactions.anew(visit.interaction, identifier=identifier, session_id=session_id),
            account_chosen=True,
        )
    )


def remove(visit: Visit, account_id: str) -> Interaction:
    """Takes an account off this browser's list; who is signed in with it is signed out here. The
    visit begins anew with who it is about: it may have been this one."""
    services = web.services()
    rows = [row for row in visit.asked.rows if row.sid == account_id]
    end_session.end(services, rows, now=visit.now, client=visit.asked.client)
    device, users = web.cookie(web.DEVICE_COOKIE), {row.user_id for row in rows}
    for row in _known():
        if device and (row.browser_id == account_id or row.user_id in users):
            with services.database.transaction() as session:
                browsers.remove(session, browsers.device_hash(device), row.browser_id)
    return save(interactions.anew(visit.interaction, identifier=""))


def _known() -> list[Any]:
    return browsers.accounts(web.services().database.reader, web.cookie(web.DEVICE_COOKIE))
