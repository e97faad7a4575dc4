"""Signing in with a mailed code in real Chromium, from the application to the ID token."""

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.browser.world import DANA, VERIFIER, World, mailed_code, to_code
from tests.support.pages import person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORDS = {
    "ja": (
        "確認コードを d•••@example.com に送信しました。受信トレイをご確認ください。",
        "新しいコードを送信します（あと 30 秒）",
        "新しいコードを送信します",
    ),
    "en": (
        "We sent a code to d•••@example.com. Check your inbox.",
        "Send a new code (in 30 s)",
        "Send a new code",
    ),
}


def claims(world: World) -> Any:
    """The claims of the ID token that the application gets for what came to it."""
    [arrived] = world.site.at("/callback")
    answer = requests.post(
        world.base_url + "/token",
        data={
            "grant_type": "authorization_code",
            "code": arrived.query["code"],
            "redirect_uri": world.site.url("/callback"),
            "code_verifier": VERIFIER,
        },
        auth=(world.ours.client_id, world.ours.client_secret or ""),
        timeout=30,
    )
    payload = answer.json()["id_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_somebody_signs_in_with_the_code_from_a_mail(
    chromium: "Browser", world: World, language: str
) -> None:
    told, wait, ready = WORDS[language]
    with person(chromium, locale=language) as page:
        page.clock.install()
        to_code(world, page)
        assert page.locator("p", has_text=told).count() == 1
        assert page.evaluate("document.activeElement.id") == "code"
        assert page.text_content("#resend") == wait
        assert page.is_disabled("#resend")
        page.clock.fast_forward(12_000)
        assert page.text_content("#resend") == wait.replace("30", "18")
        page.clock.fast_forward(18_500)
        assert page.text_content("#resend") == ready
        assert page.is_enabled("#resend")
        page.fill(
            "#code",
            mailed_code(world).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
        )
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Signed in")
    token = claims(world)
    assert token["email"] == DANA
    assert token["amr"] == ["email"]
    assert token["acr"] == "urn:sekisho:acr:single"


def test_without_script_the_button_can_be_pressed_and_the_server_says_how_long(
    chromium: "Browser", world: World
) -> None:
    with person(chromium, locale="en", java_script_enabled=False) as page:
        to_code(world, page)
        code = mailed_code(world)
        assert page.is_enabled("#resend")
        page.click("#resend")
        assert (page.text_content("#resend") or "").startswith("Send a new code (in ")
        page.fill("#code", code)
        page.click("#continue")
        page.wait_for_selector("text=Signed in")
    assert claims(world)["amr"] == ["email"]
