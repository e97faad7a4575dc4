"""Somebody who signs in at a running server: follows redirects and fills in forms, as a script of
an administrator would, by the stable names of the pages. Keeps cookies like a browser.
"""

from dataclasses import dataclass
from urllib.parse import urljoin

import requests

from tests.support.browser import Page
from tests.support.running import PASSWORD


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the browser was sent, away from the provider."""

    url: str
    form: dict[str, str] | None = None
    """What it posts there; None: it just goes there."""


class Person:
    def __init__(self, base_url: str, identifier: str, password: str = PASSWORD) -> None:
        self.base_url = base_url
        self.answers = {"identifier": identifier, "password": password}
        self.http = requests.Session()
        self.pages: list[str] = []
        """The last path segment of every page that a form was sent from."""

    def follow(self, url: str) -> Arrival:
        """Goes where it is sent and answers what it is asked, until it leaves the provider."""
        answer = self._ask("GET", url, {})
        while True:
            onward = self._onward(answer)
            if isinstance(onward, Arrival):
                return onward
            answer = self._ask(*onward)

    def close(self) -> None:
        self.http.close()

    def _onward(self, answer: requests.Response) -> Arrival | tuple[str, str, dict[str, str]]:
        page = Page(answer.text)
        to = answer.headers.get("Location") or page.refresh
        if to:
            to = urljoin(answer.url, to)
            return ("GET", to, {}) if self._is_ours(to) else Arrival(to)
        action = urljoin(answer.url, page.action)
        if not self._is_ours(action):
            return Arrival(action, page.fields)
        assert page.action, f"{answer.status_code} at {answer.url}: a page without a way on"
        assert not page.is_alert, answer.text
        self.pages.append(answer.url.rpartition("/")[2])
        fields = {name: self.answers.get(name, value) for name, value in page.fields.items()}
        return "POST", action, fields | {"decision": "allow"}

    def _ask(self, method: str, url: str, fields: dict[str, str]) -> requests.Response:
        return self.http.request(
            method, url, data=fields or None, allow_redirects=False, timeout=30
        )

    def _is_ours(self, url: str) -> bool:
        return url.startswith(self.base_url + "/")
