"""Coming again, and looking after one's own account, as people do."""

import secrets
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from tests.browser.world import (
    ALICE,
    CAROL,
    World,
    let_a_minute_pass,
    set_up_app,
    sign_out_everywhere,
    to_accounts,
)
from tests.support.pages import DESKTOP, person, sign_in
from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.parametrize(
    ("language", "javascript"),
    [
        pytest.param("ja", True, id="ja"),
        pytest.param("en", False, id="en, no script", marks=pytest.mark.slow),
    ],
)
def test_who_comes_again_takes_an_account_or_another_or_removes_one(
    chromium: "Browser", world: World, language: str, javascript: bool
) -> None:
    with person(chromium, locale=language, java_script_enabled=javascript) as page:
        to_accounts(world, page)
        sign_out_everywhere(world, page)
        page.goto(world.authorize())
        entries = page.locator(".accounts li")
        assert entries.count() == 2
        # The one last used has the focus: Enter, password, done.
        assert page.evaluate("document.activeElement.name") == "account"
        entries.filter(has_text=ALICE).locator("[name=account]").click()
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Signed in")
        sign_out_everywhere(world, page)
        page.goto(world.authorize())
        entries.filter(has_text=ALICE).locator("[name=remove]").click()
        page.wait_for_function("document.querySelectorAll('.accounts li').length === 1")
        assert ALICE not in page.content()
        # An Enter in the field is for what was typed there.
        page.fill("#identifier", CAROL)
        page.keyboard.press("Enter")
        page.wait_for_selector("#password")
        assert page.text_content(".chip > span") == CAROL


@pytest.mark.parametrize(
    ("language", "javascript"),
    [
        pytest.param("ja", True, id="ja"),
        pytest.param("en", False, id="en, no script", marks=pytest.mark.slow),
    ],
)
def test_somebody_sets_up_an_app_names_it_and_removes_it(
    chromium: "Browser", world: World, language: str, javascript: bool
) -> None:
    email = f"{secrets.token_hex(4)}@example.com"
    world.installation.add_users(email)
    options: dict[str, Any] = {
        "locale": language,
        "java_script_enabled": javascript,
        "viewport": DESKTOP,
    }
    with person(chromium, **options) as page:
        page.goto(world.base_url + "/account/security")
        sign_in(page, email)
        page.click("button[value=otp]")
        secret = set_up_app(page)
        page.click(".rows a")
        page.fill("#name", "会社の iPhone")
        page.click("#continue")
        page.wait_for_selector("[role=status]")
        assert "会社の iPhone" in page.inner_text("main")
        # From now on it is asked for, until the browser is remembered.
        page.click("#sign-out")
        page.click("#continue")
        page.goto(world.authorize())
        page.click("[name=account]")
        page.fill("#password", PASSWORD)
        page.click("#continue")
        page.wait_for_selector("#code")
        let_a_minute_pass(world)
        page.fill("#code", pyotp.TOTP(secret).now())
        page.check("#remember")
        page.click("#continue")
        page.wait_for_selector("text=Signed in")
        page.goto(world.base_url)
        page.click("#continue")
        page.click("[name=forget] >> nth=0")
        page.wait_for_selector("[role=status]")
        assert not page.locator("[name=forget]").count()
        page.click(".rows a")
        page.click("#remove")
        page.wait_for_selector("[role=status]")
        assert not page.locator(".rows").count()
