"""Setting up an authenticator app, signing in with it, and losing it, as people do."""

from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from tests.browser.world import World, let_a_minute_pass, with_second_factor
from tests.support.pages import person, sign_in
from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def set_up(page: "Page") -> tuple[str, str]:
    """From the page with the picture to the recovery code: the app's secret, and the code typed."""
    page.click("summary")
    secret = page.inner_text("#key").replace(" ", "")
    typed = pyotp.TOTP(secret).now()
    # Full width and in two groups, as people in Japan may type it.
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in typed)
    page.fill("#code", f"{wide[:3]} {wide[3:]}")
    page.click("#continue")
    page.wait_for_selector("#recovery")
    return secret, typed


@pytest.mark.parametrize(
    ("language", "javascript"),
    [
        pytest.param("ja", True, id="ja"),
        pytest.param("en", False, id="en, no script", marks=pytest.mark.slow),
    ],
)
def test_an_app_is_set_up_used_lost_and_replaced(
    chromium: "Browser", world: World, language: str, javascript: bool
) -> None:
    email = with_second_factor(world, f"app.{language}@example.com", "otp")
    options: dict[str, Any] = {"locale": language, "java_script_enabled": javascript}
    with person(chromium, **options) as page:
        page.goto(world.authorize())
        sign_in(page, email)
        page.wait_for_selector(".qr svg")
        secret, typed = set_up(page)
        recovery = page.inner_text("#recovery")
        page.click("#continue")
        page.wait_for_selector("[role=alert]")
        with page.expect_download() as download:
            page.click("#download")
        with download.value.path().open(encoding="utf-8") as file:
            assert recovery in file.read()
        page.check("#saved")
        page.click("#continue")
        page.wait_for_selector("text=Signed in")

    with person(chromium, **options) as page:
        page.goto(world.authorize())
        sign_in(page, email)
        page.wait_for_selector("#code")
        page.fill("#code", typed)
        page.click("#continue")
        page.wait_for_selector("[role=alert]")
        let_a_minute_pass(world)
        page.fill("#code", pyotp.TOTP(secret).now())
        page.check("#remember")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Signed in")
        page.goto(world.authorize(prompt="login"))
        page.fill("#password", PASSWORD)
        page.click("#continue")
        page.wait_for_selector("text=Signed in")

    with person(chromium, **options) as page:  # On a new browser, and the phone is lost.
        page.goto(world.authorize())
        sign_in(page, email)
        page.click("#lost-device")
        page.wait_for_selector("#code.long")
        page.fill("#code", recovery.lower().replace("-", " "))
        page.click("#continue")
        page.wait_for_selector("#recovery")
        assert page.inner_text("#recovery") != recovery
        page.check("#saved")
        page.click("#continue")
        page.wait_for_selector("text=Signed in")
