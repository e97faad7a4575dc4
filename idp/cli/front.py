"""What stands between granian and the application, in each of its processes.

Owns reading a request's body before the application is entered, which thread enters it, and that
no process outlives the server. Does not own limits: how long a body may be is judged by the
application, on what is handed to it here.

One thread answers the machines' endpoints and whoever has a session, without any hand-over:
Python's threads take turns, and the turns show in what a sign-in costs (docs/DECISIONS.md, 21).
Pages go to a few threads of their own, because a password takes its time.
A body is awaited, so a client that sends it slowly keeps nobody from anything (DS-04).
gunicorn needs a proxy that buffers requests instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import io
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from granian.rsgi import ProtocolClosed, ProtocolError  # type: ignore[attr-defined]

from idp import memory
from idp.edge import FORM_LIMIT, HEALTH_PATHS, MACHINE_PATHS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined]

BODY_SECONDS = 30
PR_SET_PDEATHSIG = 1
AT_ONCE = frozenset({*MACHINE_PATHS, *HEALTH_PATHS, "/authorize"})
"""Paths that are answered in the thread that received them: none waits for anything but a store."""

Answer = tuple[int, list[tuple[str, str]], bytes]


def load(server_pid: int, threads: int, target: str) -> Any:
    """`target` ("module:name") behind a `Front`, in a process that granian just started."""
    # Inherited handlers only set a flag of the server's: to be told to stop while the application
    # loads is to end at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _die_with(server_pid)
    module, _, name = target.partition(":")
    application = getattr(importlib.import_module(module), name)
    memory.give_back()
    return Front(application, threads)


class Front:
    """A WSGI application as RSGI, granian's own interface."""

    def __init__(self, application: WSGIApplication, threads: int) -> None:
        self._application = application
        self._pages = ThreadPoolExecutor(threads, thread_name_prefix="pages")

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        environ = _environ(scope)
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    is_whole = await _fetch_body(environ, protocol)
            except (TimeoutError, ProtocolError, ProtocolClosed):
                is_whole = False
            if not is_whole:
                # The client has gone, or it lied, or it sleeps: half a request is none.
                protocol.response_bytes(*_refusal("400 Bad Request"))
                return
        if environ["PATH_INFO"] in AT_ONCE:
            answer = self._enter(environ)
        else:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._pages, self._enter, environ)
        protocol.response_bytes(*answer)

    def _enter(self, environ: WSGIEnvironment) -> Answer:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = (int(status[:3]), [(name.lower(), value) for name, value in headers])

        answer = self._application(environ, start_response)
        try:
            # No answer of ours is long.
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return started[0], started[1], body


def _environ(scope: Scope) -> WSGIEnvironment:
    """The request as WSGI wants it (PEP 3333)."""
    path = scope.path
    address, _, port = scope.client.rpartition(":")
    host, _, own_port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": own_port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": address.strip("[]"),
        "REMOTE_PORT": port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": _NOTHING,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name == "content-length":
            environ["CONTENT_LENGTH"] = value
        elif "_" not in name:  # `X_Forwarded_For` must not pass for the header of a proxy.
            key = "HTTP_" + name.upper().replace("-", "_")
            if key not in environ:
                environ[key] = value
            else:  # RFC 9110, 5.3; for cookies RFC 9113, 8.2.3
                environ[key] += ("; " if name == "cookie" else ",") + value
    if scope.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority
    return environ


_NOTHING = io.BytesIO()


async def _fetch_body(environ: WSGIEnvironment, protocol: HTTPProtocol) -> bool:
    """Reads the body into memory; whether all that was announced has come.

    What is too long is not read further than it takes the application to see it.
    """
    announced = environ.get("CONTENT_LENGTH")
    if announced is not None:
        if not (announced.isascii() and announced.isdigit()):
            return False
        if int(announced) > FORM_LIMIT:
            return True
        body = await protocol()
        environ["wsgi.input"] = io.BytesIO(body)
        return len(body) == int(announced)
    pieces, length = [], 0
    async for piece in protocol:
        pieces.append(piece)
        length += len(piece)
        if length > FORM_LIMIT:
            break
    environ["wsgi.input"] = io.BytesIO(b"".join(pieces))
    environ["CONTENT_LENGTH"] = str(length)
    del environ["HTTP_TRANSFER_ENCODING"]
    return True


def _refusal(status: str) -> Answer:
    body = f"{status[4:].lower()}\n".encode()
    headers = [("content-type", "text/plain"), ("cache-control", "no-store")]
    return int(status[:3]), headers, body


def _die_with(server_pid: int) -> None:
    """Has the kernel end this process with the server's, however that ends: what nobody
    supervises would keep the port. Elsewhere than on Linux the supervisor has to."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:  # It was gone before we asked.
        os.kill(os.getpid(), signal.SIGKILL)
