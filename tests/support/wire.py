"""A server as an installation runs it, and single requests written byte by byte.

`sekisho serve` (granian), and gunicorn as docs/DEPLOYMENT.md runs it, behind a proxy there.
"""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from bench.connection import Cookies
from tests.support.processes import Process
from tests.support.relying_party import VERIFIER, basic
from tests.support.running import SEKISHO, Installation
from tests.support.traffic import CALLBACK, Road, road

SERVERS = ["sekisho", "gunicorn"]
GUNICORN = Path(sys.executable).parent / "gunicorn"
GUNICORN_OPTIONS = "-k gthread --threads 4 --graceful-timeout 10 --no-control-socket"
FORM = "Content-Type: application/x-www-form-urlencoded"
NO_CHUNK = b"0\r\n\r\n"  # The end of a chunked body.
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


def command(server: str, installation: Installation, workers: int) -> list[str]:
    if server == "sekisho":
        return [str(SEKISHO), "serve", "--workers", str(workers)]
    options = [*GUNICORN_OPTIONS.split(), "-w", str(workers)]
    return [str(GUNICORN), *options, "--bind", f"127.0.0.1:{installation.port}", "wsgi:app"]


def begin(server: str, installation: Installation, *, workers: int) -> Process:
    """Starts without waiting."""
    process = Process(
        command(server, installation, workers),
        environment=installation.environment,
        log=installation.folder / "serve.log",
    )
    installation.process = process
    return process


@contextmanager
def serving(server: str, *, workers: int = 2, **settings: str) -> Iterator[Road]:
    named = {f"SEKISHO_{name.upper()}": text for name, text in settings.items()}
    with Installation(host="127.0.0.1", settings=named) as installation:
        found = road(installation)
        process = begin(server, installation, workers=workers)
        process.wait_until(
            lambda: installation.is_ready() and len(process.descendants()) >= workers
        )
        yield found


def host(road: Road) -> str:
    return f"Host: 127.0.0.1:{road.installation.port}"


def head(road: Road, line: str, *fields: str) -> bytes:
    return "\r\n".join([line, host(road), *fields, "", ""]).encode("latin-1")


def exchange(road: Road, sent: bytes, *, seconds: float = 10, half_close: bool = False) -> bytes:
    """All that comes back until the server closes; what is cut off by us ends with `…`."""
    with socket.create_connection(("127.0.0.1", road.installation.port), seconds) as connection:
        received = b""
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except TimeoutError:
            received += "…".encode()
        except ConnectionError:
            pass
    return received


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(received)]


def assert_serves(road: Road) -> None:
    assert road.get("/healthz").status == 200
    assert road.get("/jwks").status == 200


def redemption(road: Road, code: str) -> tuple[list[str], bytes]:
    """Fields and body of a request to /token that brings an ID token."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    proof = basic(road.client.client_id, road.client.client_secret or "")
    return [FORM, f"Authorization: {proof['Authorization']}"], urlencode(form).encode()


def new_code(road: Road) -> str:
    with road.connect() as browser:
        cookies: Cookies = {}
        road.sign_in(browser, cookies)
        return road.authorize(browser, cookies)
