"""Mails about the password: it is locked, somebody knows it, it was changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp import i18n
from idp.notices import kind_of_browser, language_of, queue, tell_change
from idp.services import Services


def account_locked(
    services: Services,
    session: Session,
    user: Any,
    *,
    now: datetime,
    until: datetime | None,
    address: str,
    user_agent: str,
    is_own_browser: bool = False,
    unlock_url: str | None = None,
    unlock_until: datetime | None = None,
) -> None:
    """The password of this account is locked. `user`: a row of users.CREDENTIALS; `until` None:
    the lock does not end by itself; `is_own_browser`: it is only for one that the person has used
    before; `unlock_url` None: there is no way to lift it, or no need to."""
    catalog = i18n.catalog(language_of(services, user))
    queue(
        services,
        session,
        user,
        template="account_locked",
        subject=catalog.gettext("Your account at %(org)s is locked")
        % {"org": user.organization_name},
        now=now,
        when=catalog.moment(now),
        until=catalog.moment(until) if until else "",
        is_own_browser="yes" if is_own_browser else "",
        unlock_url=unlock_url or "",
        unlock_until=catalog.moment(unlock_until) if unlock_until else "",
        browser=kind_of_browser(user_agent),
        place=address,
    )


def password_known(
    services: Services,
    session: Session,
    user: Any,
    *,
    now: datetime,
    address: str,
    user_agent: str,
) -> None:
    """After the right password the second factor failed several times."""
    catalog = i18n.catalog(language_of(services, user))
    queue(
        services,
        session,
        user,
        template="password_known",
        subject=catalog.gettext("Somebody may know your password at %(org)s")
        % {"org": user.organization_name},
        now=now,
        when=catalog.moment(now),
        browser=kind_of_browser(user_agent),
        place=address,
    )


def password_changed(
    services: Services, session: Session, user: Any, *, now: datetime, address: str, user_agent: str
) -> None:
    """The password was changed; without an address: by an administrator."""
    catalog = i18n.catalog(language_of(services, user))
    by_user = catalog.gettext("You were signed out on all other devices.")
    by_other = catalog.gettext("An administrator set a new one. You were signed out everywhere.")
    tell_change(
        services,
        session,
        user,
        now=now,
        address=address,
        user_agent=user_agent,
        title=catalog.gettext("Your password was changed"),
        happened=by_user if address else by_other,
    )
