"""Every answer to a relying party through the browser, written by one function.

So that `state` and `iss` (RFC 9207) are never missing, and errors follow the response mode like
successes. Source: OAuth 2.0 Multiple Response Types; Form Post Response Mode; RFC 9700, 4.12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authlib.oauth2 import OAuth2Error
from flask import Response

from idp import web
from idp.application import Exact
from idp.oidc import parameters
from idp.oidc.request import Destination, Untrusted


@dataclass(frozen=True, slots=True)
class HandOverPage:
    url: str
    application: str | None


@dataclass(frozen=True, slots=True)
class FormPostPage:
    action: str
    fields: Mapping[str, str]


def answer(
    to: Destination, members: Mapping[str, str], *, after_post: bool, application: str | None = None
) -> Response:
    """The authorization response.

    `after_post`: the browser comes from a form of ours. Then it gets a page of ours that goes on
    by itself: browsers hold the whole chain of redirects against the form's `form-action`.
    """
    fields = dict(members)
    if to.state is not None:
        fields["state"] = to.state
    fields["iss"] = web.services().settings.issuer
    if to.response_mode == "form_post":
        return web.render("form_post.html", FormPostPage(to.redirect_uri, fields), form_action="")
    url = _with(to.redirect_uri, fields, "#" if to.response_mode == "fragment" else "?")
    if after_post:
        page = web.render("hand_over.html", HandOverPage(url, application), form_action="'none'")
        page.headers["Referrer-Policy"] = "no-referrer"
        return page
    return redirect(url)


def redirect(url: str) -> Response:
    """303: never 307 or 308, which would repeat a form with a password in it (RFC 9700, 4.12)."""
    headers = [("Location", url), ("Cache-Control", "no-store"), ("Content-Length", "0")]
    return Exact(b"", 303, headers)


def error(
    to: Destination, failure: OAuth2Error | str, *, after_post: bool, application: str | None = None
) -> Response:
    """An error answer. `failure`: Authlib's error, or a code alone."""
    if isinstance(failure, str):
        return answer(to, {"error": failure}, after_post=after_post, application=application)
    members = {"error": failure.error}
    if failure.description:
        members["error_description"] = failure.description
    return answer(to, members, after_post=after_post, application=application)


def untrusted(failure: Untrusted) -> Response:
    """The page for what may not be answered to anybody else. Its code says why, for engineers."""
    return web.error_page(
        400,
        f"{failure.code}: {failure}",
        web.gettext("The application sent a request that cannot be answered."),
        advice=web.gettext("Contact the operator of the application."),
    )


def _with(uri: str, fields: dict[str, str], separator: str) -> str:
    if separator == "?" and "?" in uri:
        separator = "" if uri.endswith(("?", "&")) else "&"
    return uri + separator + parameters.write(fields)


def post_logout(uri: str, state: str | None) -> str:
    """A post-logout URI with `state`, only if one was sent (RP-Initiated Logout, 3)."""
    return uri if state is None else _with(uri, {"state": state}, "?")
