"""Requests over plain kept-alive sockets, as load and faults need them.

Owns one client and one person at a running installation, the steps of their sign-ins, and threads
that repeat them while something is broken. `requests` would cost more than the server does.
"""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from bench.connection import Answer, BenchError, Connection, Cookies
from tests.support.browser import Page
from tests.support.relying_party import VERIFIER, challenge_of
from tests.support.running import PASSWORD, Installation, RegisteredClient

CALLBACK = "https://application.example/callback"  # Nobody goes there: the tests are both sides.
PERSON = "alice@example.com"
STEPS = 12
LOST = (OSError, BenchError)  # What a client sees of a connection that died.


@dataclass(frozen=True, slots=True)
class Road:
    """The way through one installation. `headers` are sent with every request."""

    installation: Installation
    client: RegisteredClient
    headers: Mapping[str, str] = field(default_factory=dict)

    def connect(self, *, seconds: float = 60) -> Connection:
        return Connection(self.installation.base_url, timeout=seconds)

    def get(self, path: str) -> Answer:
        """The answer to a request on a connection of its own."""
        with self.connect() as connection:
            return self._ask(connection, "GET", path)

    def authorize(self, connection: Connection, cookies: Cookies) -> str:
        """A code for a browser that is signed in. Raises BenchError without one."""
        answer = self.ask_for_code(connection, cookies)
        return code_of(answer) or _no_code(answer)

    def ask_for_code(self, connection: Connection, cookies: Cookies) -> Answer:
        return self._ask(connection, "GET", self.request(), cookies)

    def sign_in(
        self,
        connection: Connection,
        cookies: Cookies,
        *,
        identifier: str = PERSON,
        password: str = PASSWORD,
    ) -> Answer:
        """Walks the pages, sends the password once; the answer that is no redirect of ours."""
        target = self.request()
        answer = self._ask(connection, "GET", target, cookies)
        is_asked = False
        for _ in range(STEPS):
            onward = answer.header("Location")
            if onward and onward.startswith("/"):
                target = urljoin(target, onward)
                answer = self._ask(connection, "GET", target, cookies)
                continue
            page = Page(answer.body.decode())
            if not page.action or is_asked:
                return answer
            is_asked = "password" in page.fields
            given = {"identifier": identifier, "password": password}
            form = page.fields | {name: given[name] for name in given if name in page.fields}
            target = urljoin(target, page.action)
            answer = self._ask(connection, "POST", target, cookies, form)
        raise BenchError(f"no end after {STEPS} steps: {target}")

    def redeem(self, connection: Connection, code: str) -> Answer:
        """The application's request to /token."""
        pair = f"{self.client.client_id}:{self.client.client_secret}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        headers = {"Authorization": authorization}
        return self._ask(connection, "POST", "/token", None, form, headers)

    def request(self) -> str:
        return "/authorize?" + urlencode(
            {
                "client_id": self.client.client_id,
                "redirect_uri": CALLBACK,
                "response_type": "code",
                "scope": "openid",
                "code_challenge": challenge_of(VERIFIER),
                "code_challenge_method": "S256",
            }
        )

    def _ask(
        self,
        connection: Connection,
        method: str,
        target: str,
        cookies: Cookies | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {**self.headers, **(headers or {})}
        if form is None:
            return connection.ask(method, target, headers=sent, cookies=cookies)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode()
        return connection.ask(method, target, headers=sent, cookies=cookies, body=body)


def road(installation: Installation, *, headers: Mapping[str, str] | None = None) -> Road:
    """Registers a client and the person."""
    installation.add_users(PERSON)
    client = installation.add_client("Application", [CALLBACK], first_party=True)
    return Road(installation, client, headers or {})


def code_of(answer: Answer) -> str | None:
    """The code that an answer brings to the application, by redirect or by the last page."""
    page = Page(answer.body.decode()) if answer.status == 200 else None
    location = answer.header("Location") or (page.refresh if page else "")
    return parse_qs(urlsplit(location).query).get("code", [None])[0]


def _no_code(answer: Answer) -> str:
    raise BenchError(f"no code: {answer.status} {answer.header('Location')} {answer.body[:300]!r}")


@dataclass(slots=True)
class Tally:
    """What came of the sign-ins of a load."""

    redeemed: list[str] = field(default_factory=list)
    """Codes that brought an ID token."""
    tried: list[str] = field(default_factory=list)
    """Codes whose redemption got no answer, or the answer that it cannot be done now."""
    unexpected: list[str] = field(default_factory=list)
    """Answers that nothing excuses."""
    unavailable: int = 0
    """Answers 503, all of them with Retry-After."""
    lost: int = 0
    """Connections that died."""


@contextmanager
def load(road: Road, *, threads: int = 4, with_password: bool = True) -> Iterator[Tally]:
    """Sign-ins in a loop, in `threads` browsers, while the block runs. With `with_password` every
    tenth begins with the password; all others with the session."""
    tally, is_over = Tally(), threading.Event()
    lanes = [
        threading.Thread(target=_repeat, args=(road, tally, is_over, with_password))
        for _ in range(threads)
    ]
    for lane in lanes:
        lane.start()
    try:
        yield tally
    finally:
        is_over.set()
        for lane in lanes:
            lane.join()


def _repeat(road: Road, tally: Tally, is_over: threading.Event, with_password: bool) -> None:
    cookies: Cookies = {}
    number = 0
    while not is_over.is_set():
        try:
            with road.connect(seconds=20) as connection:
                while not is_over.is_set():
                    if not cookies or (with_password and number % 10 == 0):
                        cookies = {}
                        _enter(road, tally, connection, cookies)
                    else:
                        _pass(road, tally, connection, cookies)
                    number += 1
        except LOST:
            tally.lost += 1
            is_over.wait(0.02)


def _enter(road: Road, tally: Tally, connection: Connection, cookies: Cookies) -> None:
    answer = road.sign_in(connection, cookies)
    code = code_of(answer)
    if code is None:
        cookies.clear()
        _judge(tally, answer)
        return
    _redeem(road, tally, connection, code)


def _pass(road: Road, tally: Tally, connection: Connection, cookies: Cookies) -> None:
    answer = road.ask_for_code(connection, cookies)
    code = code_of(answer)
    if code is None:
        _judge(tally, answer)
        return
    _redeem(road, tally, connection, code)


def _redeem(road: Road, tally: Tally, connection: Connection, code: str) -> None:
    tally.tried.append(code)
    answer = road.redeem(connection, code)
    if answer.status == 200 and "id_token" in json.loads(answer.body):
        tally.tried.remove(code)
        tally.redeemed.append(code)
        return
    # invalid_grant: the code was in a store that lost it, or an answer before was lost.
    if answer.status != 400:
        _judge(tally, answer)


def _judge(tally: Tally, answer: Answer) -> None:
    """Only "not now", saying until when, may replace what was asked for. Sending somebody to the
    pages again, who starts again, is "not now" for a person."""
    if answer.status == 503 and answer.header("Retry-After"):
        tally.unavailable += 1
        return
    if answer.status in (302, 303) or b"interaction_not_found" in answer.body:
        return
    tally.unexpected.append(f"{answer.status} {answer.head[:200]!r} {answer.body[:300]!r}")
