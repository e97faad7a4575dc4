"""Registered clients: exact redirect URIs, what is stored, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idp.errors import NotFound, Refused
from idp.oidc import clients
from idp.oidc.clients import Registered
from tests.idp.oidc.values import a_client
from tests.support.kit import (
    ALICE,
    C1,
    N1,
    NOW,
    Application,
    Browser,
    Installation,
    RelyingParty,
)

REGISTERED = "https://app.example/cb"
# RU-01
TWINS = [
    "https://app.example/cb/",
    "https://app.example/CB",
    "https://app.example/Cb",
    "https://app.example/cb/..",
    "https://app.example/cb/../cb",
    "https://app.example/./cb",
    "https://app.example/cb/..;/x",
    "https://app.example/cb;a=b",
    "https://app.example//cb",
    "https://app.example/%63b",
    "https://app.example/c%62",
    "https://app.example/cb%2e",
    "https://app.example/%2Fcb",
    "https://app.example/cb%00",
    "https://app.example/cb%0a",
    "https://app.example/cb?",
    "https://app.example/cb?x",
    "https://app.example/cb?x=y",
    "https://app.example/cb#",
    "https://app.example/cb#f",
    "https://app.example:443/cb",
    "https://app.example:/cb",
    "https://app.example:8443/cb",
    "https://app.example./cb",
    "https://.app.example/cb",
    "https://user@app.example/cb",
    "https://user:pw@app.example/cb",
    "https://app.example@evil.example/cb",
    "https://app.example@@evil.example/cb",
    "https://evil.example@app.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example\\cb",
    "https:\\\\app.example\\cb",
    "https://app.example/\tcb",
    "https://app.example/cb\n",
    "https://app.example/cb ",
    " https://app.example/cb",
    "https://app.exa\u006dple\u200b/cb",
    "https://\u0430pp.example/cb",
    "https://xn--pp-7kc.example/cb",
    "https://app\u3002example/cb",
    "https://APP.example/cb",
    "HTTPS://app.example/cb",
    "http://app.example/cb",
    "//app.example/cb",
    "app.example/cb",
    "/cb",
    "https:/app.example/cb",
    "https:app.example/cb",
    "https://[::ffff:1.2.3.4]/cb",
    "https://app.example.evil.example/cb",
    "https://evilapp.example/cb",
    "https://app-example/cb",
    "https://app.example/cb" + "/x" * 1000,
    "https://app.example/cb,https://evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
]


# RU-01
def test_only_the_identical_redirect_uri_passes() -> None:
    assert len(set(TWINS)) >= 40
    client = a_client()
    assert client.allows_redirect_uri(REGISTERED)
    assert [uri for uri in TWINS if client.allows_redirect_uri(uri)] == []


# RU-01
def test_no_twin_of_a_redirect_uri_is_ever_gone_to(
    application: RelyingParty, browser: Browser
) -> None:
    assert application.code(browser, ALICE)
    for uri in TWINS:
        twin = uri.replace("app.example", "c1.example.test", 1)
        outcome = browser.authorize(application.request(redirect_uri=twin, prompt="none"))
        assert (outcome.status, outcome.location) == (400, ""), twin


LOOPBACK = [
    ("http://127.0.0.1/cb", True),
    ("http://127.0.0.1:1/cb", True),
    ("http://127.0.0.1:51004/cb", True),
    ("http://[::1]/cb", True),
    ("http://[::1]:51004/cb", True),
    ("com.example.n1:/cb", True),
    ("http://127.0.0.1:/cb", False),
    ("http://127.0.0.1:123456/cb", False),
    ("http://127.0.0.1:-1/cb", False),
    ("http://127.0.0.1:80a/cb", False),
    ("http://127.0.0.1:51004/other", False),
    ("http://127.0.0.1:51004/cb/", False),
    ("http://127.0.0.1:51004/cb?x=y", False),
    ("http://127.0.0.1:51004", False),
    ("https://127.0.0.1:51004/cb", False),
    ("http://127.0.0.2/cb", False),
    ("http://127.1/cb", False),
    ("http://2130706433/cb", False),
    ("http://0x7f.0.0.1/cb", False),
    ("http://0.0.0.0/cb", False),
    ("http://localhost/cb", False),
    ("http://localhost:80@evil.example/cb", False),
    ("http://localhost.evil.test/cb", False),
    ("http://127.0.0.1.evil.test/cb", False),
    ("http://127.0.0.1:80@evil.test/cb", False),
    ("http://127.0.0.1@evil.test/cb", False),
    ("http://127.0.0.1\\@evil.test/cb", False),
    ("http://127.0.0.1#@evil.test/cb", False),
    ("http://[::1]:80@evil.test/cb", False),
    ("http://[::1].evil.test/cb", False),
    ("http://[::ffff:127.0.0.1]/cb", False),
    ("HTTP://127.0.0.1/cb", False),
    ("http://127.0.0.1:51004/cb\n", False),
    ("com.example.n1:/other", False),
    ("com.example.n1://cb", False),
]


# RU-02
@pytest.mark.parametrize(("uri", "allowed"), LOOPBACK)
def test_a_native_client_may_vary_the_port_on_loopback_and_nothing_else(
    uri: str, allowed: bool
) -> None:
    native = a_client(**{"token_endpoint_auth_method": "none", **N1.members})
    assert native.allows_redirect_uri(uri) == allowed


# RU-02
@pytest.mark.parametrize(
    "members",
    [{"token_endpoint_auth_method": "none"}, {"application_type": "native"}],
    ids=["public but in a browser", "native but confidential"],
)
def test_no_other_client_may_vary_the_port(members: dict[str, str]) -> None:
    client = a_client(redirect_uris=["http://127.0.0.1/cb"], **members)
    assert client.allows_redirect_uri("http://127.0.0.1/cb")
    assert not client.allows_redirect_uri("http://127.0.0.1:51004/cb")


# RU-02
def test_a_native_application_is_answered_on_the_port_it_named(
    sqlite_installation: Installation,
) -> None:
    uri = "http://127.0.0.1:51004/cb"
    native = RelyingParty(sqlite_installation, Application("n1", uri, auth_method="none"))
    answer = native.arrive(sqlite_installation.browser(), ALICE)
    assert answer.location.startswith(uri + "?")
    plain = RelyingParty(sqlite_installation, N1)
    assert plain.redeem(answer.code).status_code == 400


def register(installation: Installation, **members: Any) -> Registered:
    metadata = {"client_id": "new", "redirect_uris": [REGISTERED], "client_name": "New"} | members
    with installation.database() as session:
        return clients.register(
            session,
            {name: value for name, value in metadata.items() if value is not None},
            actor="cli",
            secret_key=installation.services.client_secret_key,
            now=NOW,
        )


def test_a_new_secret_is_shown_once_and_works(sqlite_installation: Installation) -> None:
    made = register(sqlite_installation, first_party=True)
    assert made.change == "added" and made.client_secret and len(made.client_secret) >= 43
    again = register(sqlite_installation, first_party=True)
    assert (again.change, again.client_secret) == ("unchanged", None)
    application = RelyingParty(
        sqlite_installation, Application("new", REGISTERED, made.client_secret)
    )
    assert application.tokens(sqlite_installation.browser(), ALICE)["id_token"]
    with sqlite_installation.database() as session:
        described = json.dumps(clients.describe(clients.find(session, "new")))
    assert made.client_secret not in described and "secret_hash" not in described


def test_a_change_keeps_the_secret_and_says_so(sqlite_installation: Installation) -> None:
    made = register(sqlite_installation, first_party=True)
    changed = register(sqlite_installation, first_party=True, client_name="Newer")
    assert (changed.change, changed.client_secret) == ("changed", None)
    application = RelyingParty(
        sqlite_installation, Application("new", REGISTERED, made.client_secret)
    )
    assert application.tokens(sqlite_installation.browser(), ALICE)["id_token"]
    assert sqlite_installation.events()[-3:].count("login.succeeded") == 1
    assert "client.changed" in sqlite_installation.events()


def test_an_id_is_made_where_none_is_given(sqlite_installation: Installation) -> None:
    first, second = (register(sqlite_installation, client_id=None) for _ in range(2))
    assert first.client_id != second.client_id and len(first.client_id) >= 24


@pytest.mark.parametrize("client_id", ["", "a b", "ä", "x" * 129, "a\n", "<b>", 7, ["c"]])
def test_an_id_that_cannot_be_kept_is_refused(
    sqlite_installation: Installation, client_id: object
) -> None:
    if client_id == "":
        assert register(sqlite_installation, client_id="").client_id
        return
    with pytest.raises(Refused, match="client_id"):
        register(sqlite_installation, client_id=client_id)


@pytest.mark.parametrize("secret", ["", "a\nb", "x" * 257, 7])
def test_a_secret_that_cannot_be_kept_is_refused(
    sqlite_installation: Installation, secret: object
) -> None:
    with pytest.raises(Refused, match="client_secret"):
        register(sqlite_installation, client_secret=secret)


def test_a_client_that_becomes_public_keeps_no_secret(sqlite_installation: Installation) -> None:
    made = register(sqlite_installation, first_party=True)
    register(sqlite_installation, token_endpoint_auth_method="none")
    old = RelyingParty(sqlite_installation, Application("new", REGISTERED, made.client_secret))
    assert old.redeem("x").get_json()["error"] == "invalid_client"
    [row] = sqlite_installation.sql("SELECT secret_hash FROM clients WHERE id = 'new'")
    assert row["secret_hash"] is None
    with pytest.raises(Refused, match="client_secret"):
        register(sqlite_installation, token_endpoint_auth_method="none", client_secret="x" * 30)


def test_what_is_refused_changes_nothing(sqlite_installation: Installation) -> None:
    before = sqlite_installation.counts()
    with pytest.raises(Refused, match="redirect_uris"):
        register(sqlite_installation, redirect_uris=["https://*.example/cb"])
    assert sqlite_installation.counts() == before


def test_a_disabled_client_is_refused_at_every_door(
    application: RelyingParty, browser: Browser
) -> None:
    installation = application.installation
    tokens = application.tokens(browser, ALICE)
    code = browser.authorize(application.request()).code
    with installation.database() as session:
        clients.disable(session, C1.client_id, actor="cli", now=NOW)
    assert browser.authorize(application.request()).status == 400
    assert application.redeem(code).get_json()["error"] == "invalid_client"
    assert application.userinfo(tokens["access_token"]).status_code == 401
    assert installation.events()[-1] == "client.disabled"


def test_a_client_that_is_not_there_cannot_be_found(sqlite_installation: Installation) -> None:
    with sqlite_installation.database() as session, pytest.raises(NotFound):
        clients.find(session, "nobody")
