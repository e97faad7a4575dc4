"""Text messages in real Chromium: setting up a phone where policy demands one, then using it."""

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.browser.world import World, read_text_message, with_second_factor
from tests.support.pages import PHONE, person, sign_in
from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {
    "ja": ("携帯電話番号", "日本 (+81)", "にSMSで送信しました", "新しいコードを送信"),
    "en": ("Mobile phone number", "Japan (+81)", "by text message to the number", "new code"),
}


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_a_phone_is_set_up_and_used_on_a_phone_by_keyboard(
    chromium: "Browser", world: World, language: str
) -> None:
    number = f"090{secrets.randbelow(10**8):08d}"
    label, country, sent, again = WORDS[language]
    email = with_second_factor(world, f"{secrets.token_hex(4)}@example.com", "sms")
    with person(chromium, locale=language, viewport=PHONE) as page:
        page.goto(world.authorize())
        sign_in(page, email)
        page.wait_for_selector("#phone")
        assert page.evaluate("document.activeElement.id") == "phone"
        page.select_option("#country", label=country)
        page.get_by_label(label).fill(number)
        page.keyboard.press("Enter")
        page.wait_for_selector("#code")
        assert sent in page.inner_text("main")
        assert f"•••{number[-4:]}" in page.inner_text("main")
        assert page.locator("#resend").is_disabled()
        assert again in page.inner_text("#resend")
        page.keyboard.type(read_text_message(world, page).lower())
        page.keyboard.press("Enter")
        page.wait_for_selector("#saved")
        page.check("#saved")
        page.click("#continue")
        page.wait_for_selector("text=Signed in")

        page.context.clear_cookies()
        page.goto(world.authorize())
        sign_in(page, email)
        page.wait_for_selector("#code")
        page.fill("#code", read_text_message(world, page))
        page.check("#remember")
        page.click("#continue")
        page.wait_for_selector("text=Signed in")
        page.goto(world.authorize(prompt="login"))
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Signed in")
