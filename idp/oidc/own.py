"""Our own account pages, asked for like an application: the request that they are.

Whoever wants to see or change their account passes the same judgement and the same pages as for a
relying party, only stricter (`strict`), and ends at a local address instead of with a code. The
client is no row: its id is none that could be registered or asked for from outside (`is_client_id`
refuses it), so no authorization request, token or logout request can ever speak of it.
Source: OWASP ASVS 5.0, 7.5.1 and 7.5.3 (full authentication before sensitive changes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import literal, select

from idp import assurance, sessions
from idp.accounts import claimants, factors
from idp.db import Prepared
from idp.oidc import client
from idp.oidc.authorize import OPEN_SESSION, Asked
from idp.oidc.request import AuthorizationRequest, Destination
from idp.policy import SecondFactor
from idp.services import Services

CLIENT_ID: Final = "(account)"
FRESH_SECONDS = 600
"""How old the proof behind a look at the account may be."""
_CLIENT = client.parse(
    CLIENT_ID,
    json.dumps(
        {
            "application_type": "web",
            "token_endpoint_auth_method": "none",
            "redirect_uris": [],
            "first_party": True,
            "userinfo": False,
        }
    ),
    None,
    None,
)
_SESSIONS = Prepared(
    select(*OPEN_SESSION.c, literal(None).label("granted")).order_by(
        OPEN_SESSION.c.last_seen_at.desc()
    )
)


def parameters(path: str, *, chooses: bool = False, enrols: str = "") -> dict[str, str]:
    """The request for a page of the account, as an interaction keeps it.

    `path`: a local address. `chooses`: the person wants to say which account. `enrols`: the kind
    of factor that they came to set up.
    """
    asked = {"client_id": CLIENT_ID, "redirect_uri": path}
    if chooses:
        asked["prompt"] = "select_account"
    if enrols:
        asked["enrols"] = enrols
    return asked


def is_own(given: Mapping[str, str]) -> bool:
    """Whether these parameters of an interaction are such a request. To be asked of what we stored
    ourselves, never of what came in a query."""
    return given.get("client_id") == CLIENT_ID


def ask(services: Services, given: Mapping[str, str], name: str, secret: str | None) -> Asked:
    """The request with the browser's sessions, like `authorize.ask`. `name`: what people are told
    to be signing in to."""
    browser = sessions.browser_hash(secret) if secret else b""
    now = services.clock.now()
    rows = _SESSIONS.all(services.database.reader, browser=browser)
    path = given["redirect_uri"]
    request = AuthorizationRequest(
        client_id=CLIENT_ID,
        redirect_uri=path,
        scopes=("openid",),
        state=None,
        response_mode="query",
        prompts=frozenset(given.get("prompt", "").split()),
        max_age=FRESH_SECONDS,
    )
    return Asked(
        request,
        replace(_CLIENT, name=name),
        Destination(path, "query", None),
        [row for row in rows if sessions.is_live(row, services.settings, now)],
        None,
    )


def strict(services: Services, asked: Asked, row: Any | None) -> Asked:
    """The request as it is for the user of this session: who has set up a second factor shows one,
    whatever was waived; a mailed code does not do where one that counts as `mfa` is at hand."""
    claimant = claimants.named(services, row.user_id) if row is not None else None
    owned = factors.of(services, claimant).owned if claimant is not None else ()
    real = [method for method in owned if assurance.KINDS[method]]
    if claimant is None or not real:
        return asked
    reaches = assurance.acr([claimant.login_method, *real]) == assurance.MULTIPLE
    return asked._replace(
        client=replace(asked.client, second_factor=SecondFactor.ALWAYS),
        request=asked.request._replace(essential_acr=(assurance.MULTIPLE,) if reaches else ()),
    )


def destination(asked: Asked, row: Any) -> str:
    """Where the browser goes on, once nothing is missing: a local address, which names the session
    where there are several."""
    path = asked.to.redirect_uri
    return f"{path}?account={row.sid}" if len(asked.rows) > 1 else path
