"""UserInfo: what a handle of ours opens, and that it opens nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.kit import (
    ALICE,
    BELLA,
    C1,
    C2,
    NOW,
    Browser,
    Installation,
    RelyingParty,
)

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def handle(application: RelyingParty, browser: Browser) -> str:
    """For Alice's name and address."""
    return str(application.tokens(browser, ALICE, scope="openid profile email")["access_token"])


# CONFORMANCE: userinfo-get, -post-header, -post-body
def test_a_handle_is_taken_from_the_header_or_the_body(
    application: RelyingParty, handle: str
) -> None:
    backend, header = application.backend, {"Authorization": f"Bearer {handle}"}
    answers = [
        backend.get("/userinfo", headers=header),
        backend.post("/userinfo", headers=header),
        backend.post("/userinfo", {}, headers=header),
        backend.post("/userinfo", {"access_token": handle}),
        backend.get("/userinfo", headers={"Authorization": f"bearer {handle}"}),
    ]
    for response in answers:
        assert (response.status_code, response.mimetype) == (200, "application/json")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.get_json() == answers[0].get_json()


SCOPES: list[tuple[str, dict[str, Any]]] = [
    ("openid", {}),
    ("openid email", {"email": ALICE.email, "email_verified": True}),
    ("openid phone", {"phone_number": "+81 3 1234 5678", "phone_number_verified": False}),
    ("openid address", {"address": {"country": "JP", "region": "Tokyo"}}),
    (
        "openid profile",
        {
            "name": "Alice Hart",
            "given_name": "Alice",
            "family_name": "Hart",
            "locale": "en",
            "preferred_username": "alice",
            "name#ja-Kana-JP": "アリス ハート",
            "updated_at": int(NOW.timestamp()),
        },
    ),
]


# CONFORMANCE: scope-email, scope-*
@pytest.mark.parametrize(("scope", "expected"), SCOPES, ids=[scope for scope, _ in SCOPES])
def test_only_what_was_asked_for_is_told(
    application: RelyingParty, browser: Browser, scope: str, expected: dict[str, Any]
) -> None:
    tokens = application.tokens(browser, ALICE, scope=scope)
    sub = application.installation.sub(ALICE)
    assert application.userinfo(tokens["access_token"]).get_json() == expected | {"sub": sub}
    in_token = application.verify(tokens["id_token"])
    assert expected.items() <= in_token.items()
    everything = {name for _, claims in SCOPES for name in claims}
    assert everything & set(in_token) == set(expected)


def test_the_org_scope_tells_organisation_and_roles(
    application: RelyingParty, browser: Browser
) -> None:
    tokens = application.tokens(browser, ALICE, scope="openid org")
    told = application.userinfo(tokens["access_token"]).get_json()
    assert (told["org_name"], told["roles"]) == ("Organisation A", ["member"])
    assert told["org_id"] == application.installation.user(ALICE).organization_id


# CONFORMANCE: claims-essential
def test_claims_asked_for_by_name_are_told_where_they_were_asked_for(
    application: RelyingParty, browser: Browser
) -> None:
    wanted = {
        "userinfo": {"name": {"essential": True}, "nonsense": None},
        "id_token": {"email": None},
    }
    tokens = application.tokens(browser, ALICE, claims=json.dumps(wanted))
    told = application.userinfo(tokens["access_token"]).get_json()
    assert set(told) == {"sub", "name"}
    in_token = application.verify(tokens["id_token"])
    assert in_token["email"] == ALICE.email and "name" not in in_token


# RFC 6750, 3.1
@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({}, 401, None),
        ({"Authorization": "Bearer nothing"}, 401, "invalid_token"),
        ({"Authorization": "Bearer a.b"}, 401, "invalid_token"),
        ({"Authorization": "Bearer"}, 401, "invalid_token"),
        ({"Authorization": "Basic YTpi"}, 401, "invalid_token"),
        ({"Authorization": "Bearer \xff"}, 401, "invalid_token"),
        ({"Authorization": "Bearer " + "a" * 9000}, 401, "invalid_token"),
    ],
)
def test_whoever_has_no_handle_is_told_how_to_present_one(
    application: RelyingParty, headers: dict[str, str], status: int, error: str | None
) -> None:
    for response in (
        application.backend.get("/userinfo", headers=headers),
        application.backend.post("/userinfo", headers=headers),
    ):
        assert response.status_code == status
        challenge = response.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer realm=")
        assert (f'error="{error}"' in challenge) if error else ("error" not in challenge)


def test_a_handle_in_the_address_or_in_two_places_is_refused(
    application: RelyingParty, handle: str
) -> None:
    assert application.backend.get(f"/userinfo?access_token={handle}").status_code == 401
    twice = application.backend.post(
        "/userinfo", {"access_token": handle}, headers={"Authorization": f"Bearer {handle}"}
    )
    assert twice.status_code == 400


# TK-12
def test_a_handle_lives_five_minutes(installation: Installation) -> None:
    application = RelyingParty(installation, C1)
    handle = application.tokens(installation.browser(), ALICE)["access_token"]
    installation.pass_time(seconds=299)
    assert application.userinfo(handle).status_code == 200
    installation.pass_time(seconds=1)
    assert application.userinfo(handle).status_code == 401


# TK-12
@pytest.mark.parametrize(
    "switch_off",
    [
        "UPDATE sessions SET ended_at = 1",
        "UPDATE users SET disabled_at = 1",
        "UPDATE organizations SET disabled_at = 1",
        "UPDATE clients SET disabled_at = 1",
        "DELETE FROM sessions",
    ],
)
def test_a_handle_dies_with_what_it_speaks_of(
    application: RelyingParty, handle: str, switch_off: str
) -> None:
    application.installation.sql(switch_off)
    response = application.userinfo(handle)
    assert (response.status_code, response.get_json()["error"]) == (401, "invalid_token")


# TK-12
def test_a_handle_opens_nothing_else_and_an_id_token_opens_nothing(
    application: RelyingParty, browser: Browser
) -> None:
    tokens = application.tokens(browser, ALICE)
    installation = application.installation
    stranger = installation.browser()

    def kind(location: str | None) -> str:
        """A way to the sign-in pages has an id of its own each time."""
        return re.sub(r"/login/[\w-]{43}", "/login", location or "")

    paths = {str(rule) for rule in installation.app.url_map.iter_rules() if "<" not in str(rule)}
    for path in sorted(paths - {"/userinfo"}):
        without = stranger.get(path)
        for value in (tokens["access_token"], tokens["id_token"]):
            answer = stranger.get(path, headers={"Authorization": f"Bearer {value}"})
            assert answer.status == without.status, path
            assert kind(answer.location) == kind(without.location), path
    assert application.userinfo(tokens["id_token"]).status_code == 401


def test_a_client_without_userinfo_opens_nothing(application: RelyingParty, handle: str) -> None:
    application.installation.sql(
        'UPDATE clients SET members = replace(members, \'"first_party"\', \'"userinfo": false,'
        ' "first_party"\')'
    )
    assert application.userinfo(handle).status_code == 401


def test_what_changes_is_told_from_then_on(application: RelyingParty, handle: str) -> None:
    application.installation.sql(
        "UPDATE users SET email = 'new@a.example', email_verified_at = NULL"
        " WHERE email = 'alice@a.example'"
    )
    told = application.userinfo(handle).get_json()
    assert (told["email"], told["email_verified"]) == ("new@a.example", False)


def test_two_people_in_one_browser_have_handles_of_their_own(
    sqlite_installation: Installation,
) -> None:
    first, second = (RelyingParty(sqlite_installation, one) for one in (C1, C2))
    browser = sqlite_installation.browser()
    alices = first.tokens(browser, ALICE)["access_token"]
    sqlite_installation.pass_time(seconds=1)
    page = browser.authorize(second.request(prompt="select_account"))
    bellas = second.redeem(
        browser.sign_in(browser.submit(page, account="other"), BELLA).code
    ).get_json()["access_token"]
    for handle, person in [(alices, ALICE), (bellas, BELLA)]:
        assert first.userinfo(handle).get_json()["sub"] == sqlite_installation.sub(person)
