"""Journeys of people in a browser: which page comes next, and the pages.

Owns: sign-in, sign-out, lifting a lock, and the decision about the next page (`next_step`, pure).
Does not own: what is missing for a relying application (`idp.oidc.requirements`), what is issued,
what is stored. Pages never route to each other: each ends with `forward`.
"""

from __future__ import annotations

from flask import Flask

from flows import account, home, login, logout, unlock
from idp.interaction import Interaction


def init_app(app: Flask) -> None:
    app.register_blueprint(account.blueprint)
    app.register_blueprint(home.blueprint)
    app.register_blueprint(login.blueprint)
    app.register_blueprint(logout.blueprint)
    app.register_blueprint(unlock.blueprint)


def interaction_url(interaction: Interaction) -> str:
    """Where the person of an interaction goes on."""
    return f"/login/{interaction.id}"
