"""Starts the benchmark's own Redis and PostgreSQL on free loopback ports and stops them.

Not here: what is stored in them. Their settings are the packages' defaults (PostgreSQL with
synchronous_commit on, Redis without snapshots), so that the figures are those of an installation.
The tests' servers (`tests/support/servers.py`) are others: they write nothing durably.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.connection import BenchError
from bench.processes import stop, wait_until

_CLUSTER = ("-U", "sekisho", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
_LOOPBACK = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")


@dataclass(frozen=True, slots=True)
class Store:
    url: str
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def redis(folder: Path) -> Iterator[Store]:
    """A Redis server whose data folder is `folder`; databases are chosen by `/0`, `/1` …"""
    binary = shutil.which("redis-server") or _missing("redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "redis.log"
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen([binary, *arguments], stdout=output, stderr=output)
    try:
        wait_until(lambda: accepts(port), process, log=log, seconds=10)
        yield Store(f"redis://127.0.0.1:{port}", process.pid)
    finally:
        stop(process)


@contextmanager
def postgresql(folder: Path) -> Iterator[Store]:
    """A PostgreSQL server with an empty cluster in `folder`; its url ends before the database."""
    binaries = _postgresql_binaries()
    folder.mkdir(parents=True, exist_ok=True)
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(folder, user)
        folder.parent.chmod(0o755)
    log = folder.parent / f"{folder.name}.log"
    port, data = free_port(), ("-D", str(folder / "data"))
    with log.open("wb") as output:
        subprocess.run(
            [str(binaries / "initdb"), *data, *_CLUSTER],
            check=True, stdout=output, stderr=output, user=user, cwd=folder,
        )  # fmt: skip
        process = subprocess.Popen(
            [str(binaries / "postgres"), *data, *_LOOPBACK, "-p", str(port)],
            stdout=output, stderr=output, user=user, cwd=folder,
        )  # fmt: skip
    try:
        wait_until(
            lambda: (
                b"accepting" in _answer([str(binaries / "pg_isready"), "-h127.0.0.1", f"-p{port}"])
            ),
            process,
            log=log,
            seconds=30,
        )
        yield Store(f"postgresql://sekisho@127.0.0.1:{port}", process.pid)
    finally:
        stop(process, by=signal.SIGINT)  # its fast shutdown: does not wait for idle clients


def create_database(store: Store, name: str) -> str:
    """A new database in the cluster; its url."""
    port = store.url.rpartition(":")[2]
    command = [
        str(_postgresql_binaries() / "createdb"),
        "-h127.0.0.1",
        f"-p{port}",
        "-Usekisho",
        name,
    ]
    subprocess.run(command, check=True)
    return f"{store.url}/{name}"


def versions() -> dict[str, str]:
    """The versions of the two stores, for the report."""
    return {
        "PostgreSQL": _version(str(_postgresql_binaries() / "postgres")),
        "Redis": _version(shutil.which("redis-server") or _missing("redis-server")),
    }


def _postgresql_binaries() -> Path:
    """The newest installed server's folder (Debian keeps it outside the search path)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    on_path = shutil.which("postgres")
    if not found and not on_path:
        _missing("postgres")
    return found[-1].parent if found else Path(str(on_path)).parent


def _major(binary: Path) -> int:
    version = binary.parent.parent.name
    return int(version) if version.isdigit() else 0


def _answer(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, check=False).stdout


def _version(binary: str) -> str:
    words = _answer([binary, "--version"]).decode().replace("v=", "").split()
    return next((word for word in words if word[0].isdigit()), "unknown")


def _missing(program: str) -> str:
    raise BenchError(f"{program} is not installed; on Debian: apt-get install redis postgresql")
