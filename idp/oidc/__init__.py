"""The protocol: OpenID Connect for relying parties. Read this table first.

| path | what | module |
| --- | --- | --- |
| /.well-known/openid-configuration | provider metadata | discovery |
| /jwks | public keys | discovery |
| /authorize | authorization request, GET and POST | authorize (request, requirements) |
| /authorize/resume/<id> | its answer, after the pages | resume |
| /token | code → ID token | token (client_auth, codes, id_token) |
| /userinfo | claims for a handle | userinfo |
| /end_session | logout asked for by an application | end_session |

Owns: what of a request is believed, what is missing before it may be answered, what is issued.
Does not own: pages. Whoever has to be asked something is sent to `interaction_url`, a function
that the composition root hands in.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Flask

from idp.interaction import Interaction


def init_app(app: Flask, *, interaction_url: Callable[[Interaction], str]) -> None:
    """Adds the endpoints to an application whose services are set."""
    from idp.oidc import authorize, discovery, end_session, resume, token, userinfo

    app.extensions["sekisho_interaction_url"] = interaction_url
    blueprint = Blueprint("oidc", __name__)
    add = blueprint.add_url_rule
    add("/.well-known/openid-configuration", view_func=discovery.configuration)
    add("/jwks", view_func=discovery.jwks)
    add("/authorize", view_func=authorize.authorize, methods=["GET", "POST"])
    add("/authorize/resume/<interaction_id>", view_func=resume.resume)
    add("/token", view_func=token.token, methods=["POST", "OPTIONS"])
    add("/userinfo", view_func=userinfo.userinfo, methods=["GET", "POST", "OPTIONS"])
    add("/end_session", view_func=end_session.end_session, methods=["GET", "POST"])
    app.register_blueprint(blueprint)
