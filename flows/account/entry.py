"""The way into the account pages: who may see which account, or the pages that ask for more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, request

from idp import sessions, web
from idp.accounts import claimants
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.oidc import authorize, own, parameters, respond
from idp.oidc.authorize import choose, signed_in
from idp.oidc.end_session import LOGOUT_PAGE
from idp.oidc.requirements import unmet
from idp.policy import Policy
from idp.web import gettext

HOME = "/account/security"
ANOTHER = "other"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has just proven that this is their account."""

    session: Any
    """A row of `authorize.OPEN_SESSION`."""
    claimant: Claimant
    has_others: bool
    """Whether other accounts are signed in on this browser."""
    now: datetime

    @property
    def user(self) -> Any:
        """A row of `users.CREDENTIAL_COLUMNS`."""
        return self.claimant.user

    @property
    def policy(self) -> Policy:
        return self.claimant.policy

    @property
    def frame(self) -> Frame:
        return Frame(
            account=self.session.sid,
            csrf=web.csrf_token(_purpose(self.session.sid)),
            name=self.user.name,
            email=self.user.email,
            organization=self.user.organization_name,
            switch_url=f"{HOME}?account={ANOTHER}" if self.has_others else None,
            home_url=self.url(HOME),
            sign_out_url=LOGOUT_PAGE,
        )

    @property
    def source(self) -> Source:
        return Source(
            address=web.remote_address(),
            device=web.cookie(web.DEVICE_COOKIE),
            user_agent=request.headers.get("User-Agent", ""),
            request_id=web.request_id(),
            client_id=own.CLIENT_ID,
        )

    def url(self, path: str, **query: str) -> str:
        """A page of this account, in a browser that may hold several."""
        named = {"account": self.session.sid, **query} if self.has_others else query
        return path + ("?" + parameters.write(named) if named else "")

    def back(self, done: str) -> Response:
        """To the account page, which says what was `done` (see `security.DONE`)."""
        return respond.redirect(self.url(HOME, done=done))


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page of the account shows around its own matter."""

    account: str
    """Names the session; every form sends it back."""
    csrf: str
    name: str
    email: str
    organization: str
    switch_url: str | None
    home_url: str
    sign_out_url: str


def enter(path: str = HOME, *, enrols: str = "") -> Visitor | Response:
    """Who asks for the page at `path`; or the answer, when something is missing first. Nothing is
    changed by a form that comes too late: the person confirms, and finds the page again.

    `enrols`: a kind of factor that is to be set up. Then the answer always is the way there.
    """
    services = web.services()
    now = services.clock.now()
    sent = request.form if request.method == "POST" else request.args
    named = sent.get("account", "")
    given = own.parameters(path, chooses=named == ANOTHER, enrols=enrols)
    asked = own.ask(services, given, gettext("your account"), web.session_secret())
    row = choose(asked, named) if named else None
    if row is None and request.method == "GET":
        row = choose(asked)
    asked = own.strict(services, asked, row)
    needs = unmet(asked.request, signed_in(services, row), asked.client, now=now)
    claimant = claimants.named(services, row.user_id) if row is not None else None
    if needs or enrols or claimant is None:
        return authorize.to_pages(services, asked, row, needs, given, now)
    sessions.touch(services.database.reader, row, now)
    return Visitor(row, claimant, len(asked.rows) > 1, now)


def check_csrf() -> None:
    """Raises Forbidden unless the form was made here for the account that it names."""
    web.check_csrf(_purpose(request.form.get("account", "")))


def _purpose(sid: str) -> str:
    return f"account:{sid}"
