"""The authorization endpoint: the request's way in. Its way out, after the pages, is `resume`.

Reads one row set (client, the browser's sessions, consent) in one statement, asks `requirements`
what is missing, and either answers or sends the person to the pages.
Source: OpenID Connect Core, 3.1.2; RFC 6749, 4.1; RFC 9207.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from flask import Response, current_app, request
from sqlalchemy import and_, bindparam, select
from werkzeug.exceptions import RequestEntityTooLarge

from idp import interaction as interactions
from idp import policy, sessions, web
from idp.accounts import terms
from idp.accounts.consents import Consent
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.db import Prepared
from idp.errors import SekishoError
from idp.oidc import clients, codes, parameters, respond
from idp.oidc import request as requests
from idp.oidc.client import Client, is_client_id
from idp.oidc.clients import ClientRow
from idp.oidc.request import AuthorizationRequest, Destination, Untrusted
from idp.oidc.requirements import Need, SignedIn, unmet
from idp.services import Services
from idp.sessions import SessionRow
from keys import jwt

POST_LIMIT = 16 * 1024
LOCATION_LIMIT = 12 * 1024
HINT_AGE = timedelta(days=30)

# The sessions of a browser with all that is judged of them.
OPEN_SESSION = (
    select(
        *sessions.COLUMNS,
        User.organization_id.label("organization_id"),
        User.name.label("user_name"),
        User.email,
        User.email_key,
        User.login_id_key,
        User.role,
        User.email_verified_at,
        User.required_actions,
        terms.are_due().label("owes_terms"),
        Organization.name.label("organization_name"),
        Organization.policy.label("organization_policy"),
    )
    .join(User, User.id == SessionRow.user_id)
    .join(Organization, Organization.id == User.organization_id)
    .where(SessionRow.browser == bindparam("browser"), *sessions.IS_OPEN)
    .subquery("s")
)
# One row for each session of the browser, or one without a session; none: no such client.
CONTEXT = Prepared(
    select(*clients.COLUMNS, *OPEN_SESSION.c, Consent.scope.label("granted"))
    .select_from(ClientRow)
    .outerjoin(OPEN_SESSION, OPEN_SESSION.c.sid.is_not(None))
    .outerjoin(
        Consent,
        and_(Consent.client_id == ClientRow.id, Consent.user_id == OPEN_SESSION.c.user_id),
    )
    .where(ClientRow.id == bindparam("client_id"), ClientRow.disabled_at.is_(None))
    .order_by(OPEN_SESSION.c.last_seen_at.desc())
)


class Asked(NamedTuple):
    """A request together with everything that decides about it."""

    request: AuthorizationRequest
    client: Client
    to: Destination
    rows: list[Any]
    """The live sessions of this browser, the most recently used first."""
    hinted_sub: str | None


class Refusal(SekishoError):
    """An error that goes to the relying party."""

    def __init__(self, to: Destination, client: Client, failure: OAuth2Error) -> None:
        super().__init__(failure.error)
        self.to, self.client, self.failure = to, client, failure


def authorize() -> Response:
    """GET: the request is in the query. POST: in the body, alone, and comes back as a GET."""
    try:
        if request.method == "POST":
            return _from_post()
        return _decide(requests.read(request.environ.get("QUERY_STRING", "")))
    except Untrusted as failure:
        return respond.untrusted(failure)
    except Refusal as refusal:
        return respond.error(refusal.to, refusal.failure, after_post=False)


def _from_post() -> Response:
    """Other sites' forms arrive without our SameSite cookies. A redirect to ourselves brings them
    back, and no parameters are stored for strangers (AZ-17)."""
    if requests.read(request.environ.get("QUERY_STRING", "")):
        raise Untrusted("invalid_request", "parameters in query and body")
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Untrusted("invalid_request", "the body is not a form")
    request.max_content_length = POST_LIMIT
    try:
        sent = requests.read(request.get_data(cache=False).decode("latin-1"))
    except RequestEntityTooLarge:
        raise Untrusted("invalid_request", "the request is too long") from None
    location = "/authorize?" + parameters.write(sent)
    if len(location) > LOCATION_LIMIT:
        raise Untrusted("invalid_request", "the request is too long")
    return respond.redirect(location)


def _decide(given: dict[str, str]) -> Response:
    services = web.services()
    now = services.clock.now()
    asked = ask(services, given, web.cookie(web.SESSION_COOKIE), now)
    row = choose(asked)
    needs = unmet(
        asked.request,
        signed_in(services, row),
        asked.client,
        now=now,
        hinted_sub=asked.hinted_sub,
    )
    if not needs:
        return respond.answer(
            asked.to, {"code": issue(services, asked, row, now)}, after_post=False
        )
    if "none" in asked.request.prompts:
        return respond.error(asked.to, needs[0].error, after_post=False)
    return to_pages(services, asked, row, needs, given, now)


def ask(services: Services, given: dict[str, str], secret: str | None, now: datetime) -> Asked:
    """Reads and judges everything about a request. Raises Untrusted or Refusal."""
    client_id = given.get("client_id")
    if client_id is None:
        raise Untrusted("invalid_request", "client_id is missing")
    browser = sessions.browser_hash(secret) if secret else b""
    rows = []
    if is_client_id(client_id):
        rows = CONTEXT.all(services.database.reader, client_id=client_id, browser=browser)
    if not rows:
        raise Untrusted("invalid_client", "client_id is not registered here")
    client = clients.from_row(rows[0])
    to = requests.destination(given, client)
    try:
        asked = requests.parse(given, client, to)
        hinted_sub = _hinted_sub(services, asked, now)
    except OAuth2Error as failure:
        raise Refusal(to, client, failure) from failure
    live = [
        row for row in rows if row.sid is not None and sessions.is_live(row, services.settings, now)
    ]
    return Asked(asked, client, to, live, hinted_sub)


def _hinted_sub(services: Services, asked: AuthorizationRequest, now: datetime) -> str | None:
    if not asked.id_token_hint:
        return None
    try:
        claims = jwt.verify(
            asked.id_token_hint,
            services.keyring,
            now,
            typ="JWT",
            issuer=services.settings.issuer,
            audience=None,
            expired_for=HINT_AGE,
        )
    except jwt.InvalidToken:
        raise InvalidRequestError("id_token_hint is not an ID token of this issuer") from None
    return str(claims["sub"])


def choose(asked: Asked, sid: str | None = None) -> Any | None:
    """Which of the browser's sessions the answer would speak of: the named one, the hinted user's,
    the one that `login_hint` names, or the most recently used."""
    if sid is not None:
        return next((row for row in asked.rows if row.sid == sid), None)
    for sub in (asked.hinted_sub, asked.request.claimed_sub):
        if sub is not None:
            return next((row for row in asked.rows if row.user_id == sub), None)
    hint = asked.request.login_hint.strip().lower()
    if hint and len(asked.rows) > 1:
        for row in asked.rows:
            if hint in (row.email_key, row.login_id_key):
                return row
    return asked.rows[0] if asked.rows else None


def signed_in(services: Services, row: Any | None) -> SignedIn | None:
    if row is None:
        return None
    return SignedIn(
        sid=row.sid,
        user_id=row.user_id,
        organization_id=row.organization_id,
        auth_time=row.auth_time,
        methods=tuple(row.methods.split()),
        granted_scopes=frozenset(row.granted.split()) if row.granted else frozenset(),
        role=row.role,
        policy=policy.of_organization(
            row.organization_policy, services.settings.second_factor_floor
        ),
        is_waived=row.is_waived,
        has_verified_address=row.email_verified_at is not None,
        required_actions=tuple(row.required_actions.split()),
        owes_terms=row.owes_terms,
    )


def issue(services: Services, asked: Asked, row: Any, now: datetime) -> str:
    if "none" not in asked.request.prompts:
        # Silent polling by an application does not keep a session alive (SE-03).
        sessions.touch(services.database.reader, row, now)
    seconds = services.settings.code_seconds
    grant = codes.Grant(
        client_id=asked.client.id,
        sid=row.sid,
        user_id=row.user_id,
        scopes=asked.request.scopes,
        redirect_uri=asked.to.redirect_uri,
        nonce=asked.request.nonce,
        code_challenge=asked.request.code_challenge,
        auth_time=int(row.auth_time.timestamp()),
        methods=tuple(row.methods.split()),
        id_token_claims=asked.request.id_token_claims,
        userinfo_claims=asked.request.userinfo_claims,
        expires_at=now.timestamp() + seconds,
    )
    return codes.issue_code(services.state, grant, seconds)


def to_pages(
    services: Services,
    asked: Asked,
    row: Any | None,
    needs: Sequence[Need],
    given: dict[str, str],
    now: datetime,
) -> Response:
    """Starts an interaction. A session that only lacks consent, say, goes with it."""
    interaction = interactions.start(
        services.state,
        browser=sessions.browser_hash(web.browser_secret()).hex(),
        parameters=given,
        now=now,
        lifetime=timedelta(minutes=services.settings.interaction_minutes),
        session_id=row.sid if row is not None and Need.LOGIN not in needs else None,
        identifier=_meant(asked, row),
    )
    return web.bind_browser(
        respond.redirect(current_app.extensions["sekisho_interaction_url"](interaction))
    )


def _meant(asked: Asked, row: Any | None) -> str:
    """The identifier of somebody who is only to prove again who they are: they need not say it."""
    hint = asked.request.login_hint.strip().lower()
    if row is None or (hint and hint not in (row.email_key, row.login_id_key)):
        return ""
    return str(row.email)
