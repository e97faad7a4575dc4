"""Our own style sheet, scripts and pictures, served from memory under names that change with them.

`/static/<hash>/<name>`: cacheable for ever (RFC 8246), no file system on the way.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from idp.i18n import templates_folder

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    compressed: bytes
    content_type: str
    digest: str


def _load() -> dict[str, Asset]:
    assets = {}
    for path in sorted((templates_folder() / "static").iterdir()):
        if path.suffix in TYPES:
            body = path.read_bytes()
            assets[path.name] = Asset(
                body,
                gzip.compress(body, mtime=0),
                TYPES[path.suffix],
                hashlib.sha256(body).hexdigest()[:16],
            )
    return assets


def init_app(app: Flask) -> None:
    assets = app.extensions["sekisho_assets"] = _load()
    app.jinja_env.globals["asset"] = lambda name: f"/static/{assets[name].digest}/{name}"

    @app.get("/favicon.ico")
    def _icon() -> Response:
        return _answer(assets["icon.svg"], "public, max-age=86400")

    @app.get("/static/<digest>/<name>")
    def _asset(digest: str, name: str) -> Response:
        asset = assets.get(name)
        if asset is None or asset.digest != digest:
            raise NotFound
        return _answer(asset, "public, max-age=31536000, immutable")


def _answer(asset: Asset, cache_control: str) -> Response:
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(
        asset.compressed if zipped else asset.body,
        content_type=asset.content_type,
        headers=[("Cache-Control", cache_control), ("Vary", "Accept-Encoding")],
    )
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    # A picture is a document too when somebody opens it alone.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; sandbox"
    return response
