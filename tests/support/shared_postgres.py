"""One PostgreSQL for all processes of a test run, stopped when the last of them is gone.

A keeper process owns the server. Everyone who uses it holds a shared lock on a file; the keeper
waits for the exclusive one. The kernel drops the locks of a process that dies, however it dies,
so nobody has to count, and an interrupted run leaves no server behind.
"""

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import START_SECONDS, PostgresServer

ROOT = Path(__file__).parents[2]

# Held because Python warns when it forgets a child that still runs.
KEEPERS: list[subprocess.Popen[bytes]] = []


class SharedPostgres(PostgresServer):
    """The server that a keeper runs; here only its address is known."""

    def __init__(self, *, port: int, password: str) -> None:
        # Nothing of the parent's: no folder and no process are ours.
        self.port = port
        self.password = password


@contextmanager
def shared_postgres(folder: Path) -> Iterator[SharedPostgres]:
    """The server shared by all who name the same `folder`, started by the first."""
    with (folder / "postgres.users").open("a") as users:
        with (folder / "postgres.start").open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            # Waits while a keeper whose last user has just left clears up.
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _address(folder).exists():
                _start_keeper(folder)
        yield SharedPostgres(**json.loads(_address(folder).read_text()))


def _address(folder: Path) -> Path:
    return folder / "postgres.json"


def _start_keeper(folder: Path) -> None:
    log = folder / "postgres.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # It outlives this process when others still use the server, and Ctrl-C.
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _address(folder).exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)
    KEEPERS.append(keeper)


def keep(folder: Path) -> None:
    """Run the server until nobody holds the users' lock any more."""
    server = PostgresServer()
    try:
        server.start()
        draft = _address(folder).with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"port": server.port, "password": server.password}))
        draft.replace(_address(folder))
        with (folder / "postgres.users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            _address(folder).unlink()
            server.close()
    finally:
        server.close()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
