"""Flask, without what this product has no use for.

What is true of every request is done around it (`edge`), nothing hangs on its hooks or signals,
its cookie session is not used (it cannot be revoked), and it has one host, so none of that is
looked for at each request. Hooks that an `init_app` function registers would not run: use `edge`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Given(Headers):
    """Headers taken over as they are; a line break would begin another."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__()
        for _, value in pairs:
            if "\n" in value or "\r" in value:
                raise ValueError("a header value has a line break")
        self._list = pairs


class Exact(Response):
    """A response whose headers are right as they are: nothing is looked up, joined or repaired
    when it is made or sent. For the answers of the hot road."""

    default_mimetype = None

    def __init__(self, body: bytes, status: int, headers: list[tuple[str, str]]) -> None:
        """`headers`: a new list of all of them, Content-Type and Content-Length included."""
        super().__init__([body], status, _Given(headers))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, list(self.headers))
        return cast("list[bytes]", self.response) if environ["REQUEST_METHOD"] != "HEAD" else []


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

    def do_teardown_request(self, *_: object) -> None:
        """Nothing hangs on the end of a request,"""

    def do_teardown_appcontext(self, *_: object) -> None:
        """nor on that of its context: Flask-SQLAlchemy's sessions are not used."""

    def full_dispatch_request(self) -> Response:
        """One view, or the page of what it raised."""
        try:
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return answer if type(answer) is Exact else self.make_response(answer)
