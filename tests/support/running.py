"""A real installation for tests: its own folder, its stores, and `sekisho` run as processes.

Owns starting `sekisho serve` on a free loopback port, waiting until it is ready, and ending it
with its whole tree (processes.py). What is in it (organisation, people, clients) is made by the
domain functions. Tests that need no process use the application directly and are quicker.
"""

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from idp import migrations, services
from idp.accounts import organizations, users
from idp.accounts.users import Role
from idp.oidc import clients
from idp.services import Services
from idp.settings import Settings, load
from tests.support.processes import NotReady, Process, threads
from tests.support.servers import free_port

SEKISHO = Path(sys.executable).parent / "sekisho"
ORGANIZATION = "Sakura Trading"
PASSWORD = "lantern harbour 42"


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    client_id: str
    client_secret: str | None


class Installation:
    """One installation of Sekisho with an organisation, empty of people and clients.

    `host` is the name in its address; `localhost` shares a site with other ports of localhost.
    """

    def __init__(
        self,
        *,
        database_url: str = "",
        redis_url: str = "",
        host: str = "localhost",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sekisho-installation-"))
        self.port = free_port()
        self.base_url = f"http://{host}:{self.port}"
        self.process: Process | None = None
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SEKISHO_")},
            "SEKISHO_BASE_URL": self.base_url,
            "SEKISHO_PORT": str(self.port),
            "SEKISHO_DATA_DIR": str(self.folder / "data"),
            "SEKISHO_MASTER_KEY": secrets.token_hex(32),
            "SEKISHO_LOG_LEVEL": "WARNING",
            **({"SEKISHO_DATABASE_URL": database_url} if database_url else {}),
            **({"SEKISHO_REDIS_URL": redis_url} if redis_url else {}),
            **(settings or {}),
        }
        (self.folder / "data").mkdir(mode=0o700)
        migrations.upgrade(self.settings)
        with self.services() as built, built.database.transaction() as session:
            organizations.add(session, ORGANIZATION, now=built.clock.now())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        return load(self.environment)

    @property
    def stderr(self) -> str:
        """What all servers of this installation wrote."""
        log = self.folder / "serve.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    @contextmanager
    def services(self) -> Iterator[Services]:
        """The same parts that its processes have, in this process."""
        built = services.build(self.settings)
        try:
            yield built
        finally:
            built.close()

    def add_users(self, *emails: str, password: str = PASSWORD, name: str = "Alice Hart") -> None:
        """People with one password, hashed once: a test of many need not wait for many."""
        with self.services() as built, built.database.transaction() as session:
            password_hash = built.passwords.hash(password)
            for email in emails:
                users.add(
                    session,
                    email,
                    organization=organizations.find(session, ORGANIZATION),
                    name=name,
                    now=built.clock.now(),
                    role=Role.MEMBER,
                    password_hash=password_hash,
                    email_verified=True,
                )

    def add_client(self, name: str, redirect_uris: Iterable[str], **more: Any) -> RegisteredClient:
        """`more`: other members of the registration metadata, ours included."""
        metadata = {"client_name": name, "redirect_uris": list(redirect_uris), **more}
        with self.services() as built, built.database.transaction() as session:
            registered = clients.register(
                session,
                metadata,
                actor="test",
                secret_key=built.client_secret_key,
                now=built.clock.now(),
            )
        return RegisteredClient(registered.client_id, registered.client_secret)

    def start(self, *, workers: int = 1) -> None:
        """`sekisho serve`, until every process of it is ready."""
        self.process = Process(
            [str(SEKISHO), "serve", "--workers", str(workers)],
            environment=self.environment,
            log=self.folder / "serve.log",
        )
        try:
            self.process.wait_until(lambda: self.is_ready() and self._loaded() == workers)
        except NotReady:
            self.stop()
            raise

    def is_ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port}/readyz")

    def _loaded(self) -> int:
        """How many workers answer: one that still loads the application has a single thread."""
        return sum(threads(pid) > 1 for pid in self.worker_pids())

    def worker_pids(self) -> list[int]:
        """The processes that answer requests. One that was killed is replaced by another."""
        assert self.process is not None
        return self.process.descendants()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Stops the server in an orderly way; its exit code (0 when it does not run)."""
        process, self.process = self.process, None
        return 0 if process is None else process.stop(signal_number)

    def close(self) -> None:
        """Stops the server and removes everything it wrote in its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def running(
    *, workers: int = 1, database_url: str = "", redis_url: str = "", **more: Any
) -> Iterator[Installation]:
    """A served installation; `more` as for Installation."""
    installation = Installation(database_url=database_url, redis_url=redis_url, **more)
    with installation:
        installation.start(workers=workers)
        yield installation


def answers(url: str) -> bool:
    """Whether there is a 200 behind the address."""
    try:
        return requests.get(url, timeout=5, allow_redirects=False).status_code == 200
    except requests.RequestException:
        return False
