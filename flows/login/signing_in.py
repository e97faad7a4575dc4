"""Opening the session, once the proofs suffice: the only place that does."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from flask import Response, g, request

from flows.login.visit import Visit, save
from idp import audit, sessions, web
from idp.accounts import browsers
from idp.audit import Event
from idp.interaction import Interaction


def open_session(visit: Visit, forward: Callable[[Interaction], Response]) -> Response:
    """Signs the proven user in, makes this browser known, and goes on."""
    services, interaction = web.services(), visit.interaction
    user_id = interaction.user_id
    if user_id is None:
        raise AssertionError("proofs without a user")
    device = web.cookie(web.DEVICE_COOKIE)
    if device is None or len(device) != 43:
        device = secrets.token_urlsafe(32)
    with services.database.transaction() as session:
        sid, secret = sessions.open_session(
            session,
            user_id=user_id,
            secret=web.session_secret(),
            proofs=interaction.proofs,
            now=visit.now,
            address=web.remote_address(),
            user_agent=request.headers.get("User-Agent", ""),
            renews=next((row.sid for row in visit.asked.rows if row.user_id == user_id), None),
        )
        browsers.remember(session, user_id, sessions.browser_hash(device), now=visit.now)
        audit.record(
            session,
            Event.LOGIN_SUCCEEDED,
            at=visit.now,
            actor=user_id,
            user_id=user_id,
            client_id=visit.asked.client.id,
            address=web.remote_address(),
            request_id=web.request_id(),
            methods=[proof.method for proof in interaction.proofs],
        )
    g.session_secret = secret
    response = forward(save(replace(interaction, session_id=sid, opened=True)))
    web.set_cookie(response, web.SESSION_COOKIE, secret)
    web.set_cookie(response, web.DEVICE_COOKIE, device, seconds=web.DEVICE_SECONDS)
    return response
