"""What the figures were measured on: the machine and the versions, for the report."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

_PACKAGES = (
    "flask", "werkzeug", "sqlalchemy", "psycopg", "redis", "authlib", "joserfc", "cryptography",
    "argon2-cffi", "granian", "gunicorn",
)  # fmt: skip
_LOCK = Path(__file__).parent / "node" / "package-lock.json"


def describe(stores: dict[str, str]) -> dict[str, str]:
    """Rows of the report's table; `stores` are the versions of the databases that ran."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{memory:.0f} GiB",
        "System": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
        "Python": f"{platform.python_version()} with {packages}",
        **stores,
        "Reference": f"Node.js {_node()} with {_locked()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _node() -> str:
    if shutil.which("node") is None:
        return "(not installed)"
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("v")


def _locked() -> str:
    packages = json.loads(_LOCK.read_text(encoding="utf-8"))["packages"]
    names = ("oidc-provider", "ioredis")
    return ", ".join(f"{name} {packages[f'node_modules/{name}']['version']}" for name in names)
