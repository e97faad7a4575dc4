"""What views share: cookies, CSRF, who asks and in which language, rendering.

Does not own routes, nor what is true of every answer (`edge`). Sources: OWASP ASVS 5.0, 3.3 and
3.5; RFC 6265bis (cookie prefixes).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from flask import Response, current_app, g, has_request_context, render_template, request
from werkzeug.exceptions import Forbidden

from idp import i18n
from idp.services import Services
from idp.settings import LANGUAGES

LANGUAGE_COOKIE = "language"
BROWSER_COOKIE = "browser"
SESSION_COOKIE = "session"
DEVICE_COOKIE = "device"
DEVICE_SECONDS = 400 * 86400
_LANG = re.compile(rf"(?:^|&)lang=({'|'.join(LANGUAGES)})(?:&|$)")

PAGE_HEADERS = {
    # Browsers say `Origin: null` on forms under no-referrer, and then no origin can be checked.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), "
    "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def services() -> Services:
    return cast(Services, current_app.extensions["sekisho"])


@dataclass(frozen=True, slots=True)
class Brand:
    """Whose page this looks like."""

    organization: str | None = None
    logo_url: str | None = None
    contact_url: str | None = None
    help_url: str | None = None
    terms_url: str | None = None
    privacy_url: str | None = None


# Cookies -----------------------------------------------------------------------------------------


def cookie_name(name: str) -> str:
    """`__Host-` wherever there is TLS; browsers and scripts do not return such cookies over the
    plain http that a developer's loopback has."""
    prefix = "__Host-sekisho-" if services().settings.is_https else "sekisho-"
    return prefix + name


def cookie(name: str) -> str | None:
    """The value of one of our cookies; None when it came twice (SE-15)."""
    header = request.environ.get("HTTP_COOKIE")
    if not header:
        return None
    wanted = cookie_name(name) + "="
    found = [part for item in header.split(";") if (part := item.strip()).startswith(wanted)]
    return found[0][len(wanted) :] if len(found) == 1 else None


def session_secret() -> str | None:
    """The secret that names this browser's sessions; the new one once it was changed."""
    changed: str | None = g.get("session_secret")
    return changed or cookie(SESSION_COOKIE)


def set_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=seconds,
        path="/",
        secure=services().settings.is_https,
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(response: Response, name: str) -> None:
    response.delete_cookie(
        cookie_name(name),
        path="/",
        secure=services().settings.is_https,
        httponly=True,
        samesite="Lax",
    )


def browser_secret() -> str:
    """The value that binds forms and interactions to this browser; made when there is none, and
    then to be sent with `bind_browser`."""
    known: str | None = g.get("browser_secret") or cookie(BROWSER_COOKIE)
    if known is None or len(known) != 43:
        known = g.new_browser_secret = secrets.token_urlsafe(32)
    g.browser_secret = known
    return known


def bind_browser(response: Response) -> Response:
    """Sends the browser its new secret, if it was given one."""
    if "new_browser_secret" in g:
        set_cookie(response, BROWSER_COOKIE, g.new_browser_secret, seconds=DEVICE_SECONDS)
    return response


# CSRF --------------------------------------------------------------------------------------------


def csrf_token(purpose: str) -> str:
    """A token for one form of this browser: no state, nothing to expire."""
    message = f"{purpose}\0{browser_secret()}".encode()
    return hmac.digest(services().csrf_key, message, "sha256").hex()


def check_csrf(purpose: str) -> None:
    """Raises Forbidden unless the form was ours, in this browser (WB-01, WB-02)."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if origin not in (None, services().settings.base_url) or site not in ("same-origin", "none"):
        raise Forbidden
    given = request.form.get("csrf", "")
    if cookie(BROWSER_COOKIE) is None or not hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), csrf_token(purpose).encode()
    ):
        raise Forbidden


# Who and in which language -----------------------------------------------------------------------


def remote_address() -> str:
    """The peer, or whom a trusted proxy names: from the right, the first that is no proxy of ours
    (TN-02). What cannot be parsed is nobody's address."""
    peer = request.environ.get("REMOTE_ADDR", "")
    proxies = _networks(services().settings.trusted_proxies)
    chain = [peer]
    if proxies:
        forwarded = request.environ.get("HTTP_X_FORWARDED_FOR", "")
        chain = [*(part.strip() for part in forwarded.split(",")[-20:] if part.strip()), peer]
    for candidate in reversed(chain):
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            return "unknown"
        if not any(address.version == net.version and address in net for net in proxies):
            return str(address)
    return str(ipaddress.ip_address(chain[0]))


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def language() -> str:
    """The language of this answer: asked for now, chosen before, asked for by the application,
    told by the browser, or the installation's."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        wishes = [
            _language_switch(),
            cookie(LANGUAGE_COOKIE) or "",
            *g.get("ui_locales", ()),
            *i18n.accepted(request.headers.get("Accept-Language", "")),
        ]
        g.language = i18n.preferred(wishes, services().settings.default_language)
    return cast(str, g.language)


def _language_switch() -> str:
    """The language that a page's switch asks for (`?lang=ja`), if it is one of ours. Read without
    the query's other parts, whatever they are."""
    found = _LANG.search(request.environ.get("QUERY_STRING", ""))
    return found[1] if found else ""


def _switched(code: str) -> str:
    """This page in another language, with all else that was asked for."""
    query = _LANG.sub("", request.environ.get("QUERY_STRING", "")).lstrip("&")
    return f"?{query}&lang={code}" if query else f"?lang={code}"


def gettext(text: str) -> str:
    """`text` in the language of this request."""
    return i18n.catalog(language()).gettext(text)


def ngettext(singular: str, plural: str, number: int) -> str:
    return i18n.catalog(language()).ngettext(singular, plural, number)


# Rendering ---------------------------------------------------------------------------------------


def render(
    template: str,
    page: object,
    *,
    status: int = 200,
    form_action: str = "'self'",
    brand: str | None = None,
) -> Response:
    """A page. `form_action`: empty lets a form go anywhere (to the relying party's own URL)."""
    nonce = secrets.token_urlsafe(16)
    settings = services().settings
    body = render_template(
        template,
        page=page,
        nonce=nonce,
        language=language(),
        languages=[(code, i18n.NAMES[code], _switched(code)) for code in LANGUAGES],
        brand=Brand(
            organization=brand,
            contact_url=settings.contact_url or None,
            help_url=settings.help_url or None,
            terms_url=settings.terms_url or None,
            privacy_url=settings.privacy_url or None,
        ),
    )
    response = Response(body, status=status, content_type="text/html; charset=utf-8")
    response.headers.update(PAGE_HEADERS)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; "
        + (f"form-action {form_action}; " if form_action else "")
        + "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )
    response.headers["Content-Language"] = language()
    if _language_switch():
        set_cookie(response, LANGUAGE_COOKIE, language(), seconds=DEVICE_SECONDS)
    return bind_browser(response)


@dataclass(frozen=True, slots=True)
class ErrorPage:
    title: str
    message: str
    advice: str | None
    code: str
    request_id: str
    time: str
    return_url: str | None = None


def request_id() -> str:
    """Names this request in logs, audit and error pages."""
    environ = request.environ
    if "sekisho.request_id" not in environ:
        environ["sekisho.request_id"] = secrets.token_hex(8)
    return cast(str, environ["sekisho.request_id"])


def error_page(
    status: int,
    code: str,
    message: str,
    *,
    title: str = "",
    advice: str | None = None,
    retry_after: int | None = None,
) -> Response:
    """A page that says what happened and what to do. Texts are translated ones."""
    response = render(
        "error.html",
        ErrorPage(
            title=title or gettext("Sign-in could not be completed"),
            message=message,
            advice=advice,
            code=code,
            request_id=request_id(),
            time=services().clock.now().isoformat(timespec="seconds"),
        ),
        status=status,
    )
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
