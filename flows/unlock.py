"""Lifting the lock of a password with the link of a lock mail.

Opening the link changes nothing, however often and by whomever: programs that read mails open
links, too (LK-01). It swaps the secret for a cookie and goes to an address without it (LK-04); the
button there lifts the lock. Nobody is signed in by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, request

from idp import web
from idp.accounts import locks
from idp.accounts.attempts import Source
from idp.accounts.identifiers import masked
from idp.accounts.locks import Outcome
from idp.oidc import respond
from idp.tickets import SECRET_LENGTH
from idp.web import gettext

blueprint = Blueprint("unlock", __name__)
PAGE = "/unlock"
COOKIE = "unlock"
COOKIE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class UnlockPage:
    action: str
    csrf: str
    account: str


@dataclass(frozen=True, slots=True)
class UnlockedPage:
    is_usable: bool
    """Whether the password can be tried again."""


@blueprint.get(f"{PAGE}/<secret>")
def open_link(secret: str) -> Response:
    response = respond.redirect(PAGE)
    web.set_cookie(response, COOKIE, secret[:SECRET_LENGTH], seconds=COOKIE_SECONDS)
    return response


@blueprint.get(PAGE)
def show() -> Response:
    services = web.services()
    claimant = locks.whose(services, _secret(), now=services.clock.now())
    if claimant is None or claimant.user is None:
        return _dead()
    return web.render(
        "unlock.html",
        UnlockPage(PAGE, web.csrf_token(PAGE), masked(claimant.user.email)),
        brand=claimant.organization_name,
    )


@blueprint.post(PAGE)
def take() -> Response:
    web.check_csrf(PAGE)
    services = web.services()
    source = Source(
        address=web.remote_address(),
        device=None,
        user_agent=request.headers.get("User-Agent", ""),
        request_id=web.request_id(),
    )
    now = services.clock.now()
    claimant = locks.whose(services, _secret(), now=now)
    outcome = locks.by_link(services, _secret(), now=now, source=source)
    if outcome is Outcome.TOO_OFTEN:
        return _too_often()
    response = (
        _dead()
        if outcome is Outcome.DEAD
        else web.render(
            "unlocked.html",
            UnlockedPage(outcome is Outcome.UNLOCKED),
            brand=claimant.organization_name if claimant else None,
        )
    )
    web.delete_cookie(response, COOKIE)
    return response


def _secret() -> str:
    return web.cookie(COOKIE) or ""


def _dead() -> Response:
    return web.error_page(
        404,
        "link_not_valid",
        gettext("It was used already, is too old, or was replaced by a newer one."),
        title=gettext("This link no longer works"),
        advice=gettext(
            "Go back to the application and sign in. A browser on which you have signed in before "
            "is not locked; if your password still is, ask the person who manages your accounts."
        ),
    )


def _too_often() -> Response:
    return web.error_page(
        429,
        "too_many_unlocks",
        gettext("This account was unlocked several times today already."),
        title=gettext("The lock cannot be lifted now"),
        advice=gettext(
            "Try again tomorrow, use a browser on which you have signed in before, or ask the "
            "person who manages your accounts."
        ),
    )
