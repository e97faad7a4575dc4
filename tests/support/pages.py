"""Our pages in a real browser: signing in as a person does, and what must hold on every page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from axe_playwright_python.sync_playwright import Axe

from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

PHONE: "ViewportSize" = {"width": 360, "height": 740}
DESKTOP: "ViewportSize" = {"width": 1280, "height": 800}
NARROWEST: "ViewportSize" = {"width": 320, "height": 640}
AXE_OPTIONS = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # axe goes on to describe what it found right only when it is asked to.
    "resultTypes": ["violations"],
}


@contextmanager
def person(browser: "Browser", *, tolerated: str | None = None, **options: Any) -> Iterator["Page"]:
    """Somebody with a browser of their own, in which nothing may go wrong unseen: errors on the
    console, scripts that fail and violations of a page's policy end the test at the end, but for
    those that begin with `tolerated`."""
    context = browser.new_context(**options)
    page = context.new_page()
    wrong: list[str] = []
    context.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    context.on("weberror", lambda failed: wrong.append(str(failed.error)))
    try:
        yield page
        unexpected = [text for text in wrong if not tolerated or not text.startswith(tolerated)]
        assert not unexpected, unexpected
    finally:
        context.close()


def identify(page: "Page", identifier: str) -> None:
    page.fill("#identifier", identifier)
    page.click("#continue")
    page.wait_for_selector("#password")


def sign_in(page: "Page", identifier: str, password: str = PASSWORD) -> None:
    """From the identifier page on; a consent page is left to the test."""
    identify(page, identifier)
    page.fill("#password", password)
    page.click("#continue")


def allow(page: "Page") -> None:
    page.wait_for_selector("#deny")
    page.click("#continue")


def violations(page: "Page") -> list[str]:
    """What axe-core has against the page, one line each."""
    found = cast(list[dict[str, Any]], Axe().run(page, options=AXE_OPTIONS).response["violations"])
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:200] for node in rule['nodes']]}"
        for rule in found
    ]


def overflow(page: "Page") -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider
