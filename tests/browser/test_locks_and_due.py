"""Locked out and in again; a new password; terms of use: as people see it, in both languages."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, update

from idp.accounts import terms, users
from idp.accounts.terms import Terms
from idp.accounts.users import Action, User
from tests.browser.world import World
from tests.support.pages import identify, person, sign_in
from tests.support.running import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TERMS_JA = "# 利用規約\n\n" + "\n\n".join(
    f"## 第{n}条\n\n本サービスの利用条件。" for n in range(30)
)
TERMS_EN = "# Terms\n\n" + "\n\n".join(f"## {n}.\n\nHow this may be used." for n in range(30))


@pytest.fixture
def somebody(world: World) -> Iterator[str]:
    """Somebody of this test's own; nothing of what was asked of them stays."""
    email = "mio@example.com"
    with world.installation.services() as built, built.database.transaction() as session:
        session.execute(delete(User).where(User.email == email))
    world.installation.add_users(email, name="Mio Tanaka")
    yield email
    with world.installation.services() as built, built.database.transaction() as session:
        session.execute(update(Terms).values(superseded_at=built.clock.now()))


@pytest.mark.parametrize(
    ("language", "javascript", "refused", "lifted"),
    [
        ("ja", True, "サインインできませんでした", "ロックを解除しました"),
        pytest.param("en", False, "didn't work", "The lock is lifted", marks=pytest.mark.slow),
    ],
)
def test_ten_wrong_passwords_a_mail_a_button_and_in_again(
    chromium: "Browser",
    world: World,
    somebody: str,
    language: str,
    javascript: bool,
    refused: str,
    lifted: str,
) -> None:
    with person(chromium, locale=language, java_script_enabled=javascript) as page:
        page.goto(world.authorize())
        identify(page, somebody)
        for number in range(10):
            page.fill("#password", f"wrong {number}")
            page.click("#continue")
            page.wait_for_selector("[role=alert]")
        page.fill("#password", PASSWORD)
        page.click("#continue")
        page.wait_for_selector("[role=alert]")
        assert refused in page.inner_text("[role=alert]")

        page.goto(world.base_url + "/demo/mails")
        text = page.inner_text("main")
        links = re.findall(rf"{world.base_url}/unlock/[\w-]{{43}}", text)
        page.goto(links[0])  # The newest mail is the first.
        assert page.url == world.base_url + "/unlock"
        assert "m•••@example.com" in page.inner_text("main")
        page.click("#continue")
        page.wait_for_selector("[role=status]")
        assert lifted in page.inner_text("h1")

        page.goto(world.authorize())
        sign_in(page, somebody)
        page.wait_for_selector("text=Signed in")


def require(world: World, email: str) -> None:
    with world.installation.services() as built, built.database.transaction() as session:
        users.require(session, users.find(session, email).id, Action.CHANGE_PASSWORD)


def publish(world: World) -> None:
    with world.installation.services() as built, built.database.transaction() as session:
        terms.publish(session, TERMS_EN, TERMS_JA, actor="test", now=built.clock.now())


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_a_new_password_then_the_terms_by_keyboard(
    chromium: "Browser", world: World, somebody: str, language: str
) -> None:
    require(world, somebody)
    publish(world)
    with person(chromium, locale=language) as page:
        page.goto(world.authorize())
        sign_in(page, somebody)
        page.wait_for_selector("#repeat")
        assert page.evaluate("document.activeElement.id") == "password"
        page.locator(".toggle").first.click()
        assert page.get_attribute("#password", "type") == "text"
        page.fill("#password", "short")
        page.fill("#repeat", "short")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert page.get_attribute("#password", "aria-describedby") == "problem"
        page.fill("#password", "a new and longer one")
        page.fill("#repeat", "a new and longer one")
        page.keyboard.press("Enter")

        page.wait_for_selector("#decline")
        passed = []
        while "continue" not in passed:
            page.keyboard.press("Tab")
            passed.append(page.evaluate("document.activeElement.id"))
            if passed[-1] == "document":
                page.keyboard.press("End")
                while page.evaluate("document.getElementById('document').scrollTop") < 50:
                    page.wait_for_timeout(50)
        assert "document" in passed
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Signed in")
