"""The security page: how this account is protected, and where it is open."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request

from flows import methods
from flows.account import browsers, entry, factors
from flows.account.browsers import RememberedBrowser
from flows.account.entry import HOME, Frame, Visitor
from flows.account.factors import Factor
from idp import i18n, web
from idp.accounts import recovery_codes
from idp.policy import SecondFactor
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Addable:
    method: str
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class SecurityPage:
    frame: Frame
    done: str | None
    """What has just been done."""
    login_method: str
    signed_in_since: str
    signed_in_with: list[str]
    factors: list[Factor]
    when_asked: str
    addable: list[Addable]
    add_url: str
    recovery_code_made: str | None
    browsers: list[RememberedBrowser]
    forget_url: str


def show() -> Response:
    visitor = entry.enter()
    if isinstance(visitor, Response):
        return visitor
    moment = i18n.catalog(web.language()).moment
    held = factors.held(visitor)
    made = recovery_codes.made_at(web.services(), visitor.user.id)
    return web.render(
        "account/security.html",
        SecurityPage(
            frame=visitor.frame,
            done=_done().get(request.args.get("done", "")),
            login_method=methods.name(visitor.user.login_method),
            signed_in_since=moment(visitor.session.auth_time),
            signed_in_with=[methods.name(method) for method in visitor.session.methods.split()],
            factors=held,
            when_asked=_when_asked(visitor, has_any=bool(held)),
            addable=[
                Addable(kind, methods.name(kind), methods.to_set_up(kind))
                for kind in factors.addable(visitor)
            ],
            add_url=f"{HOME}/factors",
            recovery_code_made=None if made is None else moment(made),
            browsers=browsers.shown(visitor),
            forget_url=f"{HOME}/browsers",
        ),
        brand=visitor.user.organization_name,
    )


def _done() -> dict[str, str]:
    """What a page may be asked to say, by name: never a text from the address."""
    return {
        "forgotten": gettext("The browser is no longer remembered."),
        "all_forgotten": gettext("No browser is remembered any more."),
        "removed": gettext("It was removed. We have sent you a mail about it."),
        "renamed": gettext("The name was changed."),
    }


def _when_asked(visitor: Visitor, *, has_any: bool) -> str:
    if not has_any:
        return gettext("Nothing is set up yet. Add one, and a stolen password opens nothing.")
    if visitor.policy.second_factor is SecondFactor.ALWAYS:
        return gettext("You are asked for one of these each time you sign in.")
    return gettext("You are asked for one of these on browsers that are not remembered.")
