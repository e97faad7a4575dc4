"""An application that lives in a browser alone: oidc-client-ts in real Chromium, from another port.

A public client with PKCE that calls the token and UserInfo endpoints from its own page (CORS), and
renews in a hidden frame without a page of ours being shown.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from tests.browser.world import ALICE, World
from tests.support.pages import allow, person, sign_in
from tests.support.running import Installation
from tests.support.site import Reply, Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FILES = Path(__file__).parent.parent / "real" / "node"
LIBRARY = "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"


@pytest.fixture
def provider(world: World) -> Installation:
    return world.installation


@pytest.fixture
def application(node: Path) -> Iterator[Site]:
    """The application's pages. They and the provider are different ports of one site, so that a
    frame gets the provider's cookies."""
    index = Reply((FILES / "page" / "index.html").read_bytes())
    script = {"Content-Type": "text/javascript"}
    with site() as served:
        served.answers = {
            "/": index,
            "/callback": index,
            "/signed-out": index,
            "/silent": Reply((FILES / "page" / "silent.html").read_bytes()),
            "/silent.js": Reply((FILES / "page" / "silent.js").read_bytes(), headers=script),
            "/application.js": Reply(
                (FILES / "page" / "application.js").read_bytes(), headers=script
            ),
            "/oidc-client-ts.js": Reply((FILES / LIBRARY).read_bytes(), headers=script),
            "/favicon.ico": Reply(status=204),
        }
        yield served


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    with person(chromium) as alone:
        yield alone


def open_application(page: "Page", application: Site, provider: Installation, alg: str) -> None:
    client = provider.add_client(
        f"Browser application {alg}",
        [application.url("/callback"), application.url("/silent")],
        post_logout_redirect_uris=[application.url("/signed-out")],
        token_endpoint_auth_method="none",
        id_token_signed_response_alg=alg,
    )
    configuration = urlencode({"issuer": provider.base_url, "client_id": client.client_id})
    page.goto(application.url(f"/#{configuration}"))
    result(page, "ready")


def result(page: "Page", state: str) -> Any:
    """What the application shows once it got there."""
    page.wait_for_selector(
        f'#result:not([data-state="loading"]):is([data-state="{state}"],[data-state="failed"])'
    )
    text = page.text_content("#result") or ""
    assert page.get_attribute("#result", "data-state") == state, text
    return json.loads(text)


def test_an_application_in_the_browser_signs_somebody_in_and_out(
    page: "Page", application: Site, provider: Installation
) -> None:
    open_application(page, application, provider, "RS256")
    page.click("#sign-in")
    sign_in(page, ALICE)
    allow(page)

    user = result(page, "signed-in")
    assert user["claims"]["email"] == ALICE  # From the UserInfo endpoint, by CORS.
    header = user["id_token"].partition(".")[0]
    assert page.evaluate("part => JSON.parse(atob(part))", header)["alg"] == "RS256"

    page.click("#sign-out")
    assert result(page, "signed-out") == {"state": "after", "user": None}
    page.click("#look")
    page.wait_for_selector('#result[data-state="failed"]')
    assert json.loads(page.text_content("#result") or "")["error"] == "login_required"


def test_an_application_in_the_browser_renews_its_id_token_in_a_hidden_frame(
    page: "Page", application: Site, provider: Installation
) -> None:
    open_application(page, application, provider, "ES256")
    page.click("#sign-in")
    sign_in(page, ALICE)
    allow(page)
    first = result(page, "signed-in")

    page.click("#renew")
    second = result(page, "renewed")
    assert second["claims"]["sub"] == first["claims"]["sub"]
    assert second["claims"]["sid"] == first["claims"]["sid"]
    assert second["id_token"] != first["id_token"]
