"""The edge: what is true of every request and every answer, whatever view is behind it.

Owns the host check, headers of all answers, body limits, request logs, and the one translation of
errors into pages. A layer of WSGI and not hooks of Flask, which cost the hot road more.
Source: OWASP ASVS 5.0, 3.4 and 4.1.
"""

from __future__ import annotations

import io
import logging
import secrets
from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Response, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import Forbidden, HTTPException, RequestEntityTooLarge

from idp import web
from idp.errors import TooManyAttempts, Unavailable
from idp.services import Services
from idp.settings import Settings

FORM_LIMIT = 64 * 1024
HEALTH_PATHS = ("/healthz", "/readyz")
# What follows these works like a password, once (LK-04).
TICKET_PATHS = ("/unlock/",)
MACHINE_PATHS = ("/token", "/userinfo", "/jwks", "/.well-known/openid-configuration")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
log = logging.getLogger("idp.web")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Edge:
    """WSGI around the application."""

    def __init__(self, application: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self._application = application
        self._host = urlsplit(settings.base_url).netloc
        headers = dict(HEADERS)
        if settings.is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._headers = [(name.lower(), (name, value)) for name, value in headers.items()]
        self._logs = settings.log_requests

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Links and cookies are for one host alone (LK-03); another name is a mistake or a trick.
        # Load balancers ask for health under any name.
        if environ.get("HTTP_HOST") != self._host and environ["PATH_INFO"] not in HEALTH_PATHS:
            text = f"This is {self._host}: open it under that name.\n"
            return self._refuse(start_response, "421 Misdirected Request", text)
        if "HTTP_TRANSFER_ENCODING" in environ:
            problem = _gather(environ)
            if problem:
                return self._refuse(start_response, problem, problem[4:] + "\n")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            given = {name.lower() for name, _ in headers}
            headers += [header for name, header in self._headers if name not in given]
            if self._logs:
                self._log(environ, status)
            return start_response(status, headers, exc_info)

        return self._application(environ, start)

    def _refuse(self, start_response: StartResponse, status: str, text: str) -> list[bytes]:
        headers = [header for _, header in self._headers]
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [text.encode()]

    @staticmethod
    def _log(environ: Environ, status: str) -> None:
        """One line a request: the path, never the query, which may carry a code or a hint."""
        log.info(
            "request",
            extra={
                "request_id": environ.get("sekisho.request_id") or secrets.token_hex(8),
                "method": environ["REQUEST_METHOD"],
                "path": _without_secret(environ["PATH_INFO"]),
                "status": int(status[:3]),
            },
        )


def _without_secret(path: str) -> str:
    """A path as it may be logged."""
    return next((f"{start}•••" for start in TICKET_PATHS if path.startswith(start)), path)


def _gather(environ: Environ) -> str:
    """Makes a chunked body one of known length, so that all behind reads the same of it and sees
    when it is too long. The status to refuse it with, or nothing."""
    try:
        body = environ["wsgi.input"].read(FORM_LIMIT + 1)
    except OSError:  # What servers raise for chunks that are none.
        return "400 Bad Request"
    if len(body) > FORM_LIMIT:
        return "413 Content Too Large"
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    del environ["HTTP_TRANSFER_ENCODING"]
    return ""


def init_app(app: Flask) -> None:
    """Puts the edge around an application whose services are set."""
    settings = cast(Services, app.extensions["sekisho"]).settings
    app.config["MAX_CONTENT_LENGTH"] = FORM_LIMIT
    app.config["MAX_FORM_PARTS"] = 100
    # A doubled slash is another path, not a reason for a 308, which would repeat a form.
    app.url_map.merge_slashes = False
    app.wsgi_app = Edge(app.wsgi_app, settings)  # type: ignore[method-assign]
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        web.gettext, web.ngettext, newstyle=True
    )

    @app.errorhandler(HTTPException)
    def _http_error(error: HTTPException) -> Response:
        if request.path in MACHINE_PATHS:
            answer = _to_machine(error.code or 500, "invalid_request")
            answer.headers.extend(error.get_headers()[1:])
            return answer
        return _translate_http(error)

    @app.errorhandler(Unavailable)
    @app.errorhandler(OperationalError)
    @app.errorhandler(PoolTimeout)
    def _unavailable(error: Exception) -> Response:
        log.warning(
            "unavailable", extra={"request_id": web.request_id(), "error": str(error)[:200]}
        )
        return web.error_page(
            503,
            "temporarily_unavailable",
            web.gettext("Something is not working right now. Please try again in a moment."),
            title=web.gettext("Temporarily unavailable"),
            retry_after=getattr(error, "retry_after", 5),
        )

    @app.errorhandler(TooManyAttempts)
    def _too_many(error: TooManyAttempts) -> Response:
        return web.error_page(
            429,
            "too_many_attempts",
            web.gettext("Please wait about %(minutes)s minutes, then try again.")
            % {"minutes": max(1, -(-error.retry_after // 60))},
            title=web.gettext("Too many attempts"),
            retry_after=error.retry_after,
        )

    @app.errorhandler(Exception)
    def _defect(error: Exception) -> Response:
        log.exception(
            "unhandled",
            extra={"request_id": web.request_id(), "path": _without_secret(request.path)},
        )
        if request.path in MACHINE_PATHS:
            return _to_machine(500, "server_error")
        return web.error_page(
            500,
            "server_error",
            web.gettext("Something is not working right now. Please try again in a moment."),
            title=web.gettext("Temporarily unavailable"),
            advice=web.gettext("If it keeps happening, give the details below to your help desk."),
        )


def _to_machine(status: int, code: str) -> Response:
    return Response(f'{{"error":"{code}"}}', status, content_type="application/json")


def _translate_http(error: HTTPException) -> Response:
    """The page for an HTTP error: fixed texts, whatever the exception says."""
    status = error.code or 500
    if status in (404, 405):
        response = web.error_page(
            status,
            "not_found" if status == 404 else "method_not_allowed",
            web.gettext("This page does not exist."),
            title=web.gettext("Page not found"),
            advice=web.gettext("Check the address, or go back to the application and start again."),
        )
        if status == 405:
            methods = getattr(error, "valid_methods", None) or ()
            response.headers["Allow"] = ", ".join(sorted(methods))
        return response
    if isinstance(error, RequestEntityTooLarge):
        return web.error_page(413, "request_too_large", web.gettext("The request is too large."))
    if isinstance(error, Forbidden):
        return web.error_page(
            403,
            "forbidden",
            web.gettext("Your session on this page is no longer valid. Reload and try again."),
        )
    return web.error_page(status, "invalid_request", web.gettext("The request could not be read."))
