"""Notices: mails that tell people what happened to their account.

Rendered in the person's language when it happens, queued in the transaction of what they tell of.
Owns which templates and values; `mail` builds and sends, the outbox retries.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from sqlalchemy.orm import Session

from idp import i18n, mail, outbox
from idp.policy import Method
from idp.services import Services

MAIL = "mail"


@lru_cache(maxsize=2)
def _templates(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(i18n.templates_folder() / "mail"),
        autoescape=select_autoescape(["html"]),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=False,
    )
    catalog = i18n.catalog(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        catalog.gettext, catalog.ngettext, newstyle=True
    )
    return environment


def factor_added(
    services: Services,
    session: Session,
    user: Any,
    *,
    method: str,
    name: str,
    now: datetime,
    address: str,
    user_agent: str,
) -> None:
    """A second factor was set up. `user`, here and below: a row of users.CREDENTIAL_COLUMNS."""
    catalog = i18n.catalog(language_of(services, user))
    tell_change(
        services,
        session,
        user,
        now=now,
        address=address,
        user_agent=user_agent,
        title=catalog.gettext("A way to confirm that it is you was added"),
        happened=_kind(catalog, method, name),
    )


def factor_removed(
    services: Services,
    session: Session,
    user: Any,
    *,
    method: str,
    name: str,
    now: datetime,
    address: str,
    user_agent: str,
) -> None:
    """A second factor was removed."""
    catalog = i18n.catalog(language_of(services, user))
    tell_change(
        services,
        session,
        user,
        now=now,
        address=address,
        user_agent=user_agent,
        title=catalog.gettext("A way to confirm that it is you was removed"),
        happened=_kind(catalog, method, name),
    )


def recovery_code_used(
    services: Services, session: Session, user: Any, *, now: datetime, address: str, user_agent: str
) -> None:
    """Somebody signed in with the recovery code."""
    catalog = i18n.catalog(language_of(services, user))
    tell_change(
        services,
        session,
        user,
        now=now,
        address=address,
        user_agent=user_agent,
        title=catalog.gettext("Your recovery code was used"),
        happened=catalog.gettext(
            "It no longer works. A new one is shown once, to be saved in its place."
        ),
    )


def recovery_code_made(
    services: Services, session: Session, user: Any, *, now: datetime, address: str, user_agent: str
) -> None:
    """The user saved a new recovery code."""
    catalog = i18n.catalog(language_of(services, user))
    tell_change(
        services,
        session,
        user,
        now=now,
        address=address,
        user_agent=user_agent,
        title=catalog.gettext("You have a new recovery code"),
        happened=catalog.gettext("Earlier recovery codes no longer work."),
    )


def tell_change(
    services: Services,
    session: Session,
    user: Any,
    *,
    now: datetime,
    address: str,
    user_agent: str,
    title: str,
    happened: str,
) -> None:
    """A credential was changed: what, when, from where, and what to do if it was not the user."""
    catalog = i18n.catalog(language_of(services, user))
    queue(
        services,
        session,
        user,
        template="credential_changed",
        subject=catalog.gettext("%(org)s: %(title)s")
        % {"org": user.organization_name, "title": title},
        now=now,
        title=title,
        happened=happened,
        when=catalog.moment(now),
        browser=kind_of_browser(user_agent),
        place=address,
    )


def _kind(catalog: i18n.Catalog, method: str, name: str) -> str:
    """A factor as people call it."""
    kinds = {
        Method.PASSKEY: catalog.gettext("Passkey: %(name)s"),
        Method.TOTP: catalog.gettext("Authenticator app: %(name)s"),
        Method.SMS: catalog.gettext("Phone number: %(name)s"),
    }
    return kinds[Method(method)] % {"name": name}


def login_code(
    services: Services,
    session: Session,
    user: Any,
    *,
    code: str,
    purpose: str,
    application: str,
    now: datetime,
    until: datetime,
    address: str,
    user_agent: str,
) -> None:
    """A code to be typed on a page. `purpose`: `sign_in`, `second` or `verify`.

    The subject does not hold the code: it is shown on locked screens and kept in the logs of mail
    servers. Nor is there any link, so that scanners have nothing to open, and people learn that
    who sends one with a code is not us.
    """
    catalog = i18n.catalog(language_of(services, user))
    subject = catalog.gettext("Your sign-in code for %(org)s")
    if purpose == "verify":
        subject = catalog.gettext("Your code to confirm your address at %(org)s")
    queue(
        services,
        session,
        user,
        template="login_code",
        subject=subject % {"org": user.organization_name},
        now=now,
        code=_grouped(code),
        purpose=purpose,
        application=application,
        when=catalog.moment(now),
        until=catalog.moment(until),
        browser=kind_of_browser(user_agent),
        place=address,
        has_links=False,
    )


def _grouped(code: str) -> str:
    """`1234 5678`: people read and type groups, and the page takes the space."""
    half = len(code) // 2
    return f"{code[:half]} {code[half:]}"


def language_of(services: Services, user: Any) -> str:
    return i18n.preferred([user.locale or ""], services.settings.default_language)


def kind_of_browser(user_agent: str) -> str:
    """What people call it: never the header itself, which a stranger writes."""
    names = {"Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")
    browser = next((name for mark, name in names.items() if mark in user_agent), "?")
    system = next((name for name in systems if name in user_agent), "")
    return f"{browser} ({system})" if system else browser


def queue(
    services: Services,
    session: Session,
    user: Any,
    *,
    template: str,
    subject: str,
    now: datetime,
    has_links: bool = True,
    **values: str,
) -> None:
    language = language_of(services, user)
    templates = _templates(language)
    contact = services.settings.contact_url.removeprefix("mailto:")
    context = {
        "language": language,
        "subject": subject,
        "user_name": user.name,
        "organization": user.organization_name,
        "contact": contact if has_links or "://" not in contact else "",
        "idp_url": services.settings.base_url,
        **values,
    }
    outbox.enqueue(
        session,
        services.sealer,
        MAIL,
        mail.payload(
            to=user.email,
            name=user.name,
            subject=subject,
            text=templates.get_template(f"{template}.txt").render(context),
            html=templates.get_template(f"{template}.html").render(context),
        ),
        now=now,
    )
