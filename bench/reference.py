"""Starts node-oidc-provider, the reference of the comparison (its program is in `node/`)."""

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.connection import BenchError
from bench.processes import stop, wait_until
from bench.servers import accepts, free_port, redis
from bench.targets import Account, Client, Target, discover

_FOLDER = Path(__file__).parent / "node"
_CLIENT = Client("bench", "bench-secret-bench-secret-bench-secret")


def install() -> None:
    """Fetch the locked packages if they are not there. Raises BenchError without npm."""
    if (_FOLDER / "node_modules" / "oidc-provider").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm is not installed; on Debian: apt-get install nodejs npm")
    options = ["--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run([npm, "ci", *options], cwd=_FOLDER, check=True, stdout=subprocess.DEVNULL)


def _command(port: int, redis_url: str, workers: int) -> list[str]:
    options = {
        "--port": str(port),
        "--redis-url": redis_url,
        "--workers": str(workers),
        "--client-id": _CLIENT.client_id,
        "--client-secret": _CLIENT.client_secret,
    }
    return ["node", "server.js", *itertools.chain.from_iterable(options.items())]


@contextmanager
def running(folder: Path, *, workers: int, accounts: int) -> Iterator[Target]:
    """The reference with a Redis of its own, ready to be asked."""
    install()
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "node.log"
    with redis(folder / "redis") as store:
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(port, store.url, workers),
                cwd=_FOLDER,
                env=os.environ | {"NODE_ENV": "production"},
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(lambda: accepts(port), process, log=log, seconds=30)
            base_url = f"http://127.0.0.1:{port}"
            endpoints = discover(base_url)
            seconds = time.monotonic() - began
            yield Target(
                "node-oidc-provider",
                base_url,
                process.pid,
                (store.pid,),
                _CLIENT,
                tuple(Account(f"user-{number}", "") for number in range(accounts)),
                endpoints,
                start_seconds=seconds,
            )
        finally:
            stop(process)
