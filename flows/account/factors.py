"""Second factors: what somebody has, adding one, renaming and removing one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from werkzeug.exceptions import NotFound

from flows import facts, methods
from flows.account import entry
from flows.account.entry import HOME, Frame, Visitor
from idp import i18n, web
from idp.accounts import passkeys, phones, totp
from idp.errors import NotFound as NothingThere
from idp.errors import Refused
from idp.oidc import respond
from idp.policy import Method, SecondFactor
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Kind:
    """How the factors of one kind are kept."""

    listed: Callable[..., list[Any]]
    """Of (services, user id): rows of id, name, created_at, last_used_at."""
    remove: Callable[..., bool]
    """Of (services, user, id, source, now); False: nothing was changed."""
    rename: Callable[..., object] | None = None
    """Of (services, user, id, name, source, now); False: there is no such one."""


# The strongest first.
KINDS: Mapping[str, Kind] = {
    Method.PASSKEY: Kind(passkeys.listed, passkeys.remove, passkeys.rename),
    Method.TOTP: Kind(totp.listed, totp.remove, totp.rename),
    Method.SMS: Kind(phones.listed, phones.remove),
}


@dataclass(frozen=True, slots=True)
class Factor:
    kind: str
    id: str
    kind_name: str
    name: str
    added: str
    used: str | None
    url: str


@dataclass(frozen=True, slots=True)
class FactorPage:
    frame: Frame
    factor: Factor
    action: str
    may_rename: bool
    warnings: list[str]
    name: str
    error: str | None = None


def held(visitor: Visitor) -> list[Factor]:
    """All that this person has set up, the strongest kind first."""
    services, moment = web.services(), i18n.catalog(web.language()).moment
    return [
        Factor(
            kind=kind,
            id=row.id,
            kind_name=methods.name(kind),
            name=row.name,
            added=moment(row.created_at),
            used=moment(row.last_used_at) if row.last_used_at else None,
            url=visitor.url(_path(kind, row.id)),
        )
        for kind, keeper in KINDS.items()
        for row in keeper.listed(services, visitor.user.id)
    ]


def addable(visitor: Visitor) -> tuple[str, ...]:
    """The kinds that this person may set up, the strongest first."""
    return facts.kinds_to_set_up(web.services(), visitor.policy)


def add() -> Response:
    """POST: goes to where the factor is set up, after what is missing until then."""
    entry.check_csrf()
    kind = request.form.get("method", "")
    if kind not in KINDS and kind != Method.RECOVERY_CODE:
        raise NotFound
    answer = entry.enter(enrols=kind)
    if not isinstance(answer, Response):
        raise AssertionError("a way to set up a factor is an answer")
    return answer


def show(kind: str, factor_id: str) -> Response:
    """GET: one factor, to be renamed or removed."""
    visitor = entry.enter(_checked(kind, factor_id))
    if isinstance(visitor, Response):
        return visitor
    return _page(visitor, kind, factor_id)


def change(kind: str, factor_id: str) -> Response:
    """POST: `do` is `rename` or `remove`."""
    entry.check_csrf()
    visitor = entry.enter(_checked(kind, factor_id))
    if isinstance(visitor, Response):
        return visitor
    try:
        return _change(visitor, kind, factor_id)
    except NothingThere:
        return respond.redirect(visitor.url(HOME))
    except Refused as refused:
        return _page(visitor, kind, factor_id, refused=refused)


def _change(visitor: Visitor, kind: str, factor_id: str) -> Response:
    """Raises NotFound and Refused."""
    keeper, services = KINDS[kind], web.services()
    circumstances = {"source": visitor.source, "now": visitor.now}
    match request.form.get("do"):
        case "rename" if keeper.rename is not None:
            name = request.form.get("name", "").strip()
            renamed = keeper.rename(services, visitor.user, factor_id, name, **circumstances)
            done, is_done = "renamed", renamed is not False
        case "remove":
            done = "removed"
            is_done = keeper.remove(services, visitor.user, factor_id, **circumstances)
        case _:
            return _page(visitor, kind, factor_id)
    return visitor.back(done) if is_done else respond.redirect(visitor.url(HOME))


def _page(visitor: Visitor, kind: str, factor_id: str, refused: Refused | None = None) -> Response:
    every = held(visitor)
    factor = next((f for f in every if (f.kind, f.id) == (kind, factor_id)), None)
    if factor is None:
        return respond.redirect(visitor.url(HOME))
    return web.render(
        "account/factor.html",
        FactorPage(
            frame=visitor.frame,
            factor=factor,
            action=_path(kind, factor_id),
            may_rename=KINDS[kind].rename is not None,
            warnings=_warnings(visitor, is_last=len(every) == 1),
            name=factor.name if refused is None else request.form.get("name", factor.name),
            error=None if refused is None else _why(refused),
        ),
        brand=visitor.user.organization_name,
    )


def _warnings(visitor: Visitor, *, is_last: bool) -> list[str]:
    """What removing a factor brings about."""
    told = [gettext("Browsers that are remembered will be forgotten.")]
    if not is_last:
        return told
    rules = visitor.policy
    is_demanded = (
        rules.second_factor is not SecondFactor.OFF
        and visitor.user.login_method in rules.second_factor_after
    )
    if is_demanded:
        told.append(
            gettext(
                "This is your last one, and your organisation asks for one: you will have to set "
                "up another when you sign in next time."
            )
        )
    else:
        told.append(
            gettext("This is your last one: your account will be protected less than before.")
        )
    return told


def _why(refused: Refused) -> str:
    match refused.member:
        case "name":
            return gettext("A name has 1 to 64 letters and signs.")
        case "count":
            return gettext("You sign in with this app, so it cannot be removed.")
        case _:
            return gettext("Your account was changed elsewhere in this moment. Try again.")


def _checked(kind: str, factor_id: str) -> str:
    """The path of a factor. Raises NotFound for what can be none."""
    if kind not in KINDS or not factor_id.isalnum() or not factor_id.isascii():
        raise NotFound
    return _path(kind, factor_id)


def _path(kind: str, factor_id: str) -> str:
    return f"{HOME}/factors/{kind}/{factor_id}"
