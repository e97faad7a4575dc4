"""A small web site on loopback: answers what a test laid down, keeps what browsers sent.

Stands for a relying party's pages, or for a third site. Not a relying party: it knows no protocol.
"""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    form: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": HTML})


def page(title: str, body: str = "") -> Reply:
    """A page whose icon is not asked for, so that nothing but the test's own requests is kept."""
    return Reply(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">'
        f"<title>{title}</title><h1>{title}</h1>{body}</html>".encode()
    )


def redirect(url: str) -> Reply:
    return Reply(status=302, headers={"Location": url})


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Silent: a client that hangs up, or believes no certificate, is what a test looks at."""


Answer = Reply | Callable[[Received], Reply]


class Site:
    """Running since it was made. `answers` may be changed at any time."""

    def __init__(self, host: str = "localhost", tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        """By path; what is not in it is a 404."""
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if tls is None else "https"
        self.origin = f"{scheme}://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def url(self, path: str) -> str:
        return self.origin + path

    def at(self, path: str) -> list[Received]:
        """What came to one path."""
        return [received for received in self.received if received.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, received: Received) -> Reply:
        """Keeps what came, and answers it."""
        self.received.append(received)
        answer = self.answers.get(received.path, Reply(b"not found", 404))
        return answer if isinstance(answer, Reply) else answer(received)


@contextmanager
def site(host: str = "localhost", tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    served = Site(host, tls)
    try:
        yield served
    finally:
        served.close()


def _handler(owner: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def log_message(self, *_: Any) -> None:
            """Silent: a test looks at `received`."""

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query, form = dict(parse_qsl(parts.query)), dict(parse_qsl(body.decode()))
            reply = owner.reply(Received(str(self.command), parts.path, query, headers, form, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

    return Handler
