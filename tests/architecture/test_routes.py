"""Every route is in the tables below, so that a new one cannot be forgotten by these tests."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from flows.login import BY_NAME
from tests.support.kit import ALICE, C1, C3, Installation, RelyingParty


@dataclass(frozen=True)
class Route:
    """What a route answers. `csrf`: its form needs a token of ours."""

    methods: str
    csrf: bool = False


ROUTES = {
    "/": Route("GET"),
    "/account/security": Route("GET"),
    "/account/security/browsers": Route("POST", csrf=True),
    "/account/security/factors": Route("POST", csrf=True),
    "/account/security/factors/<kind>/<factor_id>": Route("GET POST", csrf=True),
    "/.well-known/openid-configuration": Route("GET"),
    "/authorize": Route("GET POST"),
    "/authorize/resume/<interaction_id>": Route("GET"),
    "/demo/mails": Route("GET"),
    "/demo/mails/<row_id>": Route("GET"),
    "/end_session": Route("GET POST"),
    "/favicon.ico": Route("GET"),
    "/healthz": Route("GET"),
    "/jwks": Route("GET"),
    "/login/<interaction_id>": Route("GET"),
    "/login/<interaction_id>/<name>": Route("GET POST", csrf=True),
    "/logout": Route("GET POST", csrf=True),
    "/readyz": Route("GET"),
    "/static/<digest>/<name>": Route("GET"),
    "/token": Route("POST"),
    "/unlock": Route("GET POST", csrf=True),
    "/unlock/<secret>": Route("GET"),
    "/userinfo": Route("GET POST"),
}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
SAFE = ("GET", "HEAD", "OPTIONS")
# Why a POST without a token of ours is harmless: OpenID Connect has others send it.
EXEMPT = {"/authorize", "/end_session", "/token", "/userinfo"}
PAGES = tuple(BY_NAME)


@pytest.fixture
def demo(install: Any) -> Installation:
    """An installation with every route, those of the demo included."""
    made: Installation = install(base_url="http://localhost:8420", demo=True)
    return made


def paths(route: str, interaction: str = "x") -> list[str]:
    """Addresses of a route; of the pages all of them."""
    path = route.replace("<interaction_id>", interaction)
    path = path.replace("<kind>", "otp")
    if path.endswith("<name>") and "login" in path:
        return [path.replace("<name>", page) for page in PAGES]
    return [re.sub(r"<\w+>", "x", path)]


def test_every_route_is_in_the_table(demo: Installation) -> None:
    found: dict[str, set[str]] = {}
    for rule in demo.app.url_map.iter_rules():
        found.setdefault(rule.rule, set()).update(rule.methods or ())
    assert sorted(found) == sorted(ROUTES)
    for path, methods in found.items():
        assert methods - {"HEAD", "OPTIONS"} == set(ROUTES[path].methods.split()), path


def test_the_demos_routes_exist_in_the_demo_alone(sqlite_installation: Installation) -> None:
    rules = {rule.rule for rule in sqlite_installation.app.url_map.iter_rules()}
    assert set(ROUTES) - rules == {"/demo/mails", "/demo/mails/<row_id>"}


def test_every_form_of_ours_needs_a_token(demo: Installation) -> None:
    posted = {path for path, route in ROUTES.items() if "POST" in route.methods}
    assert {path for path in posted if not ROUTES[path].csrf} == EXEMPT


# WB-01
@pytest.mark.parametrize("route", [path for path, route in ROUTES.items() if route.csrf])
def test_a_form_without_a_token_is_refused_and_changes_nothing(
    demo: Installation, route: str
) -> None:
    browser = demo.browser()
    page = browser.signed_in(ALICE, RelyingParty(demo, C3).request())
    interaction = page.path.split("/")[2]
    before = demo.counts(), demo.state_entries()
    everything = {
        "decision": "allow",
        "password": "x",
        "identifier": "x",
        "account": "other",
        "remove": "x",
        "forget": "all",
        "method": "otp",
        "do": "remove",
    }
    for path in paths(route, interaction):
        for form in (everything, everything | {"csrf": "0" * 64}):
            assert browser.post(path, form).status_code == 403, path
    assert (demo.counts(), demo.state_entries()) == before


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", METHODS)
def test_other_methods_are_refused_and_never_an_error(
    demo: Installation, route: str, method: str
) -> None:
    allowed = {*ROUTES[route].methods.split(), "OPTIONS"}
    if "GET" in allowed:
        allowed.add("HEAD")
    for path in paths(route):
        answer = demo.browser()._send(method, path)
        assert answer.status_code < 500, path
        assert (answer.status_code == 405) == (method not in allowed), path
        if answer.status_code == 405:
            assert set(answer.headers["Allow"].replace(",", "").split()) == allowed
        if method == "HEAD":
            assert answer.data == b""


# WB-03
@pytest.mark.parametrize("is_signed_in", [False, True])
def test_safe_methods_change_nothing(demo: Installation, is_signed_in: bool) -> None:
    browser = demo.browser()
    application = RelyingParty(demo, C1)
    if is_signed_in:
        application.code(browser, ALICE)
    page = browser.authorize(RelyingParty(demo, C3).request())
    interaction = page.path.split("/")[2]
    tables = [name for name in demo.counts() if name != "state"]

    def everything() -> dict[str, list[dict[str, Any]]]:
        # Names of tables, not input.
        return {name: demo.sql(f"SELECT * FROM {name}") for name in tables}  # noqa: S608

    before, state = everything(), demo.state_entries()
    queries = ("", "?lang=ja", "?done=1", "?csrf=x&decision=allow&password=x&account=other")
    for route in ROUTES:
        for path in paths(route, interaction):
            for method in SAFE:
                for query in queries:
                    answer = browser._send(method, path + query)
                    assert answer.status_code < 500, (method, path, query)
    assert everything() == before
    # Asking for the account begins a visit to the pages, as /authorize does; nothing else changes.
    begun = [entry for entry in demo.state_entries() if entry not in state]
    assert sorted(demo.state_entries()) == sorted(state + begun)
    assert all(b'"client_id":"(account)"' in entry for entry in begun)


# WB-03
def test_a_request_that_needs_no_page_writes_nothing_but_its_code(demo: Installation) -> None:
    browser = demo.browser()
    application = RelyingParty(demo, C1)
    application.code(browser, ALICE)
    before = demo.counts()
    assert browser.authorize(application.request()).code
    after = demo.counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "state": 1
    }
