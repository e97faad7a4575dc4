"""Passkeys in real Chromium, with the authenticator that it has for tests (WebAuthn, 11)."""

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from idp.accounts import users
from idp.accounts.recovery_codes import RecoveryCode
from idp.assurance import MULTIPLE
from tests.browser.world import VERIFIER, World
from tests.support.pages import identify, person
from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

VIRTUAL = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Device:
    """A phone with a fingerprint reader, as the page sees it."""

    def __init__(self, page: "Page") -> None:
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        made = self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": VIRTUAL})
        self._id: str = made["authenticatorId"]

    def _send(self, command: str, **more: Any) -> Any:
        return self._devtools.send(f"WebAuthn.{command}", {"authenticatorId": self._id, **more})

    @property
    def keys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def touches(self, *, at_once: bool) -> None:
        """Whether the finger lies on the reader already."""
        self._send("setAutomaticPresenceSimulation", enabled=at_once)

    def knows(self, *, the_finger: bool) -> None:
        self._send("setUserVerified", isUserVerified=the_finger)


def claims(world: World) -> dict[str, Any]:
    """The ID token for the code that the application got last; its signature is others' to test."""
    received = world.site.at("/callback")[-1]
    answer = requests.post(
        f"{world.base_url}/token",
        auth=(world.ours.client_id, world.ours.client_secret or ""),
        data={
            "grant_type": "authorization_code",
            "code": received.query["code"],
            "redirect_uri": world.site.url("/callback"),
            "code_verifier": VERIFIER,
        },
        timeout=30,
    )
    payload = answer.json()["id_token"].split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "==="))
    return read


def arrive(page: "Page") -> None:
    page.wait_for_selector("text=Signed in")


def add_person(world: World, email: str) -> None:
    """Somebody who has saved a recovery code already."""
    world.installation.add_users(email)
    with world.installation.services() as built, built.database.transaction() as session:
        now = built.clock.now()
        user = users.find(session, email)
        session.add(RecoveryCode(user_id=user.id, code_hash=b"0" * 32, created_at=now))


def begin_anew(world: World, page: "Page", **parameters: Any) -> None:
    """Comes to the first page in a browser that has never been here, but for its passkeys."""
    page.context.clear_cookies()
    world.site.received.clear()
    page.goto(world.authorize(None, **parameters))


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_a_passkey_is_set_up_by_force_and_then_signs_in_everywhere(
    chromium: "Browser", world: World, language: str
) -> None:
    email = f"passkey.{language}@example.com"
    add_person(world, email)
    with (
        person(chromium, locale=language) as page,
        world.policy(second_factor="always", factors=["passkey"]),
    ):
        device = Device(page)
        device.touches(at_once=False)
        page.goto(world.authorize())
        identify(page, email)
        page.fill("#password", PASSWORD)
        page.click("#continue")
        set_up(page, device)
        arrive(page)
        assert claims(world)["amr"] == ["pwd", "pop", "user", "mfa"]
        assert [key["isResidentCredential"] for key in device.keys] == [True]

        # The field's own list: nobody types or clicks anything.
        begin_anew(world, page)
        arrive(page)
        assert claims(world)["amr"] == ["pop", "user", "mfa"]

        # The button, in a browser that has no such list.
        page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
        begin_anew(world, page, acr_values=MULTIPLE)
        page.click("#passkey")
        arrive(page)
        assert claims(world)["acr"] == MULTIPLE

        # The second factor.
        begin_anew(world, page)
        identify(page, email)
        page.fill("#password", PASSWORD)
        page.click("#continue")
        page.wait_for_url("**/passkey")
        assert focused(page) == "continue"
        page.keyboard.press("Enter")
        arrive(page)
        assert claims(world)["amr"] == ["pwd", "pop", "user", "mfa"]


def set_up(page: "Page", device: Device) -> None:
    """Sets up a passkey; the first time with a finger that the device does not know."""
    page.wait_for_selector("#name")
    assert page.input_value("#name").startswith("Chrome")
    assert focused(page) == "continue"
    device.touches(at_once=True)
    device.knows(the_finger=False)
    page.click("#continue")
    page.wait_for_selector("#passkey-failed:visible")
    assert device.keys == []
    device.knows(the_finger=True)
    page.fill("#name", "青い電話")
    page.keyboard.press("Enter")


def focused(page: "Page") -> str:
    name: str = page.evaluate("document.activeElement.id")
    return name


def test_without_javascript_the_pages_say_so_and_the_password_goes_on_working(
    chromium: "Browser", world: World
) -> None:
    add_person(world, "noscript@example.com")
    with person(chromium, java_script_enabled=False) as page:
        page.goto(world.authorize())
        assert not page.is_visible("#passkey")
        identify(page, "noscript@example.com")
        page.goto(page.url.replace("/password", "/passkey"))
        assert page.is_visible("[data-passkey=without]")
        assert not page.is_visible("#continue")
        page.click(".chip a")
        identify(page, "noscript@example.com")
        with world.policy(second_factor="always", factors=["passkey"]):
            page.fill("#password", PASSWORD)
            page.click("#continue")
            page.wait_for_selector("[data-passkey=without]:visible")
            assert not page.is_visible("#continue")
