"""Flask, without what this product has no use for.

What is true of every request is done around it (`edge`), nothing hangs on its hooks or signals,
its cookie session is not used (it cannot be revoked), and it has one host, so none of that is
looked for at each request. Hooks that an `init_app` function registers would not run: use `edge`.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter


class Exact(Response):
    """A response whose headers are right as they are: nothing is looked up, joined or repaired
    when it is sent. For the answers of the hot road."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        return self.headers


class _NoSession(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        return _EMPTY

    def save_session(self, *_: object) -> None:
        """Nothing is ever kept in it."""


_EMPTY = SecureCookieSession()


class Sekisho(Flask):
    session_interface = _NoSession()

    def ensure_sync(self, func: Any) -> Any:
        """Views are plain functions: nobody need look at each call whether they are."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The routes, asked for this path. The host was compared by `edge`."""
        if request is None:
            return super().create_url_adapter(request)
        path = request.environ["PATH_INFO"].encode("latin-1").decode(errors="replace") or "/"
        return MapAdapter(
            self.url_map, "localhost", "/", "", "http", path, request.environ["REQUEST_METHOD"]
        )

    def full_dispatch_request(self) -> Response:
        """One view, or the page of what it raised."""
        try:
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.make_response(answer)
