"""A person's browser: cookies, forms, redirects; and what a relying party gets to see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit

from werkzeug.test import TestResponse

from tests.support.installation import Installation
from tests.support.world import PASSWORD, Person

Mode = Literal["", "query", "fragment", "form_post"]


@dataclass(slots=True)
class Page(HTMLParser):
    """What a test asks about a page."""

    html: str
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    """Names and values of the inputs of the page's main form."""
    links: dict[str, str] = field(default_factory=dict)
    """Addresses by the link's id."""
    is_alert: bool = False
    refresh: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """What the browser is asked to do about a passkey."""

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("role") == "alert":
            self.is_alert = True
        if "data-options" in given:
            self.options = json.loads(given["data-options"])
        if tag == "form":
            self.action = given.get("action", "")
        elif given.get("type") == "checkbox" and "checked" not in given:
            pass  # Sent only by who ticks it.
        elif tag == "input" and "name" in given:
            self.fields[given["name"]] = given.get("value", "")
        elif tag == "a" and "id" in given:
            self.links[given["id"]] = given["href"]
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = given["content"].partition("url=")[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the browser ended: on a page of ours, or with an answer for the relying party."""

    response: TestResponse
    path: str
    """The address of the page, or of the last request of ours before the answer."""
    page: Page
    location: str = ""
    """Where the answer went, with its parameters; empty when we did not answer."""
    mode: Mode = ""
    """How the answer travelled."""
    is_hand_over: bool = False
    """It came by the page that goes on by itself, not by a redirect."""
    answer: Mapping[str, str] = field(default_factory=dict)
    """The parameters of the answer."""

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def is_page(self) -> bool:
        return not self.location

    @property
    def step(self) -> str:
        """The last segment of the page's path: `identify`, `password`, `consent`, …"""
        return urlsplit(self.path).path.rpartition("/")[2]

    @property
    def code(self) -> str:
        return self.answer["code"]

    @property
    def error(self) -> str:
        return self.answer.get("error", "")


class Browser:
    """Keeps cookies, follows our own redirects and stops at those of others."""

    def __init__(self, installation: Installation, address: str) -> None:
        self.installation = installation
        self.client = installation.app.test_client()
        self.address = address
        self.trail: list[TestResponse] = []
        """Every response so far."""

    def get(self, path: str, query: Mapping[str, str] | str = "", **options: Any) -> TestResponse:
        if query:
            path += "?" + (query if isinstance(query, str) else urlencode(query))
        return self._send("GET", path, **options)

    def post(
        self, path: str, form: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        if form is not None:
            options["data"] = form
        return self._send("POST", path, **options)

    def _send(self, method: str, path: str, **options: Any) -> TestResponse:
        base = self.installation.settings.base_url
        environ = {"REMOTE_ADDR": self.address, **options.pop("environ_overrides", {})}
        response = self.client.open(
            path, method=method, base_url=base, environ_overrides=environ, **options
        )
        self.trail.append(response)
        return response

    def follow(self, response: TestResponse) -> Outcome:
        """Follows redirects within the provider until there is a page or an answer."""
        base = self.installation.settings.base_url
        for _ in range(10):
            target = urljoin(base + response.request.path, response.location or "")
            if not response.location:
                return _arrived(response, base)
            if not target.startswith(base + "/"):
                return _answered(response, target)
            response = self.get(target.removeprefix(base))
        raise AssertionError("redirects without end")

    def authorize(self, parameters: Mapping[str, str] | str) -> Outcome:
        """Comes from a relying party with this request."""
        return self.follow(self.get("/authorize", parameters))

    def submit(self, outcome: Outcome, **fields: str) -> Outcome:
        """Sends the form of a page, its hidden fields included."""
        page = outcome.page
        return self.follow(self.post(page.action or outcome.path, page.fields | fields))

    def sign_in(self, at: Outcome, person: Person, password: str = PASSWORD) -> Outcome:
        """Fills in the identifier page and the password page."""
        if at.step == "identify":
            at = self.submit(at, identifier=person.email)
        return self.submit(at, password=password)

    def signed_in(self, person: Person, parameters: Mapping[str, str]) -> Outcome:
        """Comes with a request and signs in for it."""
        return self.sign_in(self.authorize(parameters), person)

    def cookies(self) -> dict[str, str]:
        """Names and values of all cookies."""
        return {cookie.key: cookie.value for cookie in self.client._cookies.values()}  # type: ignore[union-attr]


def _arrived(response: TestResponse, base: str) -> Outcome:
    query = response.request.environ["QUERY_STRING"]
    path = response.request.path + (f"?{query}" if query else "")
    html = response.text if response.mimetype == "text/html" else ""
    page = Page(html)
    if page.refresh and not page.refresh.startswith((base + "/", "/")):
        answered = _answered(response, page.refresh)
        return Outcome(
            response, path, page, answered.location, answered.mode, True, answered.answer
        )
    if page.action and not page.action.startswith((base + "/", "/")):
        return Outcome(response, path, page, page.action, "form_post", False, page.fields)
    return Outcome(response, path, page)


def _answered(response: TestResponse, target: str) -> Outcome:
    parts = urlsplit(target)
    mode: Mode = "fragment" if parts.fragment else "query"
    carried = parts.fragment or parts.query
    repeated = [name for name, values in parse_qs(carried).items() if len(values) > 1]
    assert not repeated, f"{repeated} more than once in {target}"
    answer = dict(parse_qsl(carried, keep_blank_values=True))
    return Outcome(response, response.request.path, Page(""), target, mode, False, answer)
