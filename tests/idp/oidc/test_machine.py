"""What the endpoints for machines share: who may read their answers from a page."""

from __future__ import annotations

import pytest

from tests.support.kit import ALICE, C1, P1, Installation, RelyingParty

OWN = "https://p1.example.test"
OTHERS = [
    "null",
    "https://evil.example",
    "https://p1.example.test.evil.example",
    "https://evilp1.example.test",
    "https://p1.example.test:8443",
    "http://p1.example.test",
    "https://P1.example.test",
    "https://p1.example.test/",
    "https://c1.example.test",
    "http://localhost.evil",
    "*",
    "",
    "https://" + "a" * 600,
]


@pytest.fixture
def public(sqlite_installation: Installation) -> RelyingParty:
    """P1, whose pages call us from another origin."""
    return RelyingParty(sqlite_installation, P1)


# WB-10, TK-13
def test_a_page_of_a_public_client_reads_its_own_answers(public: RelyingParty) -> None:
    backend = public.backend
    for path in ("/token", "/userinfo"):
        asked = backend._send(
            "OPTIONS", path, headers={"Origin": OWN, "Access-Control-Request-Method": "POST"}
        )
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == OWN
        assert "authorization" in asked.headers["Access-Control-Allow-Headers"].lower()
    tokens = public.tokens(public.installation.browser(), ALICE)
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Origin": OWN}
    for response in (
        backend.get("/userinfo", headers=headers),
        backend.post("/token", {"grant_type": "x", "client_id": "p1"}, headers={"Origin": OWN}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == OWN
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers


# WB-10
@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_page_reads_anything(public: RelyingParty, origin: str) -> None:
    tokens = public.tokens(public.installation.browser(), ALICE)
    backend = public.backend
    bearer = {"Authorization": f"Bearer {tokens['access_token']}", "Origin": origin}
    for response in (
        backend._send("OPTIONS", "/token", headers={"Origin": origin}),
        backend._send("OPTIONS", "/userinfo", headers={"Origin": origin}),
        backend.get("/userinfo", headers=bearer),
        backend.post("/token", {"client_id": "p1"}, headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in response.headers


# WB-10
def test_a_confidential_client_has_no_pages(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C1)
    tokens = application.tokens(sqlite_installation.browser(), ALICE)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}", "Origin": OWN}
    # Of another client's origin: known here, and still not this client's.
    assert (
        "Access-Control-Allow-Origin"
        not in application.backend.get("/userinfo", headers=bearer).headers
    )


# WB-10
def test_pages_and_the_authorization_endpoint_are_for_no_other_page(public: RelyingParty) -> None:
    browser = public.installation.browser()
    for path in ("/authorize", "/logout", "/end_session"):
        response = browser.get(path, headers={"Origin": OWN})
        assert "Access-Control-Allow-Origin" not in response.headers
