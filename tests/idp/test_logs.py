"""Logs: one JSON object a line, and never a secret, however much is logged."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from idp import logs
from tests.support.kit import ALICE, C1, C3, P1, PASSWORD, VERIFIER, RelyingParty
from tests.support.kit import Installation as Provider


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is written when everything is logged."""
    written = io.StringIO()
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    names = ("authlib", "sqlalchemy", "urllib3", "alembic")
    levels = {name: logging.getLogger(name).level for name in names}
    monkeypatch.setattr("sys.stderr", written)
    logs.configure("DEBUG")
    yield written
    root.handlers, root.level = kept, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def entries(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    logging.getLogger("idp.test").info("two\nlines %s", "関所", extra={"request_id": "r1"})
    [entry] = entries(lines)
    assert entry["message"] == "two\nlines 関所"
    assert (entry["level"], entry["logger"], entry["request_id"]) == ("INFO", "idp.test", "r1")
    assert str(entry["time"]).endswith("+00:00")


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "id_token", "code", "cookie", "id_token_hint", "Code"]
)
def test_members_named_like_secrets_are_masked(lines: io.StringIO, name: str) -> None:
    logging.getLogger("idp.test").info("here", extra={name: "a-value-that-opens"})
    assert "a-value-that-opens" not in lines.getvalue()


def test_a_defect_is_logged_with_its_trace(lines: io.StringIO) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("idp.test").exception("unhandled")
    [entry] = entries(lines)
    assert "ValueError: wrong" in str(entry["exception"])


def test_what_is_no_json_is_written_as_text(lines: io.StringIO) -> None:
    logging.getLogger("idp.test").info("here", extra={"thing": {1, 2}})
    assert entries(lines)[0]["thing"] == "{1, 2}"


def test_a_whole_sign_in_leaves_no_secret_in_the_log(
    sqlite_installation: Provider, lines: io.StringIO
) -> None:
    secrets = [PASSWORD, VERIFIER, "the nonce", "the state", "a wrong password"]
    for registered in (C1, C3, P1):
        application = RelyingParty(sqlite_installation, registered)
        browser = sqlite_installation.browser()
        at_password = browser.submit(
            browser.authorize(application.request()), identifier=ALICE.email
        )
        browser.submit(at_password, password="a wrong password")
        answer = browser.sign_in(at_password, ALICE)
        if answer.step == "consent":
            answer = browser.submit(answer, decision="allow")
        tokens = application.redeem(answer.code).get_json()
        application.userinfo(tokens["access_token"])
        application.redeem(answer.code)
        browser.get("/end_session", {"id_token_hint": tokens["id_token"]})
        secrets += [answer.code, tokens["access_token"], tokens["id_token"]]
        secrets += [*browser.cookies().values(), at_password.page.fields["csrf"]]
        if registered.secret:
            secrets.append(registered.secret)
    written = lines.getvalue()
    assert [secret for secret in secrets if secret in written] == []


def test_requests_are_logged_when_wanted_by_path_alone(install: object, lines: io.StringIO) -> None:
    provider: Provider = install(log_requests=True)  # type: ignore[operator]
    provider.browser().get("/authorize", {"client_id": "c1", "state": "not-for-the-log"})
    [entry] = [entry for entry in entries(lines) if entry["message"] == "request"]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/authorize", 400)
    assert "not-for-the-log" not in lines.getvalue()


# TK-07
def test_a_secret_in_the_address_does_not_reach_the_log(
    install: object, lines: io.StringIO
) -> None:
    provider: Provider = install(log_requests=True)  # type: ignore[operator]
    query = f"grant_type=authorization_code&client_id=c1&client_secret={C1.secret}&code=a-code"
    response = provider.browser().post(f"/token?{query}", {})
    assert response.status_code == 400
    assert str(C1.secret) not in lines.getvalue()
    assert "a-code" not in lines.getvalue()
