"""`python -m bench.profile`: where the product's own time goes in one SSO sign-in.

Calls the WSGI application in this process, without a server, and samples the running stack by CPU
time. A sample counts for the package of the innermost frame (its own time) and for every function
of the product on the stack (time under it). C code counts for the Python function that called it.
Not here: the cost with a server (`python -m bench`); the difference of the two is the server's.
"""

import argparse
import io
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from bench import measures, sekisho
from bench.connection import Answer, Cookies
from bench.sekisho import Installation
from bench.sign_in import authorize, password_sign_in, redeem, verify
from bench.targets import Target

_INTERVAL = 0.001  # seconds of CPU between samples; the kernel may round it up to its tick
_OURS = ("keys", "idp", "federation", "flows", "wsgi")
_ROOT = Path(__file__).parent.parent

Application = Callable[..., Iterable[bytes]]


class InProcess:
    """Asks the application directly, as a server would (RFC 3875 by PEP 3333)."""

    def __init__(self, application: Application, base_url: str) -> None:
        self._application = application
        self._host = urlsplit(base_url)

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        cookies: Cookies | None = None,
        body: bytes = b"",
    ) -> Answer:
        given: list[tuple[str, list[tuple[str, str]]]] = []
        environ = self._environ(method, target, headers or {}, body)
        if cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{n}={v}" for n, v in cookies.items())
        chunks = self._application(environ, lambda status, head, *_: given.append((status, head)))
        content = b"".join(chunks)
        if close := getattr(chunks, "close", None):
            close()
        status, fields = given[-1]
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
        answer = Answer(int(status[:3]), "\r\n".join(lines).encode("latin-1"), content)
        if cookies is not None:
            answer.update(cookies)
        return answer

    def _environ(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> dict[str, Any]:
        path, _, query = target.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": self._host.hostname,
            "SERVER_PORT": str(self._host.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": self._host.netloc,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return environ


class Sampler:
    """Counts stacks while it is entered."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()  # by package
        self.lines: Counter[str] = Counter()  # by function of the innermost frame
        self.under: Counter[str] = Counter()  # by function of the product

    def __enter__(self) -> "Sampler":
        signal.signal(signal.SIGPROF, self._count)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _count(self, _number: int, frame: FrameType | None) -> None:
        seen: set[str] = set()
        innermost = frame
        while frame:
            package, function = _place(frame)
            if package in _OURS:
                seen.add(function)
            frame = frame.f_back
        self.under.update(seen)
        if innermost:
            package, function = _place(innermost)
            self.own[package] += 1
            self.lines[function] += 1


def _place(frame: FrameType) -> tuple[str, str]:
    """The package a frame belongs to, and its function as `file:function`."""
    path = Path(frame.f_code.co_filename)
    name = f"{path.name}:{frame.f_code.co_qualname}"
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1].removesuffix(".py"), name
    if path.is_relative_to(_ROOT):
        own = path.relative_to(_ROOT)
        return own.parts[0].removesuffix(".py"), f"{own}:{frame.f_code.co_qualname}"
    return "standard library", name


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--sign-ins", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as name:
        folder = Path(name)
        is_embedded = options.store == "sqlite"
        with nullcontext() if is_embedded else measures.stores(folder) as stores:
            installation = (
                stores.install("profile", accounts=1)
                if stores
                else sekisho.install("profile", folder / "embedded", accounts=1)
            )
            with sekisho.running(installation, workers=1) as target:
                pass  # served once for its discovery document; the accounts and paths stay valid
            _profile(installation, target, options.sign_ins)
    return 0


def _profile(installation: Installation, target: Target, count: int) -> None:
    os.environ.update(installation.environment)
    # Imported here: the application reads its settings from the environment just set.
    from wsgi import create_app

    asks = InProcess(create_app(), installation.base_url)
    cookies: Cookies = {}
    code = password_sign_in(asks, target, target.accounts[0], cookies)
    verify(asks, target, redeem(asks, target, code), code.nonce)
    spent = [0.0, 0.0]
    for _ in range(count):
        began = time.process_time()
        code = authorize(asks, target, cookies)
        between = time.process_time()
        redeem(asks, target, code)
        spent[0] += between - began
        spent[1] += time.process_time() - between
    with Sampler() as sampler:
        for _ in range(count):
            redeem(asks, target, authorize(asks, target, cookies))
    authorize_ms, token_ms = (seconds / count * 1000 for seconds in spent)
    print(f"authorize {authorize_ms:.3f} ms, token {token_ms:.3f} ms of CPU, without a server")
    whole = authorize_ms + token_ms
    _show("own time by package", sampler.own, sampler.own.total(), whole)
    _show("own time by function", sampler.lines, sampler.own.total(), whole)
    _show("time under functions of the product", sampler.under, sampler.own.total(), whole)


def _show(title: str, counts: Counter[str], samples: int, whole_ms: float) -> None:
    print(f"\n{title}")
    for name, number in counts.most_common(25):
        share = number / samples
        print(f"  {share:6.1%}  {share * whole_ms * 1000:6.0f} us  {name}")


if __name__ == "__main__":
    sys.exit(main())
