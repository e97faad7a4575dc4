"""`sekisho serve`, `sekisho worker`, `sekisho demo`.

Owns how the WSGI server is run. What stands between it and the application is front.py's; the
application itself (`wsgi:app`) knows neither.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from functools import partial

import click

from idp import logs, services, settings
from idp.cli import front
from idp.errors import SettingsError
from idp.settings import Settings
from idp.urls import is_loopback

CONNECTIONS = 1024  # of each process, idle ones included; whoever comes later waits outside
HEADER_SECONDS = 30  # for a request's headers; an idle connection is closed after it, too
STOP_SECONDS = 10  # for requests on their way when we are told to stop


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Processes; default: one for each core.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serves the provider with several processes (granian)."""
    given = settings.load(host=host, port=port, workers=workers)
    if not given.base_url:
        raise SettingsError("SEKISHO_BASE_URL is missing: the address that people open")
    check_port(given.host, given.port, "SEKISHO_PORT")
    services.build(given).close()  # Says what is wrong once, before every process says it.
    run_server(given)


@click.command()
def worker() -> None:
    """Delivers mails, rotates keys, sweeps. Run one or more beside `serve`."""
    from idp.worker import Worker

    given = settings.load()
    logs.configure(given.log_level)
    built = services.build(given)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    Worker(built).run(stop)
    built.close()


@click.command()
def demo() -> None:
    """A provider with example accounts and an application, for a first look."""
    from idp.demo import run

    environ = dict(os.environ)
    given = settings.load(environ)
    base_url = given.base_url or f"http://localhost:{given.port}"
    given = settings.load(environ, base_url=base_url, demo=True, workers=1)
    if not is_loopback(given.host):
        raise SettingsError("the demo listens on loopback alone: its passwords are known")
    run.run(given)


def check_port(host: str, port: int, name: str) -> None:
    """Raises SettingsError when nobody else can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} on {host} cannot be used: {error.strerror}. Choose another: {name}"
            ) from error


def run_server(given: Settings) -> None:
    """Runs granian until it is told to stop: requests on their way are finished first.

    Its processes read their settings from the environment. docs/DECISIONS.md tells why granian;
    what each option is for is shown by tests/real/test_server_faults.py.
    """
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server import Server

    os.environ["SEKISHO_WORKERS"] = str(given.process_count)
    _allow_files(2 * CONNECTIONS)
    Server(
        target="wsgi:app",
        address=given.host,
        port=given.port,
        interface=Interfaces.RSGI,
        # The proxy in front speaks HTTP/1.1 to us; what is not spoken cannot be misread.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000),
        websockets=False,
        workers=given.process_count,
        loop=Loops.asyncio,
        # Of connections, not of requests: reached, it shuts everybody else out.
        backpressure=CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
    ).serve(target_loader=partial(front.load, os.getpid(), given.threads))


def _allow_files(count: int) -> None:
    """Connections are files, and many systems allow 1024 unless asked for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
