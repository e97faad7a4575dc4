"""Codes and handles in the store: taken once, found under no other name, useless when copied."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from idp.oidc import codes
from idp.oidc.codes import Grant
from idp.services import Services
from idp.state import StateStore
from tests.support.kit import (
    ALICE,
    C1,
    C2,
    ISSUER,
    NOW,
    PASSWORD,
    Browser,
    Installation,
    RelyingParty,
)


def a_grant(**members: Any) -> Grant:
    good: dict[str, Any] = {
        "client_id": "c1",
        "sid": "sid",
        "user_id": "alice",
        "scopes": ("openid", "email"),
        "redirect_uri": "https://c1.example.test/cb",
        "nonce": "非常 \u2028",
        "code_challenge": None,
        "auth_time": 1740830400,
        "methods": ("pwd",),
        "id_token_claims": (),
        "userinfo_claims": ("name",),
        "expires_at": NOW.timestamp() + 60,
    }
    return Grant(**(good | members))


def take(store: StateStore, code: str) -> Grant | None:
    taken = codes.take_code(store, code, now=NOW, handle_seconds=300)
    return None if taken is None else taken[0]


def redeemed(store: StateStore, grant: Grant, seconds: int = 300) -> tuple[str, str]:
    """A code that was taken, and its handle."""
    code = codes.issue_code(store, grant, 60)
    taken = codes.take_code(store, code, now=NOW, handle_seconds=seconds)
    assert taken is not None
    return code, taken[1]


def services(installation: Installation) -> Services:
    return installation.services


def test_a_code_gives_back_the_grant_once(installation: Installation) -> None:
    store, grant = services(installation).state, a_grant()
    code = codes.issue_code(store, grant, 60)
    assert codes.peek_code(store, code) == grant
    assert take(store, code) == grant
    assert take(store, code) is None
    assert codes.peek_code(store, code) is None


def test_a_handle_is_found_by_whoever_has_all_of_it(installation: Installation) -> None:
    store, grant = services(installation).state, a_grant()
    code, handle = redeemed(store, grant)
    place, _, secret = handle.partition(".")
    assert codes.open_handle(store, handle, NOW) == grant
    _, other = redeemed(store, grant)
    for wrong in (place, place + ".", f"{place}.{secret[:-1]}", f".{secret}",
                  f"{place}.{other.partition('.')[2]}", "", ".", "é.é"):  # fmt: skip
        assert codes.open_handle(store, wrong, NOW) is None
    assert codes.end_handle(store, code)
    assert codes.open_handle(store, handle, NOW) is None
    assert not codes.end_handle(store, code)
    assert codes.open_handle(store, other, NOW) == grant


# TK-06: by our clock, with no clean-up in between.
def test_a_handle_is_over_at_its_time(installation: Installation) -> None:
    store = services(installation).state
    grant = a_grant(expires_at=NOW.timestamp())
    _, handle = redeemed(store, grant, 300)
    assert codes.open_handle(store, handle, NOW + timedelta(seconds=299)) == grant
    assert codes.open_handle(store, handle, NOW + timedelta(seconds=300)) is None


# TK-16
def test_a_code_is_no_handle_and_a_handle_no_code(installation: Installation) -> None:
    store, grant = services(installation).state, a_grant()
    unused, (code, handle) = codes.issue_code(store, grant, 60), redeemed(store, grant)
    for value in (unused, code):
        assert codes.open_handle(store, value, NOW) is None
    for value in (handle, handle.partition(".")[0]):
        assert take(store, value) is None
    assert codes.open_handle(store, handle, NOW) == grant
    assert take(store, unused) == grant


# TK-01: losing short-lived state makes people start again and lets nothing in twice.
def test_wiping_the_store_ends_everything_on_the_way(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    page = browser.authorize(application.request())
    code = application.code(installation.browser(), ALICE)
    handle = application.tokens(installation.browser(), ALICE)["access_token"]
    if installation.settings.redis_url:
        import redis

        with redis.Redis.from_url(installation.settings.redis_url) as connection:
            connection.flushall()
    else:
        wipe_sqlite(installation)
    assert installation.state_entries() == []
    assert application.redeem(code).get_json()["error"] == "invalid_grant"
    assert application.userinfo(handle).status_code == 401
    assert browser.submit(page, identifier=ALICE.email).status == 400


def wipe_sqlite(installation: Installation) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(installation.settings.data_dir / "state.db")) as connection:
        connection.execute("DELETE FROM state")
        connection.commit()


# ID-09
def test_a_copy_of_all_stores_holds_nothing_that_can_be_presented(
    installation: Installation,
) -> None:
    application, other = RelyingParty(installation, C1), RelyingParty(installation, C2)
    browser = installation.browser()
    handle = application.tokens(browser, ALICE, scope="openid email")["access_token"]
    waiting = browser.authorize(application.request()).code
    page = installation.browser().authorize(other.request())
    secrets = [
        handle,
        handle.partition(".")[2],
        waiting,
        page.path.split("/")[2],
        *browser.cookies().values(),
        C1.secret or "",
        C2.secret or "",
        PASSWORD,
        installation.settings.master_key,
        "BEGIN PRIVATE KEY",
        '"d":',
    ]
    copied = dump(installation)
    for secret in secrets:
        assert secret and secret.encode() not in copied, secret
        assert secret.encode().hex().encode() not in copied, secret


def dump(installation: Installation) -> bytes:
    """Everything in the database and in the StateStore, keys and values."""
    from sqlalchemy import inspect, select, table, text

    parts = [repr(entry).encode() for entry in installation.state_entries()]
    parts += installation.state_entries()
    with installation.services.database.writer.connect() as connection:
        for name in inspect(connection).get_table_names():
            rows = connection.execute(select(text("*")).select_from(table(name)))
            for row in rows:
                for value in row:
                    raw = bytes(value) if isinstance(value, (bytes, memoryview)) else b""
                    parts += [raw, raw.hex().encode(), str(value).encode()]
    if installation.settings.redis_url:
        import redis

        with redis.Redis.from_url(installation.settings.redis_url) as client:
            parts += list(client.scan_iter())
    return b"\n".join(parts)


# ID-11
def test_tokens_of_another_kind_or_place_are_no_hints(
    application: RelyingParty, browser: Browser
) -> None:
    from keys import jwt

    installation = application.installation
    keyring, now = installation.services.keyring, installation.clock.now()
    genuine = application.tokens(browser, ALICE)["id_token"]
    claims = application.verify(genuine)
    signer = keyring.signer("RS256", now)
    forged = {
        "a logout token": jwt.sign(claims, signer, typ="logout+jwt"),
        "an access token": jwt.sign(claims, signer, typ="at+jwt"),
        "another issuer's": jwt.sign(claims | {"iss": ISSUER + "/"}, signer, typ="JWT"),
        "a test system's": jwt.sign(claims | {"iss": "https://test.example"}, signer, typ="JWT"),
        "for several": jwt.sign(claims | {"aud": ["c1", "c2"]}, signer, typ="JWT"),
        "unsigned": unsigned(claims),
        "altered": genuine[:-6] + "AAAAAA",
    }
    assert browser.authorize(application.request(prompt="none", id_token_hint=genuine)).code
    for what, hint in forged.items():
        outcome = browser.authorize(application.request(prompt="none", id_token_hint=hint))
        assert outcome.error == "invalid_request", what
        logout = browser.follow(
            browser.get(
                "/end_session",
                {
                    "id_token_hint": hint,
                    "post_logout_redirect_uri": "https://c1.example.test/out",
                },
            )
        )
        assert logout.is_page, what
        assert installation.sql("SELECT count(*) AS n FROM sessions WHERE ended_at IS NULL") == [
            {"n": 1}
        ], what


def unsigned(claims: dict[str, Any]) -> str:
    import base64

    def encode(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': 'none', 'typ': 'JWT'})}.{encode(claims)}."
