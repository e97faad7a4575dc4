"""Notices: mails that tell people what happened to their account.

Rendered in the person's language when it happens, queued in the transaction of what they tell of.
Owns which templates and values; `mail` builds and sends, the outbox retries.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Notice:
    """Whom to tell of what happens in this transaction, and where it comes from."""

    services: Services
    session: Session
    user: Any
    """A row of `users.CREDENTIAL_COLUMNS`."""
    now: datetime
    address: str = ""
    user_agent: str = ""

    @property
    def catalog(self) -> i18n.Catalog:
        return i18n.catalog(language_of(self.services, self.user))

    def queue(self, template: str, subject: str, *, has_links: bool = True, **values: str) -> None:
        """Queues the mail. `subject`: translated, with a place for `org`. `has_links` False: the
        mail has nothing to open, not even the address for questions."""
        services, user, catalog = self.services, self.user, self.catalog
        templates = _templates(catalog.language)
        contact = services.settings.contact_url.removeprefix("mailto:")
        subject = subject % {"org": user.organization_name}
        context = {
            "language": catalog.language,
            "subject": subject,
            "user_name": user.name,
            "organization": user.organization_name,
            "contact": contact if has_links or "://" not in contact else "",
            "idp_url": services.settings.base_url,
            "when": catalog.moment(self.now),
            "browser": kind_of_browser(self.user_agent) if self.address else "",
            "place": self.address,
            **values,
        }
        outbox.enqueue(
            self.session,
            services.sealer,
            MAIL,
            mail.payload(
                to=user.email,
                name=user.name,
                subject=subject,
                text=templates.get_template(f"{template}.txt").render(context),
                html=templates.get_template(f"{template}.html").render(context),
            ),
            now=self.now,
        )

    def of_change(self, title: str, happened: str) -> None:
        """A credential was changed: what, when, from where, what to do if it was not the user."""
        subject = self.catalog.gettext("%(org)s: %(title)s")
        self.queue(
            "credential_changed",
            # The title may hold a sign that `queue` would read as a place.
            subject % {"org": "%(org)s", "title": title.replace("%", "%%")},
            title=title,
            happened=happened,
        )


def factor_added(notice: Notice, method: str, name: str) -> None:
    """A second factor was set up."""
    catalog = notice.catalog
    notice.of_change(
        catalog.gettext("A way to confirm that it is you was added"), _kind(catalog, method, name)
    )


def factor_removed(notice: Notice, method: str, name: str) -> None:
    """A second factor was removed."""
    catalog = notice.catalog
    notice.of_change(
        catalog.gettext("A way to confirm that it is you was removed"), _kind(catalog, method, name)
    )


def recovery_code_used(notice: Notice) -> None:
    """Somebody signed in with the recovery code."""
    notice.of_change(
        notice.catalog.gettext("Your recovery code was used"),
        notice.catalog.gettext(
            "It no longer works. A new one is shown once, to be saved in its place."
        ),
    )


def recovery_code_made(notice: Notice) -> None:
    """The user saved a new recovery code."""
    notice.of_change(
        notice.catalog.gettext("You have a new recovery code"),
        notice.catalog.gettext("Earlier recovery codes no longer work."),
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
    notice: Notice, *, code: str, purpose: str, application: str, until: datetime
) -> None:
    """A code to be typed on a page. `purpose`: `sign_in`, `second` or `verify`.

    The subject does not hold the code: it is shown on locked screens and kept in the logs of mail
    servers. Nor is there any link, so that scanners have nothing to open, and people learn that
    who sends one with a code is not us.
    """
    catalog = notice.catalog
    subject = catalog.gettext("Your sign-in code for %(org)s")
    if purpose == "verify":
        subject = catalog.gettext("Your code to confirm your address at %(org)s")
    half = len(code) // 2
    notice.queue(
        "login_code",
        subject,
        # People read and type groups, and the page takes the space.
        code=f"{code[:half]} {code[half:]}",
        purpose=purpose,
        application=application,
        until=catalog.moment(until),
        has_links=False,
    )


def account_locked(
    notice: Notice,
    *,
    until: datetime | None,
    is_own_browser: bool = False,
    unlock_url: str | None = None,
    unlock_until: datetime | None = None,
) -> None:
    """The password of this account is locked. `until` None: the lock does not end by itself;
    `is_own_browser`: it is only for one that the person has used before; `unlock_url` None: there
    is no way to lift it, or no need to."""
    catalog = notice.catalog
    notice.queue(
        "account_locked",
        catalog.gettext("Your account at %(org)s is locked"),
        until=catalog.moment(until) if until else "",
        is_own_browser="yes" if is_own_browser else "",
        unlock_url=unlock_url or "",
        unlock_until=catalog.moment(unlock_until) if unlock_until else "",
    )


def password_known(notice: Notice) -> None:
    """After the right password the second factor failed several times."""
    notice.queue(
        "password_known", notice.catalog.gettext("Somebody may know your password at %(org)s")
    )


def password_changed(notice: Notice) -> None:
    """The password was changed; without an address: by an administrator."""
    by_user = notice.catalog.gettext("You were signed out on all other devices.")
    by_other = notice.catalog.gettext(
        "An administrator set a new one. You were signed out everywhere."
    )
    notice.of_change(
        notice.catalog.gettext("Your password was changed"),
        by_user if notice.address else by_other,
    )


def language_of(services: Services, user: Any) -> str:
    return i18n.preferred([user.locale or ""], services.settings.default_language)


def kind_of_browser(user_agent: str) -> str:
    """What people call it: never the header itself, which a stranger writes."""
    names = {"Edg": "Edge", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = ("Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux")
    browser = next((name for mark, name in names.items() if mark in user_agent), "?")
    system = next((name for name in systems if name in user_agent), "")
    return f"{browser} ({system})" if system else browser
