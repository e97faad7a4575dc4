"""The demo's relying application: a separate process that signs people in through Authlib's
Flask client, as anybody's application would. Shows the ID token that it got.

Started by `sekisho demo`, which closes its standard input to end it.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
from urllib.parse import urlencode

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, render_template_string, session, url_for
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

STYLE = """
:root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
a.button { display: inline-block; padding: .7rem 1.4rem; border-radius: .5rem;
  background: #1d5a8a; color: #fff; text-decoration: none; font-weight: 600 }
pre { padding: 1rem; overflow: auto; border: 1px solid #8886; border-radius: .5rem }
.quiet { opacity: .75 }
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo application</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<h1>Demo application</h1>
{% if error %}<p role="alert">The sign-in did not succeed: <code>{{ error }}</code></p>{% endif %}
{% if claims %}
<p>Hello, <b id="name">{{ claims.name or claims.sub }}</b>. This is the ID token that Sekisho sent;
its signature was verified.</p>
<pre id="id-token">{{ pretty }}</pre>
<p><a class="button" id="sign-out" href="/logout">Sign out</a></p>
{% else %}
<p>An application that knows no passwords. It leaves signing in to Sekisho.</p>
<p><a class="button" id="sign-in" href="/login">Sign in with Sekisho</a></p>
{% endif %}
<p class="quiet">Mails that Sekisho would have sent: <a href="{{ mails }}">{{ mails }}</a></p>
</html>"""


def create_app(issuer: str, client_id: str, client_secret: str) -> Flask:
    app = Flask("demo")
    app.secret_key = secrets.token_bytes(32)
    app.config["SESSION_COOKIE_NAME"] = "demo-application"
    oauth = OAuth(app)
    oauth.register(
        "sekisho",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email org",
            "code_challenge_method": "S256",
            "default_timeout": 10,
        },
    )

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, content_type="text/css")

    @app.get("/")
    def home() -> str:
        claims = session.get("claims")
        return render_template_string(
            PAGE,
            claims=claims,
            pretty=json.dumps(claims, indent=2, ensure_ascii=False),
            mails=f"{issuer}/demo/mails",
            error=session.pop("error", None),
        )

    @app.get("/login")
    def login() -> Response:
        answer: Response = oauth.sekisho.authorize_redirect(url_for("callback", _external=True))
        return answer

    @app.get("/callback")
    def callback() -> Response:
        try:
            token = oauth.sekisho.authorize_access_token()
        except OAuthError as error:
            session["error"] = error.error
            return redirect("/")
        session["claims"] = dict(token["userinfo"])
        session["id_token"] = token["id_token"]
        return redirect("/")

    @app.get("/logout")
    def logout() -> Response:
        hint = session.get("id_token")
        session.clear()
        metadata = oauth.sekisho.load_server_metadata()
        query = {
            "post_logout_redirect_uri": url_for("home", _external=True),
            "client_id": client_id,
        }
        if hint:
            query["id_token_hint"] = hint
        return redirect(f"{metadata['end_session_endpoint']}?{urlencode(query)}")

    return app


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """The demo's terminal is for what the newcomer needs."""


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = create_app(
        os.environ["DEMO_ISSUER"], os.environ["DEMO_CLIENT_ID"], os.environ["DEMO_CLIENT_SECRET"]
    )
    server = make_server(
        "127.0.0.1", int(os.environ["DEMO_PORT"]), app, threaded=True, request_handler=_Quiet
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # Until whoever started this one is gone.


if __name__ == "__main__":
    main()
