"""A small HTTP/1.1 client on one kept-alive socket.

Owns: writing a request, reading an answer of known or chunked length, a browser's cookies.
Not here: what is asked (`driver`, `browser`). It exists because the driver shares the machine with
the server it measures: the standard client costs several times as much per request.

Source: RFC 9112, 6 (message body), 9.3 (persistence).
"""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

Cookies = dict[str, str]


class BenchError(Exception):
    """A server answered something that makes the measurement worthless."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of the header, None if the answer has none of that name."""
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n")[1:]:
            if line[: len(wanted)].lower() == wanted:
                return line[len(wanted) :].strip().decode("latin-1")
        return None

    def update(self, cookies: Cookies) -> None:
        """Keep what the answer sets, forget what it expires, as a browser does."""
        for line in self.head.split(b"\r\n")[1:]:
            if line[:11].lower() != b"set-cookie:":
                continue
            pair, _, attributes = line[11:].strip().decode("latin-1").partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in attributes.lower() or "01 jan 1970" in attributes.lower():
                cookies.pop(name, None)
            else:
                cookies[name] = value


class Asks(Protocol):
    """Whatever answers requests: a socket to a server, or the application in this process."""

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        cookies: Cookies | None = None,
        body: bytes = b"",
    ) -> Answer: ...


class Connection:
    """One kept-alive connection to `base_url`; not shared between threads."""

    def __init__(self, base_url: str, *, timeout: float = 60.0) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname and parts.port
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str] | None = None,
        cookies: Cookies | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send one request and read its answer. `cookies` are sent and updated."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if cookies:
            lines.append("Cookie: " + "; ".join(f"{n}={v}" for n, v in cookies.items()))
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self._socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        answer = self._read()
        if cookies is not None:
            answer.update(cookies)
        return answer

    def _read(self) -> Answer:
        head = self._until(b"\r\n\r\n")
        status = int(head[9:12])
        answer = Answer(status, head, b"")
        if status in (204, 304):
            return answer
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            return Answer(status, head, self._chunks())
        length = answer.header("Content-Length")
        if length is None:
            raise BenchError(f"an answer of unknown length: {head!r}")
        return Answer(status, head, self._exactly(int(length)))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            body += self._exactly(size + 2)[:-2]
        self._until(b"\r\n")
        return body

    def _until(self, mark: bytes) -> bytes:
        while (end := self._left.find(mark)) < 0:
            self._receive()
        found, self._left = self._left[:end], self._left[end + len(mark) :]
        return found

    def _exactly(self, length: int) -> bytes:
        while len(self._left) < length:
            self._receive()
        found, self._left = self._left[:length], self._left[length:]
        return found

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise BenchError("the server closed the connection")
        self._left += data
