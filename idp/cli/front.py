"""What stands between granian and the application, in each of its processes.

Owns waiting for a request's body outside of the application, how many requests are inside it at
once, and that no process outlives the server. Does not own limits: how long a body may be is
judged by the application, on what is handed to it here.

A WSGI server reads a body when the application asks for it, so a client that sends it slowly would
keep one of the few threads that everybody needs (DS-04). Here such a client keeps a thread that
does nothing else; those that may enter the application are counted by a semaphore. gunicorn needs
a proxy that buffers requests instead.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import queue
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from idp.edge import FORM_LIMIT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

QUEUE_SECONDS = 10
PR_SET_PDEATHSIG = 1


def load(server_pid: int, threads: int, target: str) -> WSGIApplication:
    """`target` ("module:name") behind a `Front`, in a process that granian just started."""
    # Inherited handlers only set a flag of the server's: to be told to stop while the application
    # loads is to end at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _die_with(server_pid)
    module, _, name = target.partition(":")
    return Front(getattr(importlib.import_module(module), name), threads)


class Front:
    """An application that at most `threads` requests are inside of, each with its whole body."""

    def __init__(self, application: WSGIApplication, threads: int) -> None:
        self._application = application
        # A semaphore; the one of `threading` is written in Python and costs ten times as much.
        self._entrance: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(threads):
            self._entrance.put(None)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        has_body = "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ
        if has_body and not _fetch_body(environ):
            # The client has gone, or it lied: half a request is none.
            return _refuse(start_response, "400 Bad Request")
        try:
            self._entrance.get(timeout=QUEUE_SECONDS)
        except queue.Empty:
            return _refuse(start_response, "503 Service Unavailable", ("Retry-After", "5"))
        try:
            answer = self._application(environ, start_response)
            try:
                # A list leaves as one piece, without this thread. No answer of ours is long.
                return list(answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()
        finally:
            self._entrance.put(None)


def _fetch_body(environ: WSGIEnvironment) -> bool:
    """Reads the body into memory; whether all that was announced has come.

    What is too long is not read further than it takes the application to see it.
    """
    announced = environ.get("CONTENT_LENGTH", "")
    length = int(announced) if announced.isascii() and announced.isdigit() else None
    if length is not None and length > FORM_LIMIT:
        return True
    body = environ["wsgi.input"].read(FORM_LIMIT + 1 if length is None else length)
    environ["wsgi.input"] = io.BytesIO(body)
    return length is None or len(body) == length


def _refuse(
    start_response: StartResponse, status: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = f"{status[4:].lower()}\n".encode()
    fixed = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response(status, [*fixed, ("Cache-Control", "no-store"), *headers])
    return [body]


def _die_with(server_pid: int) -> None:
    """Has the kernel end this process with the server's, however that ends: what nobody
    supervises would keep the port. Elsewhere than on Linux the supervisor has to."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_pid:  # It was gone before we asked.
        os.kill(os.getpid(), signal.SIGKILL)
