"""Real Redis and PostgreSQL servers on loopback, started and stopped by the tests themselves.

Each has its own folder, port and password, writes nothing durably, and dies with the process
that started it. Faults are made with `kill`, `pause` and `stop`. Sharing one PostgreSQL
between the processes of a run is shared_postgres.py's.
"""

import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Self

import psycopg
import redis
from psycopg import sql

START_SECONDS = 60
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A loopback TCP port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@cache
def find_redis() -> Path | None:
    """The Redis (or Valkey) server program, None when there is none."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


@cache
def find_postgres() -> Path | None:
    """The folder of the newest PostgreSQL's server programs, None when there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    in_path = shutil.which("initdb")
    folders = [*debian, *([Path(in_path).resolve().parent] if in_path else [])]
    return next((folder for folder in folders if _is_postgres(folder)), None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", folder.parent.name))


def _is_postgres(folder: Path) -> bool:
    programs = [folder / name for name in ("postgres", "initdb")]
    if not all(program.is_file() for program in programs):
        return False
    # Other programs are called "postgres", too.
    answer = subprocess.run([programs[0], "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.startswith("postgres (PostgreSQL)")


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """For `preexec_fn`: have the kernel send the signal when the parent is gone, however."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None

    def prepare() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal_number)

    return prepare


class Server(ABC):
    """A child process with a folder of its own that can be started again on the same port."""

    stop_signal = signal.SIGTERM
    # Sent by the kernel when the test process dies without stopping us.
    orphan_signal = signal.SIGKILL
    user: str | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)
        self.folder = Path(tempfile.mkdtemp(prefix=f"sekisho-{type(self).__name__.lower()}-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    @property
    def pid(self) -> int:
        """Of the running server. Raises RuntimeError when it is stopped."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it answers; tries again while a killed predecessor lingers."""
        # The kernel ties the child to the thread that starts it, not to the process.
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start a server from the main thread")
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._spawn()
            while self._process is not None and self._process.poll() is None:
                if self._answers():
                    return
                if time.monotonic() > deadline:
                    self.kill()
                time.sleep(0.02)
            if time.monotonic() > deadline:
                raise RuntimeError(f"no server:\n{self._log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop in an orderly way; harmless when stopped already."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End at once, as `kill -9` or a loss of power to the process."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze: connections are accepted by the kernel, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop and remove everything it wrote."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
                # Ctrl-C at the terminal is ours: we stop the server after the tests' own clean-up.
                start_new_session=True,
                # Run after the change of user, which would clear it.
                preexec_fn=die_with_parent(self.orphan_signal),  # noqa: PLW1509
            )

    def _end(self, signal_number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal_number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RedisServer(Server):
    """A Redis without persistence: a restart has lost everything, the worst case."""

    @property
    def url(self) -> str:
        """Of database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Empty all databases."""
        with redis.Redis.from_url(self.url) as connection:
            connection.flushall()

    def _command(self) -> list[str]:
        config = self.folder / "redis.conf"
        # In a file, because a command line can be read by everybody on the machine.
        config.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\n'
            f"appendonly no\ndir {self.folder}\ndatabases 16\n"
        )
        return [str(find_redis()), str(config)]

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1, retry=None) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


class PostgresServer(Server):
    """A PostgreSQL that does not wait for the disk. Its superuser is `postgres`."""

    # Orderly, but without waiting for clients; and for orphans at once, yet with clean-up.
    stop_signal = signal.SIGINT
    orphan_signal = signal.SIGQUIT

    def __init__(self) -> None:
        super().__init__()
        # PostgreSQL refuses to run as root.
        self.user = _unprivileged_user() if os.geteuid() == 0 else None
        programs = find_postgres()
        if programs is None:
            raise RuntimeError("PostgreSQL is not installed")
        self._programs = programs
        self._initialise()

    def url(self, database: str = "postgres") -> str:
        """For SQLAlchemy; `database` must exist."""
        return f"postgresql+psycopg://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """The name of a new database, a copy of `template` to which nobody may be connected."""
        name = f"test_{secrets.token_hex(8)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def empty_database(self, name: str) -> None:
        """Remove what is in a database, with all connections to it; much faster than a new one."""
        with self._connect(name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def drop_database(self, name: str) -> None:
        """Remove a database with all connections to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        for path in (self.folder, secret):
            if self.user:
                shutil.chown(path, self.user)
        options = f"--pgdata={self.folder}/cluster --pwfile={secret} --username=postgres"
        options += " --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --no-instructions"
        subprocess.run(
            [str(self._programs / "initdb"), *options.split()],
            check=True,
            capture_output=True,
            cwd=self.folder,
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
        )

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._programs / "postgres"), "-D", str(self.folder / "cluster"), *options]

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
