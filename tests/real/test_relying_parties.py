"""Libraries that we did not write sign people in at a running server, and verify what they get.

Authlib's client in Flask and openid-client in Node; a browser's oidc-client-ts is
tests/browser/test_browser_application.py's.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from authlib.integrations.flask_client import OAuth
from flask import Flask, jsonify, session
from werkzeug.wrappers import Response

from tests.support.person import Arrival, Person
from tests.support.running import Installation, RegisteredClient, running
from tests.support.servers import RedisServer
from tests.support.shared_postgres import SharedPostgres

ALICE = "alice@example.com"
HOST = "127.0.0.1"  # Node.js 18 does not try the second address of `localhost`.
CALLBACK = "http://localhost:9/callback"
SIGNED_OUT = "http://localhost:9/signed-out"
SCRIPT = Path(__file__).parent / "node" / "openid_client.mjs"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")


@pytest.fixture(scope="module")
def embedded() -> Iterator[Installation]:
    """A server on SQLite alone."""
    with running(host=HOST) as installation:
        installation.add_users(ALICE)
        yield installation


@pytest.fixture(scope="module")
def production(
    shared_postgres_server: SharedPostgres, shared_redis_server: RedisServer
) -> Iterator[Installation]:
    """A server on PostgreSQL and Redis."""
    database = shared_postgres_server.create_database()
    url = shared_postgres_server.url(database)
    redis_url = shared_redis_server.url
    with running(host=HOST, database_url=url, redis_url=redis_url) as installation:
        installation.add_users(ALICE)
        yield installation
    shared_postgres_server.drop_database(database)


def registered(
    installation: Installation, alg: str, auth_method: str, **more: Any
) -> RegisteredClient:
    return installation.add_client(
        f"{alg} {auth_method}",
        [CALLBACK],
        post_logout_redirect_uris=[SIGNED_OUT],
        id_token_signed_response_alg=alg,
        token_endpoint_auth_method=auth_method,
        **more,
    )


def person(installation: Installation) -> Iterator[Person]:
    alice = Person(installation.base_url, ALICE)
    yield alice
    alice.close()


@pytest.fixture
def alice(embedded: Installation) -> Iterator[Person]:
    yield from person(embedded)


# Authlib -----------------------------------------------------------------------------------------


def authlib_application(issuer: str, client: RegisteredClient, auth_method: str) -> Flask:
    """A Flask application as Authlib's documentation shows it."""
    app = Flask("application")
    app.secret_key = "a key of the application"
    oauth = OAuth(app)
    oauth.register(
        "provider",
        client_id=client.client_id,
        client_secret=client.client_secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": auth_method,
        },
    )

    @app.get("/login")
    def login() -> Response:
        answer: Response = oauth.provider.authorize_redirect(CALLBACK)
        return answer

    @app.get("/callback")
    def callback() -> Response:
        token = oauth.provider.authorize_access_token()
        session["id_token"] = token["id_token"]
        asked = oauth.provider.userinfo(token=token)
        return jsonify(claims=token["userinfo"], userinfo=asked)

    @app.get("/logout")
    def logout() -> Response:
        return jsonify(oauth.provider.create_logout_url(SIGNED_OUT, session.pop("id_token")))

    return app


def sign_in_through_authlib(
    installation: Installation, alice: Person, *, alg: str, auth_method: str
) -> None:
    client = registered(installation, alg, auth_method)
    app = authlib_application(installation.base_url, client, auth_method)
    with app.test_client() as application:
        arrival = alice.follow(application.get("/login").location)
        assert arrival.url.startswith(CALLBACK + "?")

        answer = application.get("/callback?" + urlsplit(arrival.url).query)
        assert answer.status_code == 200
        assert answer.json is not None
        claims, userinfo = answer.json["claims"], answer.json["userinfo"]
        assert claims["iss"] == installation.base_url
        assert claims["aud"] in (client.client_id, [client.client_id])
        assert claims["amr"] == ["pwd"]
        assert userinfo["sub"] == claims["sub"]
        assert userinfo["email"] == ALICE

        goodbye = application.get("/logout").get_json()
    left = alice.follow(goodbye["url"])
    assert left == Arrival(f"{SIGNED_OUT}?state={goodbye['state']}")


# The library warns about the name; it is what relying parties know, see RFC 9864.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(("alg", "auth_method"), list(zip(ALGORITHMS, AUTH_METHODS, strict=True)))
def test_an_authlib_application_signs_somebody_in_and_out(
    embedded: Installation, alice: Person, alg: str, auth_method: str
) -> None:
    sign_in_through_authlib(embedded, alice, alg=alg, auth_method=auth_method)
    assert alice.pages == ["identify", "password", "consent"]


@pytest.mark.slow
def test_an_authlib_application_signs_somebody_in_on_postgresql_and_redis(
    production: Installation,
) -> None:
    for alice in person(production):
        sign_in_through_authlib(production, alice, alg="RS256", auth_method="client_secret_basic")


# openid-client -----------------------------------------------------------------------------------


class OpenidClient:
    """The script openid_client.mjs, at work for one sign-in."""

    def __init__(
        self,
        node: Path,
        installation: Installation,
        client: RegisteredClient,
        *,
        alg: str,
        auth_method: str,
        response_mode: str = "",
    ) -> None:
        told = {
            "issuer": installation.base_url,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "alg": alg,
            "auth_method": auth_method,
            "response_mode": response_mode,
            "redirect_uri": CALLBACK,
            "post_logout_redirect_uri": SIGNED_OUT,
        }
        self._process = subprocess.Popen(
            [node, SCRIPT, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.authorization_url: str = self._listen()["authorization_url"]

    def finish(self, arrival: Arrival) -> Any:
        """What the library says to what came back."""
        assert self._process.stdin is not None
        came = {"url": arrival.url} | ({"form": arrival.form} if arrival.form else {})
        self._process.stdin.write(json.dumps(came) + "\n")
        self._process.stdin.flush()
        heard = self._listen()
        self._process.communicate(timeout=30)
        return heard

    def _listen(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def sign_in_through_openid_client(
    node: Path,
    installation: Installation,
    alice: Person,
    *,
    alg: str = "RS256",
    auth_method: str = "client_secret_basic",
    response_mode: str = "",
) -> Arrival:
    client = registered(installation, alg, auth_method)
    library = OpenidClient(
        node,
        installation,
        client,
        alg=alg,
        auth_method=auth_method,
        response_mode=response_mode,
    )
    arrival = alice.follow(library.authorization_url)
    heard = library.finish(arrival)

    assert "error" not in heard, heard
    assert heard["header"]["alg"] == alg
    assert heard["claims"]["aud"] in (client.client_id, [client.client_id])
    assert heard["userinfo"]["email"] == ALICE
    assert alice.follow(heard["end_session_url"]) == Arrival(f"{SIGNED_OUT}?state=after")
    return arrival


@pytest.mark.parametrize(("alg", "auth_method"), list(zip(ALGORITHMS, AUTH_METHODS, strict=True)))
def test_openid_client_signs_somebody_in_and_out(
    node: Path, embedded: Installation, alice: Person, alg: str, auth_method: str
) -> None:
    sign_in_through_openid_client(node, embedded, alice, alg=alg, auth_method=auth_method)


def test_openid_client_gets_the_answer_as_a_form_when_it_asks_for_form_post(
    node: Path, embedded: Installation, alice: Person
) -> None:
    arrival = sign_in_through_openid_client(node, embedded, alice, response_mode="form_post")
    assert arrival.url == CALLBACK
    assert arrival.form is not None
    assert set(arrival.form) == {"code", "state", "iss"}


@pytest.mark.slow
def test_openid_client_signs_somebody_in_on_postgresql_and_redis(
    node: Path, production: Installation
) -> None:
    for alice in person(production):
        sign_in_through_openid_client(node, production, alice)


@pytest.mark.parametrize("tampered", ["state", "iss"])
def test_openid_client_refuses_an_answer_whose_parameter_was_changed(
    node: Path, embedded: Installation, alice: Person, tampered: str
) -> None:
    """What the library checks is there to be checked: state and issuer (RFC 9207)."""
    client = registered(embedded, "RS256", "none", first_party=True)
    library = OpenidClient(node, embedded, client, alg="RS256", auth_method="none")
    arrival = alice.follow(library.authorization_url)
    address, _, query = arrival.url.partition("?")
    changed = dict(parse_qsl(query)) | {tampered: "https://changed.example"}
    heard = library.finish(Arrival(f"{address}?{'&'.join(f'{n}={v}' for n, v in changed.items())}"))
    assert heard["error"]
    assert "claims" not in heard
