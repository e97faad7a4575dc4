"""Opening the session, once the proofs suffice, and strengthening one: the only place that does."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from flask import Response, g, request
from sqlalchemy.orm import Session

from flows.login.visit import Visit, save
from idp import assurance, sessions, web
from idp import interaction as interactions
from idp.accounts import browsers, credentials
from idp.audit import Event
from idp.interaction import Interaction

Forward = Callable[[Interaction], Response]


def open_session(visit: Visit, forward: Forward) -> Response:
    """Signs the proven user in, makes this browser known, and goes on."""
    services, interaction = web.services(), visit.interaction
    user_id = interaction.user_id
    if user_id is None or user_id != visit.claimant.account:
        raise AssertionError("proofs of somebody else")
    methods = [proof.method for proof in interaction.proofs]
    device = web.cookie(web.DEVICE_COOKIE)
    if device is None or len(device) != 43:
        device = secrets.token_urlsafe(32)
    has_second = assurance.has_second(methods)
    remembers = interaction.remembers and has_second and visit.known.may_remember
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
            is_waived=(visit.known.is_remembered or remembers),
        )
        browsers.remember(
            session,
            user_id,
            browsers.device_hash(device),
            now=visit.now,
            waives_factor=remembers,
            address=web.remote_address(),
            user_agent=request.headers.get("User-Agent", ""),
        )
        _record(visit, session, Event.LOGIN_SUCCEEDED, methods=methods)
        if remembers:
            _record(visit, session, Event.BROWSER_REMEMBERED)
    response = _go_on(visit, forward, sid, secret, opened=True)
    web.set_cookie(response, web.DEVICE_COOKIE, device, seconds=web.DEVICE_SECONDS)
    return response


def strengthen(visit: Visit, forward: Forward) -> Response:
    """Adds the proofs of this visit to the session that goes on, and goes on."""
    services, interaction = web.services(), visit.interaction
    sid = interaction.session_id
    if sid is None or interaction.user_id != visit.claimant.account:
        # Not this session's user: whoever it is has to sign in.
        return forward(save(interactions.without_proofs(interaction)))
    with services.database.transaction() as session:
        secret = sessions.strengthen(
            session, sid, secret=web.session_secret(), proofs=interaction.proofs, now=visit.now
        )
        if secret is not None:
            methods = [proof.method for proof in interaction.proofs]
            _record(visit, session, Event.FACTOR_SHOWN, methods=methods)
    if secret is not None and not interaction.opened:
        # They are the session's now; in this visit they could only be taken for a sign-in.
        visit = replace(visit, interaction=interactions.without_proofs(interaction))
    if secret is None:  # Ended elsewhere meanwhile: what is missing now is judged anew.
        return forward(save(interactions.without_proofs(interaction)))
    return _go_on(visit, forward, sid, secret, opened=interaction.opened)


def _go_on(visit: Visit, forward: Forward, sid: str, secret: str, *, opened: bool) -> Response:
    g.session_secret = secret
    response = forward(save(replace(visit.interaction, session_id=sid, opened=opened)))
    web.set_cookie(response, web.SESSION_COOKIE, secret)
    return response


def _record(visit: Visit, session: Session, event: Event, **details: list[str]) -> None:
    credentials.record(session, event, visit.user, source=visit.source, now=visit.now, **details)
