"""HTTP out: the one door through which this house asks others anything.

Owns which addresses may be asked, and how long and how much is listened to. Does not own what is
asked, nor trying again. A name is resolved once, every address it has must be allowed, and one of
these very addresses is connected to, so that a name cannot mean another machine a moment later.
Nothing is followed, nothing tried twice, no proxy variable believed, no compressed body unpacked.
Source: OWASP ASVS 5.0, 1.3.6, 13.1.3 and 15.3.2.
"""

from __future__ import annotations

import functools
import http.client
import ipaddress
import logging
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from idp import networks
from idp.errors import SekishoError
from idp.urls import is_loopback

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 5.0
MAXIMUM_BYTES = 64 * 1024
ADDRESSES_TRIED = 3

# It would write the paths of what it cannot parse into the log.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

Resolve = Callable[[str, int], Sequence[str]]

_URL = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash


class OutboundError(SekishoError):
    """Nobody answered as they should. The message names the host at most, never what was sent."""


class NotAllowed(OutboundError):
    """This may not be asked at all: trying again changes nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; of one that came twice the last."""
    body: bytes = field(repr=False)
    """As it travelled: at most MAXIMUM_BYTES, whatever its encoding."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class _Target:
    is_tls: bool
    host: str
    port: int
    authority: str
    """Of the `Host` header."""
    path: str


class Outbound:
    """Asks others. `also`: CIDR ranges that may be asked beside the public internet, loopback
    among them only when it is named. `ca_file`: certificates believed beside the system's."""

    def __init__(
        self,
        also: Sequence[str] = (),
        ca_file: Path | None = None,
        *,
        resolve: Resolve | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self.total_seconds = total_seconds
        self._networks = tuple(ipaddress.ip_network(network) for network in also)
        self._ca_file = ca_file
        self._resolve = resolve or _resolve

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        may_be_plain: bool = False,
    ) -> Answer:
        """One request and its answer, whatever its status: a redirect is an answer as well.

        `may_be_plain`: http is good enough on this very machine. Raises NotAllowed, or
        OutboundError when there is no whole answer in time.
        """
        target = _parse(url, may_be_plain=may_be_plain)
        # An answer may come one byte at a time: only somebody who watches from outside can end
        # it on time. The same holds for looking up the name.
        exchange = _Exchange(self, target, method, dict(headers or {}), body)
        threading.Thread(target=exchange.run, daemon=True).start()
        return exchange.wait()

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of which may be asked. Raises NotAllowed, OutboundError."""
        try:
            found = list(dict.fromkeys(self._resolve(host, port)))
        except (OSError, UnicodeError) as error:
            raise OutboundError(f"{host} has no address") from error
        if not found:
            raise OutboundError(f"{host} has no address")
        if not all(self.allows(ipaddress.ip_address(address)) for address in found):
            raise NotAllowed(f"{host} is not on the public internet: see SEKISHO_OUTBOUND_NETWORKS")
        return found

    def allows(self, address: networks.Address) -> bool:
        """Whether this address may be asked."""
        return networks.is_public(address) or networks.is_in(address, self._networks)

    def tls(self) -> ssl.SSLContext:
        return _context(self._ca_file)


@functools.lru_cache(maxsize=4)
def _context(ca_file: Path | None) -> ssl.SSLContext:
    """One for each process: making it takes 30 ms."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _parse(url: str, *, may_be_plain: bool) -> _Target:
    if not _URL.fullmatch(url) or len(url) > 2000:
        raise NotAllowed("a URL must be ASCII without spaces (xn--… for names in other scripts)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotAllowed("this is not a URL") from error
    host = parts.hostname
    if not host or "@" in parts.netloc or port == 0:
        raise NotAllowed("a URL must be https://HOST/…, without a user")
    is_plain = parts.scheme == "http" and may_be_plain and is_loopback(host)
    if parts.scheme != "https" and not is_plain:
        raise NotAllowed(f"{host}: only https is asked")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(not is_plain, host, port or (80 if is_plain else 443), parts.netloc, path)


class _Exchange:
    """One request in a thread of its own, and whoever waits for it."""

    def __init__(
        self,
        outbound: Outbound,
        target: _Target,
        method: str,
        headers: dict[str, str],
        body: bytes | None,
    ) -> None:
        self._outbound, self._target = outbound, target
        self._method, self._body = method, body
        self._headers = {
            "User-Agent": "Sekisho",
            "Accept-Encoding": "identity",
            **headers,
            "Host": target.authority,
        }
        self._result: queue.SimpleQueue[Answer | OutboundError] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._is_over = False

    def wait(self) -> Answer:
        try:
            result = self._result.get(timeout=self._outbound.total_seconds)
        except queue.Empty:
            self._stop()
            raise OutboundError(f"{self._target.host} took too long") from None
        if isinstance(result, OutboundError):
            raise result
        return result

    def run(self) -> None:
        host = self._target.host
        try:
            self._result.put(self._ask())
        except OutboundError as error:
            self._result.put(error)
        except (
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
        ) as error:
            # Only the kind: a message may repeat what was sent.
            self._result.put(OutboundError(f"{host}: {type(error).__name__}"))

    def _ask(self) -> Answer:
        with closing(self._connect()) as connection:
            connection.request(
                self._method,
                self._target.path,
                body=self._body,
                headers=self._headers,
                preload_content=False,
                decode_content=False,
            )
            with closing(connection.getresponse()) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, self._read(response))

    def _read(self, response: urllib3.HTTPResponse) -> bytes:
        body = b""
        while chunk := response.read(MAXIMUM_BYTES + 1 - len(body)):
            body += chunk
            if len(body) > MAXIMUM_BYTES:
                raise OutboundError(f"{self._target.host} answered too much")
        return body

    def _connect(self) -> HTTPConnection:
        target = self._target
        found = self._outbound.addresses(target.host, target.port)
        if not target.is_tls and not all(map(is_loopback, found)):
            raise NotAllowed(f"{target.host}: only https is asked")
        failed: Exception = OutboundError(f"{target.host} does not answer")
        for address in found[:ADDRESSES_TRIED]:
            connection = self._connection_to(address)
            try:
                connection.connect()
                self._watch(connection)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                connection.close()
                failed = error
                if isinstance(error, ssl.SSLError):
                    break  # Somebody is there, and is not who they should be.
            else:
                return connection
        raise failed

    def _watch(self, connection: HTTPConnection) -> None:
        connection.timeout = self._outbound.total_seconds
        with self._lock:
            if self._is_over:
                raise OutboundError(f"{self._target.host} took too long")
            self._sock = connection.sock

    def _connection_to(self, address: str) -> HTTPConnection:
        target = self._target
        if not target.is_tls:
            return HTTPConnection(address, target.port, timeout=CONNECT_SECONDS)
        return HTTPSConnection(
            address,
            target.port,
            timeout=CONNECT_SECONDS,
            ssl_context=self._outbound.tls(),
            server_hostname=target.host,  # The certificate is of the name, not of the address.
        )

    def _stop(self) -> None:
        """Wakes the thread that waits for the other side, and lets it end."""
        with self._lock:
            self._is_over = True
            if self._sock is not None:
                with suppress(OSError):
                    # Not that of TLS, which would say goodbye first.
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
