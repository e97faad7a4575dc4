"""Keeps tests on this machine: a socket may only reach loopback addresses and Unix sockets.

Guards Python's own sockets in the test process. Drivers written in C (libpq) and child
processes are not covered; they are only ever given loopback addresses.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest

# RFC 6761, 6.2 and 6.4: these never resolve, so a test may look them up to see just that.
NEVER_RESOLVE = (".invalid", ".test")


class NetworkBlocked(RuntimeError):
    """A test tried to leave the machine. No OSError, so that no handler takes it for an outage."""


def is_local(host: str) -> bool:
    """Whether `host`, a name or an IP literal, can only mean this machine."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def block_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection and look-up that would leave the machine raise NetworkBlocked."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    monkeypatch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))


def _guarded(original: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    def connect(self: socket.socket, address: Any) -> Any:
        inet = self.family in {socket.AF_INET, socket.AF_INET6}
        if inet and not is_local(str(address[0])):
            raise NetworkBlocked(f"a test tried to connect to {address[0]}:{address[1]}")
        return original(self, address)

    return connect


def _guarded_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(host: bytes | str | None, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is None or is_local(name) or _is_literal(name):
            return original(host, *args, **kwargs)
        if name.endswith(NEVER_RESOLVE):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise NetworkBlocked(f"a test tried to look up {name}")

    return getaddrinfo


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return not host
    return True
