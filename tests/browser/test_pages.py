"""Every page, looked at in real Chromium: both languages, phone and desktop, light and dark."""

import gzip
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from tests.browser.world import ALICE, TOURS, World, sign_out, to_logout, to_password
from tests.support.pages import DESKTOP, NARROWEST, PHONE, overflow, person, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

Scheme = Literal["light", "dark"]
SIZES = {"phone": PHONE, "desktop": DESKTOP}
ALL_LOOKS: tuple[tuple[str, Scheme], ...] = (
    ("phone", "light"),
    ("phone", "dark"),
    ("desktop", "light"),
    ("desktop", "dark"),
)
PHONE_DARK = ALL_LOOKS[1]
REFUSAL = "Failed to load resource: the server responded with a status of 40"


def walk(
    chromium: "Browser",
    world: World,
    *,
    tour: str,
    language: str,
    looks: Iterable[tuple[str, Scheme]],
) -> None:
    tolerated = REFUSAL if tour in ("other pages", "what is due") else None
    with person(chromium, tolerated=tolerated, locale=language) as page:
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        for name in TOURS[tour](world, page):
            assert page.get_attribute("html", "lang") == language, name
            for size, scheme in looks:
                page.set_viewport_size(SIZES[size])
                page.emulate_media(color_scheme=scheme)
                assert violations(page) == [], (name, size, scheme)
                assert overflow(page) == 0, (name, size)
            page.set_viewport_size(NARROWEST)
            assert overflow(page) == 0, (name, "narrow")
            page.set_viewport_size(PHONE)
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert overflow(page) == 0, (name, "large text")
        # RU-07: nothing comes from third parties.
        assert {urlsplit(url).netloc for url in asked} <= world.hosts


@pytest.mark.parametrize("tour", list(TOURS))
def test_pages_are_accessible_fit_and_report_nothing_wrong(
    chromium: "Browser", world: World, tour: str
) -> None:
    """In Japanese and in one look; `make test-slow` has both languages and all looks."""
    walk(chromium, world, tour=tour, language="ja", looks=(PHONE_DARK,))


@pytest.mark.slow
@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("tour", list(TOURS))
def test_pages_are_so_in_every_size_and_colour(
    chromium: "Browser", world: World, tour: str, language: str
) -> None:
    walk(chromium, world, tour=tour, language=language, looks=ALL_LOOKS)


def focused(page: "Page") -> str:
    name: str = page.evaluate("document.activeElement.id")
    return name


def test_focus_is_in_the_first_empty_field_and_a_refusal_names_the_field(
    chromium: "Browser", world: World
) -> None:
    # WB-12: and the password is never echoed back.
    fields = {
        "identifier": "identifier",
        "identifier refused": "identifier",
        "password": "password",
        "password refused": "password",
        "consent": "",
    }
    with person(chromium) as page:
        for name in TOURS["signing in"](world, page):
            if fields[name]:  # The first drawing of a page sets it, not its arrival.
                page.wait_for_selector(f"#{fields[name]}:focus")
            assert focused(page) == fields[name], name
            assert "not the password" not in page.content()
            if name.endswith("refused"):
                field = page.locator(f"#{fields[name]}")
                assert field.input_value() == ""
                assert field.get_attribute("aria-invalid") == "true"
                described = field.get_attribute("aria-describedby")
                assert page.inner_text(f"#{described}") == page.inner_text("[role=alert]").strip()


def attributes(page: "Page", selector: str, *names: str) -> dict[str, str | None]:
    return {name: page.get_attribute(selector, name) for name in names}


def test_password_managers_find_the_pair(chromium: "Browser", world: World) -> None:
    # WB-12
    names = ("type", "name", "autocomplete", "autocapitalize", "spellcheck")
    with person(chromium) as page:
        page.goto(world.authorize())
        assert attributes(page, "#identifier", *names) == {
            "type": "text",
            "name": "identifier",
            "autocomplete": "username webauthn",
            "autocapitalize": "none",
            "spellcheck": "false",
        }
        to_password(world, page, ALICE)
        assert attributes(page, "#password", *names) == {
            "type": "password",
            "name": "password",
            "autocomplete": "current-password",
            "autocapitalize": "none",
            "spellcheck": "false",
        }
        username = page.locator("form input[autocomplete=username]")
        assert username.input_value() == page.text_content(".chip > span")
        assert page.get_attribute("#password", "onpaste") is None
        assert page.get_attribute("#password", "maxlength") is None


def test_the_identifier_page_weighs_at_most_20_kb(chromium: "Browser", world: World) -> None:
    with person(chromium) as page:
        weighed: list[Response] = []
        page.on("response", lambda answer: weighed.append(answer))  # noqa: PLW0108
        page.goto(world.authorize())
        bodies = {
            urlsplit(answer.url).path: answer.body() for answer in weighed if answer.status == 200
        }
        assert len(bodies) == 4  # The page, its style sheet, its script, its icon.
        assert sum(map(len, bodies.values())) <= 20_000
        assert len(gzip.compress(page.content().encode())) <= 6_000


def test_the_language_switch_stays_on_the_page_and_is_remembered(
    chromium: "Browser", world: World
) -> None:
    with person(chromium, locale="en") as page:
        to_password(world, page, ALICE)
        before = urlsplit(page.url).path
        page.click("text=日本語")
        assert page.get_attribute("html", "lang") == "ja"
        assert urlsplit(page.url).path == before
        page.goto(world.authorize(prompt="login"))
        assert page.get_attribute("html", "lang") == "ja"


def test_the_language_switch_of_the_sign_out_page_keeps_the_application(
    chromium: "Browser", world: World
) -> None:
    with person(chromium, locale="en") as page:
        to_logout(world, page)
        page.click("text=日本語")
        assert page.get_attribute("html", "lang") == "ja"
        assert "Expenses" in page.inner_text("main")
        sign_out(page)
        page.click("#continue")
        page.wait_for_url(world.site.url("/goodbye"))
