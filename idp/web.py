"""The web's edge: what is true of every request and every answer.

Owns host check, body limits, request ids, cookies, CSRF, security headers, rendering, language,
and the one translation of our errors into pages and JSON.
Does not own routes. Sources: OWASP ASVS 5.0, 3.3, 3.4, 3.5; RFC 6265bis (cookie prefixes).
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, has_request_context, render_template, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import Forbidden, HTTPException, RequestEntityTooLarge

from idp import i18n
from idp.errors import TooManyAttempts, Unavailable
from idp.services import Services
from idp.settings import LANGUAGES

FORM_LIMIT = 64 * 1024
LANGUAGE_COOKIE = "language"
BROWSER_COOKIE = "browser"
SESSION_COOKIE = "session"
DEVICE_COOKIE = "device"
DEVICE_SECONDS = 400 * 86400
log = logging.getLogger("idp.web")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
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


def browser_secret(response_cookies: bool = True) -> str:
    """The value that binds forms and interactions to this browser; made when there is none."""
    known: str | None = g.get("browser_secret") or cookie(BROWSER_COOKIE)
    if known is None or len(known) != 43:
        known = secrets.token_urlsafe(32)
        g.new_browser_secret = response_cookies
    g.browser_secret = known
    return known


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
    proxies = [ipaddress.ip_network(network) for network in services().settings.trusted_proxies]
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


def language() -> str:
    """The language of this answer: asked for now, chosen before, asked for by the application,
    told by the browser, or the installation's."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        wishes = [
            request.args.get("lang", ""),
            cookie(LANGUAGE_COOKIE) or "",
            *g.get("ui_locales", ()),
            *i18n.accepted(request.headers.get("Accept-Language", "")),
        ]
        g.language = i18n.preferred(wishes, services().settings.default_language)
    return cast(str, g.language)


def gettext(text: str, **values: str | int) -> str:
    """`text` in the language of this request."""
    translated = i18n.catalog(language()).gettext(text)
    return translated % values if values else translated


def _ngettext(singular: str, plural: str, number: int) -> str:
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
        languages=[(code, i18n.NAMES[code]) for code in LANGUAGES],
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
    if request.args.get("lang") in LANGUAGES:
        set_cookie(response, LANGUAGE_COOKIE, language(), seconds=DEVICE_SECONDS)
    return response


@dataclass(frozen=True, slots=True)
class ErrorPage:
    title: str
    message: str
    advice: str | None
    code: str
    request_id: str
    time: str
    return_url: str | None = None


def error_page(
    status: int,
    code: str,
    message: str,
    *,
    advice: str | None = None,
    retry_after: int | None = None,
) -> Response:
    """A page that says what happened and what to do. `message` and `advice` are translated."""
    response = render(
        "error.html",
        ErrorPage(
            title=gettext("Sign-in could not be completed"),
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


# Every request, every answer ---------------------------------------------------------------------


def request_id() -> str:
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return cast(str, g.request_id)


def init_app(app: Flask) -> None:
    """Puts the edge around an application whose services are set."""
    settings = cast(Services, app.extensions["sekisho"]).settings
    app.config["MAX_CONTENT_LENGTH"] = FORM_LIMIT
    app.config["MAX_FORM_PARTS"] = 100
    expected_host = urlsplit(settings.base_url).netloc
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: i18n.catalog(language()).gettext(text), _ngettext, newstyle=True
    )

    @app.before_request
    def _check_host() -> Response | None:
        environ = request.environ
        if environ.get("HTTP_HOST") != expected_host and request.path not in (
            "/healthz",
            "/readyz",
        ):
            # Links and cookies are for one host alone (LK-03); another name is a mistake or a trick.
            return Response("unknown host\n", status=421, content_type="text/plain")
        return None

    @app.after_request
    def _finish(response: Response) -> Response:
        headers = response.headers
        for name, value in HEADERS.items():
            if name not in headers:
                headers[name] = value
        if settings.is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if g.get("new_browser_secret"):
            set_cookie(response, BROWSER_COOKIE, g.browser_secret, seconds=DEVICE_SECONDS)
        if settings.log_requests:
            log.info(
                "request",
                extra={
                    "request_id": request_id(),
                    "method": request.method,
                    "path": request.path,
                    "status": response.status_code,
                },
            )
        return response

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        return _translate_http(error)

    @app.errorhandler(Unavailable)
    @app.errorhandler(OperationalError)
    @app.errorhandler(PoolTimeout)
    def _unavailable(error: Exception) -> Response:
        log.warning("unavailable", extra={"request_id": request_id(), "error": str(error)[:200]})
        return error_page(
            503,
            "temporarily_unavailable",
            gettext("Something is not working right now. Please try again in a moment."),
            retry_after=getattr(error, "retry_after", 5),
        )

    @app.errorhandler(TooManyAttempts)
    def _too_many(error: TooManyAttempts) -> Response:
        return error_page(
            429,
            "too_many_attempts",
            gettext("Too many attempts. Please wait a moment and try again."),
            retry_after=error.retry_after,
        )

    @app.errorhandler(Exception)
    def _defect(error: Exception) -> Response:
        log.exception("unhandled", extra={"request_id": request_id(), "path": request.path})
        return error_page(
            500,
            "server_error",
            gettext("Something is not working right now. Please try again in a moment."),
        )


def _translate_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status == 404:
        return error_page(404, "not_found", gettext("This page does not exist."))
    if status == 405:
        response = error_page(405, "method_not_allowed", gettext("This page does not exist."))
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return response
    if isinstance(error, RequestEntityTooLarge):
        return error_page(413, "request_too_large", gettext("The request is too large."))
    if isinstance(error, Forbidden):
        return error_page(
            403,
            "forbidden",
            gettext("Your session on this page is no longer valid. Reload and try again."),
        )
    return error_page(
        status,
        "invalid_request",
        gettext("The application sent a request that cannot be answered."),
    )
