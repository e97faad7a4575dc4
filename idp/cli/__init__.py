"""The command `sekisho`: one of three doors to the same domain functions.

Owns reading options and printing. A refusal is one line on stderr and exit code 1, a wrong setting
exit code 2; with `--json` what is printed is one JSON document. Modules are imported when their
command runs, so that the command answers quickly.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from idp.errors import SekishoError, SettingsError

# Command: module in this package. The module's attribute has the command's name.
COMMANDS = {
    "demo": "serving",
    "serve": "serving",
    "worker": "serving",
    "db": "operations",
    "doctor": "operations",
    "settings": "operations",
    "keys": "keys",
    "org": "accounts",
    "user": "accounts",
    "client": "clients",
    "terms": "terms",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"idp.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Sekisho, an OpenID Connect provider. Settings: docs/SETTINGS.md."""


def main(arguments: list[str] | None = None) -> Any:
    """Entry point of the console script."""
    try:
        return cli(arguments, standalone_mode=True)
    except SettingsError as error:
        code, text = 2, str(error)
    except SekishoError as error:
        code, text = 1, str(error)
    for line in text.splitlines():
        print(f"sekisho: {line}", file=sys.stderr)
    sys.exit(code)
