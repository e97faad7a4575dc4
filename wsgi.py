"""The composition root: builds the parts and hands them down. The only module that knows all.

`wsgi:app` is what a WSGI server loads; it depends on none of them.
"""

from __future__ import annotations

import sys

from flask import Flask

import flows
from idp import assets, edge, health, i18n, logs, oidc, services
from idp.application import Sekisho
from idp.clock import Clock
from idp.db import db, engine_options
from idp.errors import SettingsError
from idp.settings import Settings, load


def create_app(settings: Settings | None = None, *, clock: Clock | None = None) -> Flask:
    """The application. Raises SettingsError with what to do."""
    settings = settings or load()
    if not settings.base_url:
        raise SettingsError("SEKISHO_BASE_URL is missing: the address that people open")
    app = Sekisho("sekisho", static_folder=None, template_folder=str(i18n.templates_folder()))
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.main_database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings.main_database_url)
    db.init_app(app)
    with app.app_context():
        writer = db.engine
    app.extensions["sekisho"] = services.build(settings, clock=clock, writer=writer)
    edge.init_app(app)
    assets.init_app(app)
    app.register_blueprint(health.blueprint)
    oidc.init_app(app, interaction_url=flows.interaction_url)
    flows.init_app(app)
    if settings.demo:
        from idp.demo import mails

        app.register_blueprint(mails.blueprint)
    return app


def _serve() -> Flask:
    try:
        settings = load()
        logs.configure(settings.log_level)
        app = create_app(settings)
    except SettingsError as error:
        print(f"sekisho: {error}", file=sys.stderr)
        sys.exit(2)
    if settings.demo:
        # One process is enough for a first look; an installation runs `sekisho worker`, and its
        # web processes need not load what only a worker uses.
        from idp.worker import Worker

        Worker(app.extensions["sekisho"]).start()
    return app


def __getattr__(name: str) -> Flask:
    """`app`, made when a server asks for it, so that importing this module has no effects."""
    if name != "app":
        raise AttributeError(name)
    application = globals()["app"] = _serve()
    return application
