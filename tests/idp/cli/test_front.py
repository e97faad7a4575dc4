"""Between granian and the application: what becomes of a request, and what never gets there."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

from idp.cli import front
from idp.edge import FORM_LIMIT

BAD_REQUEST = (400, b"bad request\n")


class Headers:
    """Fields as granian gives them: names in lower case, some more than once."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = list(fields)

    def items(self) -> list[tuple[str, str]]:
        return self._fields


@dataclass
class Connection:
    """A request as granian hands it over (its scope and its protocol in one)."""

    fields: Iterable[tuple[str, str]] = ()
    pieces: Iterable[bytes] = ()
    breaks_off: bool = False
    never_ends: bool = False
    method: str = "POST"
    path: str = "/token"
    query_string: str = ""
    client: str = "192.0.2.10:4711"
    server: str = "127.0.0.1:8420"
    authority: str | None = None
    answered: list[tuple[int, bytes]] = field(default_factory=list)
    taken: int = 0

    @property
    def headers(self) -> Headers:
        return Headers(self.fields)

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.breaks_off:
            raise ProtocolClosed
        if self.never_ends:
            await asyncio.Event().wait()

    def response_bytes(self, status: int, _: list[tuple[str, str]], body: bytes) -> None:
        self.answered.append((status, body))


@dataclass
class Application:
    """Answers what it got to read."""

    entered: list[WSGIEnvironment] = field(default_factory=list)
    is_closed: bool = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> "Application":
        self.entered.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Any:
        yield self.entered[-1]["wsgi.input"].read()

    def close(self) -> None:
        self.is_closed = True


def pass_through(connection: Connection) -> Application:
    application = Application()
    ready: Any = connection
    coroutine = front.Front(application, 1).__rsgi__(ready, ready)
    # In a thread without an event loop: Playwright's runs in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()
    return application


@pytest.mark.parametrize("path", ["/token", "/login/x/password"])
def test_a_body_arrives_whole_whichever_thread_answers(path: str) -> None:
    connection = Connection([("content-length", "6")], [b"abc", b"def"], path=path)
    application = pass_through(connection)
    assert connection.answered == [(200, b"abcdef")]
    assert application.is_closed


def test_a_chunked_body_becomes_one_of_known_length() -> None:
    connection = Connection([("transfer-encoding", "chunked")], [b"abc", b"def"])
    [environ] = pass_through(connection).entered
    assert connection.answered == [(200, b"abcdef")]
    assert environ["CONTENT_LENGTH"] == "6"
    assert "HTTP_TRANSFER_ENCODING" not in environ


@pytest.mark.parametrize("length", ["", "-1", "+1", "1e3", "0x1", "١", "1,1", "7", "5"])
def test_a_length_that_is_none_or_not_true_is_refused_before_the_application(length: str) -> None:
    connection = Connection([("content-length", length)], [b"abcdef"])
    assert pass_through(connection).entered == []
    assert connection.answered == [BAD_REQUEST]


@pytest.mark.parametrize("name", ["content-length", "transfer-encoding"])
def test_a_body_that_breaks_off_is_no_request(name: str) -> None:
    connection = Connection([(name, "6")], [b"abc"], breaks_off=True)
    assert pass_through(connection).entered == []
    assert connection.answered == [BAD_REQUEST]


# DS-04
def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_SECONDS", 0.01)
    connection = Connection([("content-length", "6")], [b"abc"], never_ends=True)
    assert pass_through(connection).entered == []
    assert connection.answered == [BAD_REQUEST]


# DS-03
def test_a_giant_body_is_not_read_but_left_to_the_application_to_refuse() -> None:
    announced = Connection([("content-length", str(FORM_LIMIT + 1))], [b"a"])
    [environ] = pass_through(announced).entered
    assert (announced.taken, environ["CONTENT_LENGTH"]) == (0, str(FORM_LIMIT + 1))
    endless = Connection([("transfer-encoding", "chunked")], [b"a" * 1024] * 1000)
    [environ] = pass_through(endless).entered
    assert FORM_LIMIT < int(environ["CONTENT_LENGTH"]) <= FORM_LIMIT + 1024


def test_the_request_is_told_as_wsgi_tells_it() -> None:
    fields = [
        ("host", "id.example.test"),
        ("x_forwarded_for", "203.0.113.7"),  # Would pass for a proxy's.
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("accept-language", "ja"),
        ("accept-language", "en"),
    ]
    asked = Connection(
        fields, method="GET", path="/login/%C3%A4", query_string="a=%20", client="[2001:db8::7]:99"
    )
    [environ] = pass_through(asked).entered
    assert environ["PATH_INFO"] == "/login/ä".encode().decode("latin-1")
    assert (environ["QUERY_STRING"], environ["REQUEST_METHOD"]) == ("a=%20", "GET")
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::7", "99")
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_ACCEPT_LANGUAGE"] == "ja,en"
    assert environ["HTTP_HOST"] == "id.example.test"


def test_the_authority_stands_for_a_host_that_is_missing() -> None:
    [environ] = pass_through(Connection(method="GET", authority="id.example.test")).entered
    assert environ["HTTP_HOST"] == "id.example.test"
