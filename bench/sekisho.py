"""Starts the product under the benchmark's conditions, through its own commands alone.

Owns: an installation in a temporary folder (database, keys, an organisation, accounts, a client)
and its running server. Two conditions: embedded (SQLite alone), and PostgreSQL with Redis.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.connection import BenchError, Connection
from bench.processes import stop, wait_until
from bench.servers import free_port
from bench.targets import REDIRECT_URI, Account, Client, Target, discover

_COMMANDS = Path(sys.executable).parent
_ROOT = Path(__file__).parent.parent  # where `wsgi` is found by the servers
_ORGANISATION = "bench"
_PASSWORD = "a pass phrase for measuring 7"
_APPLICATION = "wsgi:create_app()"
# Without byte code every start would compile everything anew, which no installation does.
_FOREIGN = ("SEKISHO_", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True)
class Installation:
    name: str
    folder: Path
    port: int
    environment: dict[str, str]
    database_url: str
    stores: tuple[int, ...]
    client: Client
    accounts: tuple[Account, ...]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def install(
    name: str,
    folder: Path,
    *,
    accounts: int,
    database_url: str | None = None,
    redis_url: str | None = None,
    stores: tuple[int, ...] = (),
) -> Installation:
    """A new installation; without `database_url` embedded, on SQLite in its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    database_url = database_url or f"sqlite:///{folder / 'sekisho.db'}"
    environment = {n: v for n, v in os.environ.items() if not n.startswith(_FOREIGN)} | {
        "SEKISHO_BASE_URL": f"http://127.0.0.1:{port}",
        "SEKISHO_DATABASE_URL": database_url,
        "SEKISHO_DATA_DIR": str(folder),
    }
    if redis_url:
        environment["SEKISHO_REDIS_URL"] = redis_url
    environment["SEKISHO_MASTER_KEY"] = _sekisho(environment, "keys", "master").strip()
    _sekisho(environment, "db", "upgrade")
    _sekisho(environment, "org", "add", _ORGANISATION, "--json")
    people = tuple(Account(f"person-{n}@bench.example", _PASSWORD) for n in range(accounts))
    for number, person in enumerate(people):
        options = ["--org", _ORGANISATION, "--name", f"Person {number}", "--password-stdin"]
        _sekisho(environment, "user", "add", person.identifier, *options, "--json",
                 given=person.password + "\n")  # fmt: skip
    client = _add_client(environment)
    return Installation(name, folder, port, environment, database_url, stores, client, people)


@contextmanager
def running(
    installation: Installation, *, workers: int, server: str = "sekisho"
) -> Iterator[Target]:
    """The installation served by `sekisho serve`, or by the named WSGI server; ready."""
    log = installation.folder / f"{server}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            _serve_command(server, installation.port, workers),
            env=installation.environment,
            cwd=_ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: _is_ready(installation.base_url), process, log=log, seconds=30)
        seconds = time.monotonic() - began
        yield Target(
            installation.name,
            installation.base_url,
            process.pid,
            installation.stores,
            installation.client,
            installation.accounts,
            discover(installation.base_url),
            start_seconds=seconds,
        )
    finally:
        stop(process)


def _serve_command(server: str, port: int, workers: int) -> list[str]:
    """`sekisho serve` with its own options; bare granian, to see what front.py costs; gunicorn as
    docs/DEPLOYMENT.md has it."""
    if server == "sekisho":
        command = "serve --host 127.0.0.1 --port {port} --workers {workers}"
    elif server == "granian":
        command = (
            f"--interface wsgi --http 1 --host 127.0.0.1 --port {{port}} --workers {{workers}} "
            f"--blocking-threads 4 --backpressure 1024 --no-ws "
            f"--factory {_APPLICATION.removesuffix('()')}"
        )
    else:
        command = (
            "-b 127.0.0.1:{port} -w {workers} -k gthread --threads 4 --graceful-timeout 10 "
            "--no-control-socket "
            f"{_APPLICATION}"
        )
    words = command.format(port=port, workers=workers).split()
    return [str(_COMMANDS / server), *words]


def _is_ready(base_url: str) -> bool:
    try:
        with Connection(base_url, timeout=5) as connection:
            return connection.ask("GET", "/readyz").status == 200
    except (OSError, BenchError):
        return False


def _add_client(environment: dict[str, str]) -> Client:
    answer = _sekisho(
        environment, "client", "add", "Bench", "--redirect-uri", REDIRECT_URI, "--first-party",
        "--json",
    )  # fmt: skip
    printed = json.loads(answer)
    return Client(printed["client_id"], printed["client_secret"])


def _sekisho(environment: dict[str, str], *arguments: str, given: str = "") -> str:
    """Run one command of the product; what it prints. Raises BenchError with its complaint."""
    done = subprocess.run(
        [str(_COMMANDS / "sekisho"), *arguments],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"sekisho {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
    return done.stdout
