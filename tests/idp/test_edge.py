"""What the edge refuses by itself, and the one translation of errors into answers."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool
from werkzeug.test import TestResponse

from idp.edge import FORM_LIMIT
from tests.support.kit import ALICE, C1, PASSWORD, Browser, Installation, RelyingParty

FORM = "application/x-www-form-urlencoded"
MACHINE_PATHS = ("/token", "/userinfo")


# LK-03
def test_another_name_is_told_the_right_one_as_plain_text(browser: Browser) -> None:
    answer = browser.get("/authorize", headers={"Host": "192.0.2.1"})
    assert (answer.status_code, answer.mimetype) == (421, "text/plain")
    assert answer.text == "This is id.example.test: open it under that name.\n"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_load_balancer_asks_for_health_under_any_name(browser: Browser, path: str) -> None:
    assert browser.get(path, headers={"Host": "10.0.0.7"}).status_code == 200


def chunked(browser: Browser, path: str, body: io.BytesIO) -> TestResponse:
    """As a WSGI server hands over a chunked body: without a length."""
    taken_apart = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": body}
    return browser.post(path, content_type=FORM, environ_overrides=taken_apart)


class NoChunks(io.BytesIO):
    """What servers hand over for chunks that are none."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError("invalid chunk header")


# DS-03
def test_a_chunked_body_is_refused_where_the_limit_ends_and_when_it_is_broken(
    browser: Browser,
) -> None:
    longest = io.BytesIO(b"a" * FORM_LIMIT)
    assert chunked(browser, "/logout", longest).status_code == 403  # For its token alone.
    giant = io.BytesIO(b"a" * 10 * FORM_LIMIT)
    answer = chunked(browser, "/logout", giant)
    assert (answer.status_code, answer.text) == (413, "Content Too Large\n")
    assert giant.tell() == FORM_LIMIT + 1
    answer = chunked(browser, "/logout", NoChunks())
    assert (answer.status_code, answer.text) == (400, "Bad Request\n")


# DS-03
def test_a_giant_form_of_a_person_is_a_page(browser: Browser) -> None:
    answer = browser.post("/logout", data=b"a" * (FORM_LIMIT + 1), content_type=FORM)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert "The request is too large." in answer.text


@pytest.mark.parametrize("path", MACHINE_PATHS)
def test_an_application_that_uses_a_wrong_method_gets_json(browser: Browser, path: str) -> None:
    answer = browser._send("DELETE", path)
    assert (answer.status_code, answer.get_json()) == (405, {"error": "invalid_request"})
    assert "POST" in answer.headers["Allow"]


def ask_machines(application: RelyingParty, token: str) -> Iterator[TestResponse]:
    yield application.redeem("a code")
    yield application.backend.get("/userinfo", headers={"Authorization": f"Bearer {token}"})


def assert_unavailable(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "clients" not in answer.text
    if answer.request.path in MACHINE_PATHS:
        assert answer.get_json() == {"error": "temporarily_unavailable"}
    else:
        assert "Temporarily unavailable" in answer.text
        assert "temporarily_unavailable" in answer.text


# CR-08
def test_a_database_that_fails_is_unavailable_for_people_and_applications(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    tokens = application.tokens(browser, ALICE)
    for name in ("web_origins", "consents", "clients"):
        sqlite_installation.sql(f"DROP TABLE {name}")
    assert_unavailable(browser.get("/authorize", application.request()))
    for answer in ask_machines(application, tokens["access_token"]):
        assert_unavailable(answer)


@contextmanager
def exhausted(engine: Engine) -> Iterator[None]:
    """All connections of the engine are in use, and nobody waits for one."""
    assert isinstance(engine.pool, QueuePool)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(engine.pool, "_timeout", 0)
        for _ in range(engine.pool.size() + engine.pool._max_overflow):
            stack.enter_context(engine.connect())
        yield


# DS-04
def test_whoever_finds_no_connection_free_is_told_to_come_again(
    sqlite_installation: Installation, application: RelyingParty, browser: Browser
) -> None:
    page = browser.submit(browser.authorize(application.request()), identifier=ALICE.email)
    guess = {"client_id": C1.client_id, "grant_type": "authorization_code", "code": "a code"}
    wrong = guess | {"client_secret": "x" * 32}
    # The first failure of a source is one statement; a further one takes a transaction.
    assert application.backend.post("/token", wrong).status_code == 401
    with exhausted(sqlite_installation.services.database.writer):
        assert_unavailable(browser.submit(page, password=PASSWORD).response)
        assert_unavailable(application.backend.post("/token", wrong))
    assert browser.submit(page, password=PASSWORD).code
