"""Client authentication: exactly the registered method, and every failure alike."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote_plus

import pytest
from werkzeug.test import TestResponse

from idp.oidc import clients
from tests.support.kit import (
    ALICE,
    C1,
    C2,
    P1,
    VERIFIER,
    Application,
    Installation,
    RelyingParty,
    basic,
)

WRONG = "wrong secret of thirty-two letters"


def send(
    application: RelyingParty,
    form: dict[str, str],
    headers: dict[str, str] | None = None,
    *,
    code: str = "x",
    address: str = "198.51.100.1",
) -> TestResponse:
    """A request to /token in the application's name with credentials of the test's own."""
    good = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": application.application.redirect_uri,
        "code_verifier": VERIFIER,
    }
    backend = application.installation.browser(address)
    return backend.post("/token", good | form, headers=headers)


def register(
    application: RelyingParty, client_id: str, secret: str, **members: object
) -> RelyingParty:
    """A further client of the same installation."""
    installation = application.installation
    metadata = {
        "client_id": client_id,
        "client_secret": secret,
        "redirect_uris": ["https://new.example.test/cb"],
        "first_party": True,
        **members,
    }
    with installation.database() as session:
        clients.register(
            session,
            metadata,
            actor="test",
            secret_key=installation.services.client_secret_key,
            now=installation.clock.now(),
        )
    return RelyingParty(installation, Application(client_id, "https://new.example.test/cb", secret))


def assert_invalid_client(response: TestResponse, *, basic_was_tried: bool) -> None:
    assert response.status_code == 401
    assert response.get_json()["error"] == "invalid_client"
    assert response.headers["Cache-Control"] == "no-store"
    challenge = response.headers.get("WWW-Authenticate", "")
    assert challenge.startswith("Basic") if basic_was_tried else not challenge


SECRET1, SECRET2 = C1.secret or "", C2.secret or ""
# For C1 unless another client_id is said: it is registered for client_secret_basic.
CONFUSIONS: list[tuple[str, dict[str, str], dict[str, str]]] = [
    ("nothing at all", {}, {}),
    ("the id alone", {"client_id": "c1"}, {}),
    ("an empty secret posted", {"client_id": "c1", "client_secret": ""}, {}),
    ("the right secret by the other method", {"client_id": "c1", "client_secret": SECRET1}, {}),
    ("C2's method by the other one", {}, basic("c2", SECRET2)),
    ("two methods, both right", {"client_secret": SECRET1}, basic("c1", SECRET1)),
    ("wrong Basic, right post", {"client_id": "c2", "client_secret": SECRET2}, basic("c2", WRONG)),
    ("Basic beside another client_id", {"client_id": "c2"}, basic("c1", SECRET1)),
    ("Basic without a secret", {}, basic("c1", "")),
    ("Basic for a public client", {}, basic("p1", "anything")),
    ("Basic for a public client without a secret", {}, basic("p1", "")),
    ("a secret posted for a public client", {"client_id": "p1", "client_secret": "x"}, {}),
    ("a wrong secret", {}, basic("c1", WRONG)),
    ("a secret with its end cut off", {}, basic("c1", SECRET1[:-1])),
    ("a secret and a space", {}, basic("c1", SECRET1 + " ")),
    ("another client's secret", {}, basic("c1", SECRET2)),
    ("nobody", {}, basic("nobody", WRONG)),
    ("nobody who posts", {"client_id": "nobody", "client_secret": WRONG}, {}),
    ("nobody who is public", {"client_id": "nobody"}, {}),
    ("the id in other case", {}, basic("C1", SECRET1)),
    ("another scheme", {}, {"Authorization": "Digest " + basic("c1", SECRET1)["Authorization"]}),
    ("a bearer token", {"client_id": "p1"}, {"Authorization": "Bearer x"}),
    ("no base64", {}, {"Authorization": "Basic %%%"}),
    ("no colon", {}, {"Authorization": "Basic " + base64.b64encode(b"c1").decode()}),
    ("no UTF-8", {}, {"Authorization": "Basic " + base64.b64encode(b"c1:\xff").decode()}),
    ("a lone surrogate", {}, basic("c1", "%ED%A0%80")),
    ("a scheme alone", {}, {"Authorization": "Basic"}),
    ("an empty header", {"client_id": "p1"}, {"Authorization": ""}),
    (
        "an assertion",
        {
            "client_id": "c1",
            "client_assertion": "a.b.c",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
        {},
    ),
]


# TK-08
@pytest.mark.parametrize(
    ("form", "headers"), [c[1:] for c in CONFUSIONS], ids=[c[0] for c in CONFUSIONS]
)
def test_whatever_is_not_exactly_the_registered_method_is_invalid_client(
    application: RelyingParty, code: str, form: dict[str, str], headers: dict[str, str]
) -> None:
    response = send(application, form, headers, code=code)
    assert_invalid_client(response, basic_was_tried=bool(headers))
    assert application.redeem(code).status_code == 200


# TK-08
@pytest.mark.parametrize(
    "secret",
    [
        "with space and + plus and % percent %41",
        "秘密のことばは三十二文字よりも長いですとも",
        "a:b:c" * 8,
        "ends with =",
    ],
)
def test_a_secret_works_plain_and_percent_encoded(application: RelyingParty, secret: str) -> None:
    register(application, "n2", secret)
    for headers in (basic("n2", secret), basic("n2", quote_plus(secret))):
        response = send(application, {}, headers)
        assert response.get_json()["error"] == "invalid_grant"


def test_a_client_id_with_reserved_characters_works_percent_encoded(
    application: RelyingParty,
) -> None:
    secret = "the secret of an application by URL"
    register(application, "https://app.example/x+y", secret)
    encoded = basic(quote_plus("https://app.example/x+y"), secret)
    assert send(application, {}, encoded).get_json()["error"] == "invalid_grant"


def test_basic_is_read_whatever_the_case_of_its_name(application: RelyingParty) -> None:
    value = basic("c1", SECRET1)["Authorization"].removeprefix("Basic ")
    response = send(application, {}, {"Authorization": f"bAsIc {value}"})
    assert response.get_json()["error"] == "invalid_grant"


def test_the_id_may_be_repeated_in_the_body_of_a_basic_request(application: RelyingParty) -> None:
    response = send(application, {"client_id": "c1"}, basic("c1", SECRET1))
    assert response.get_json()["error"] == "invalid_grant"


# TK-10
def test_unknown_disabled_and_mistaken_clients_cannot_be_told_apart(
    application: RelyingParty,
) -> None:
    installation = application.installation
    installation.sql("UPDATE clients SET disabled_at = 1 WHERE id = 'c3'")
    answers = set()
    for client_id, secret in [("nobody", WRONG), ("c1", WRONG), ("c3", WRONG), ("l1", WRONG),
                              ("c3", "c3 has a secret of thirty-two let")]:  # fmt: skip
        response = send(application, {}, basic(client_id, secret))
        answers.add((response.status, response.text, str(response.headers)))
    assert len(answers) == 1


# TK-10
def test_guessing_is_slowed_for_the_guesser_alone(application: RelyingParty) -> None:
    guesser = "203.0.113.77"
    statuses = [
        send(application, {}, basic("c1", f"{WRONG} {n}"), address=guesser).status_code
        for n in range(40)
    ]
    assert statuses[0] == 401 and statuses[-1] == 429
    limited = send(application, {}, basic("c1", WRONG), address=guesser)
    assert limited.get_json()["error"] == "invalid_client"
    assert int(limited.headers["Retry-After"]) > 0
    assert application.redeem("x").get_json()["error"] == "invalid_grant"
    stored = application.installation.sql("SELECT sum(failures) AS n FROM failures")
    assert stored[0]["n"] <= 20


# TK-10
def test_a_short_imported_secret_is_not_found_by_trying_on(application: RelyingParty) -> None:
    register(application, "short", "hunter2")
    guesser = "203.0.113.78"
    for n in range(20):
        send(application, {}, basic("short", f"guess {n}"), address=guesser)
    wrong, right = (
        send(application, {}, basic("short", secret), address=guesser)
        for secret in ("hunter3", "hunter2")
    )
    assert (right.status, right.text) == (wrong.status, wrong.text)
    assert str(right.headers) == str(wrong.headers)
    own = send(application, {}, basic("short", "hunter2"))
    assert own.get_json()["error"] == "invalid_grant"


# TK-10, ID-09
def test_no_secret_is_kept_that_could_be_presented(application: RelyingParty) -> None:
    stored = application.installation.sql("SELECT * FROM clients")
    text = "".join(str(list(row.values())) for row in stored)
    for secret in (SECRET1, SECRET2):
        assert secret not in text
        for digest in (hashlib.sha256(secret.encode()), hashlib.sha256(f"c1{secret}".encode())):
            assert str(digest.digest()) not in text and digest.hexdigest() not in text


def test_a_public_client_proves_itself_by_its_verifier_alone(
    sqlite_installation: Installation,
) -> None:
    application = RelyingParty(sqlite_installation, P1)
    browser = sqlite_installation.browser()
    code = application.code(browser, ALICE)
    assert application.redeem(code, code_verifier="b" * 43).status_code == 400
    assert application.redeem(application.code(browser, ALICE)).status_code == 200


# What SQLite takes in a text, PostgreSQL does not.
def test_a_name_that_no_database_can_hold_is_invalid_client(installation: Installation) -> None:
    application = RelyingParty(installation, C1)
    for name in ("c1\0", "c1%00", "%00", "%ED%A0%80"):
        assert_invalid_client(send(application, {}, basic(name, SECRET1)), basic_was_tried=True)
    assert send(application, {"client_id": "p1\0"}).status_code in (400, 401)
