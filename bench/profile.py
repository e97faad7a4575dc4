"""`python -m bench.profile`: where the product's own time goes in one SSO sign-in.

Calls the WSGI application in this process, without a server, and samples the running stack by CPU
time. A sample counts for the package of the innermost frame (its own time) and for every function
of the product on the stack (time under it). C code counts for the Python function that called it.
Not here: the cost with a server (`python -m bench`); the difference of the two is the server's.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from bench import measures, sekisho
from bench.connection import Answer, BenchError, Cookies
from bench.sekisho import Installation
from bench.sign_in import authorize, password_sign_in, redeem, verify
from bench.targets import Target

_INTERVAL = 0.001  # seconds of CPU between samples; the kernel may round it up to its tick
_SHOWN = 25  # lines of each part
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


@dataclass(frozen=True, slots=True)
class Profile:
    """Microseconds of CPU of one sign-in, without a server, the greatest first."""

    authorize: float
    token: float
    packages: list[tuple[str, float]]
    functions: list[tuple[str, float]]  # of the innermost frame
    product: list[tuple[str, float]]  # time under functions of the product


def run(store: str, sign_ins: int) -> Profile:
    """The profile on one kind of store, from a process of its own: the application reads its
    settings from the environment, once. Raises BenchError."""
    arguments = ["--store", store, "--sign-ins", str(sign_ins), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.profile", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"bench.profile: {done.stderr.strip()[-2000:]}")
    return Profile(**json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--sign-ins", type=int, default=5000)
    parser.add_argument("--json", action="store_true", help="one line, for the report")
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
            found = _profile(installation, target, options.sign_ins)
    if options.json:
        print(json.dumps(asdict(found)))
    else:
        _show(found)
    return 0


def _profile(installation: Installation, target: Target, count: int) -> Profile:
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
    authorize_us, token_us = (seconds / count * 1e6 for seconds in spent)

    def shares(counts: Counter[str]) -> list[tuple[str, float]]:
        sample_us = (authorize_us + token_us) / sampler.own.total()
        return [(name, number * sample_us) for name, number in counts.most_common(_SHOWN)]

    return Profile(
        authorize_us,
        token_us,
        shares(sampler.own),
        shares(sampler.lines),
        shares(sampler.under),
    )


def _show(found: Profile) -> None:
    whole = found.authorize + found.token
    print(f"authorize {found.authorize:.0f} us, token {found.token:.0f} us, without a server")
    for title, shares in (
        ("own time by package", found.packages),
        ("own time by function", found.functions),
        ("time under functions of the product", found.product),
    ):
        print(f"\n{title}")
        for name, us in shares:
            print(f"  {us / whole:6.1%}  {us:6.0f} us  {name}")


if __name__ == "__main__":
    sys.exit(main())
