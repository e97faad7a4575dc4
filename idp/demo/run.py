"""Running the demo: provider (its worker is a thread in it) and application under one command."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from idp import logs
from idp.cli.serving import check_port, run_server
from idp.demo import seed
from idp.settings import Settings


def run(settings: Settings) -> None:
    """Until Ctrl-C. Raises SettingsError with one clear line where it cannot start."""
    application_url = f"http://127.0.0.1:{settings.demo_app_port}"
    check_port(settings.host, settings.port, "SEKISHO_PORT")
    check_port("127.0.0.1", settings.demo_app_port, "SEKISHO_DEMO_APP_PORT")
    secret = seed.prepare(settings, application_url)
    logs.configure("WARNING")
    _hand_down(settings)
    application = _start_application(settings, secret)
    _greet(settings, application_url)
    try:
        run_server(settings)
    finally:
        if application.stdin:
            application.stdin.close()
        application.wait(timeout=10)


def _hand_down(settings: Settings) -> None:
    """The server's processes read their settings from the environment."""
    os.environ.update(
        SEKISHO_BASE_URL=settings.base_url,
        SEKISHO_DATA_DIR=str(settings.data_dir.absolute()),
        SEKISHO_DEMO="true",
        SEKISHO_LOG_LEVEL="WARNING",
    )


def _start_application(settings: Settings, secret: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "idp.demo.relying_party"],
        stdin=subprocess.PIPE,
        env={
            **os.environ,
            "DEMO_ISSUER": settings.base_url,
            "DEMO_CLIENT_ID": seed.CLIENT_ID,
            "DEMO_CLIENT_SECRET": secret,
            "DEMO_PORT": str(settings.demo_app_port),
        },
        start_new_session=True,  # Ctrl-C reaches it through us, in our order.
    )


def _greet(settings: Settings, application_url: str) -> None:
    lines = [
        "",
        f"  Application   {application_url}   <- open this and sign in",
        f"  Sekisho       {settings.base_url}",
        f"  Mails         {settings.base_url}/demo/mails",
        "",
        f"  Accounts, all with the password: {seed.PASSWORD}",
        *(f"    {person.email:20} {person.role.value:7} {person.name}" for person in seed.PEOPLE),
        "",
        f"  Data in {settings.data_dir.absolute()}. Stop with Ctrl-C.",
        "",
    ]
    click.echo("\n".join(lines))
