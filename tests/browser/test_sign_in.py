"""Signing in as people do: by keyboard, in a hurry, going back, without JavaScript; and what of it
other sites get to see.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from idp.audit import AuditRow, Event
from tests.browser.world import ALICE, CAROL, World, sign_out, to_logout
from tests.support.pages import identify, person, sign_in
from tests.support.running import PASSWORD
from tests.support.site import Reply, Site, page, redirect, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def third() -> Iterator[Site]:
    """A site that is neither the provider's nor the application's, and of another host."""
    with site("127.0.0.1") as elsewhere:
        elsewhere.answers = {"/arrived": page("Arrived"), "/favicon.ico": Reply(status=204)}
        yield elsewhere


def arrive(browser: "Page") -> None:
    """Waits for the application's page. Not for its address: a second click ends the first one's
    way there, which is no failure."""
    browser.wait_for_selector("text=Signed in")


def count(world: World, event: Event) -> int:
    with world.installation.services() as built, built.database.transaction() as session:
        statement = select(func.count()).where(AuditRow.event == event.value)
        return session.scalar(statement) or 0


def test_somebody_with_a_keyboard_alone_signs_in(chromium: "Browser", world: World) -> None:
    with person(chromium) as browser:
        browser.goto(world.authorize(world.theirs))
        browser.wait_for_selector("#identifier:focus")
        browser.keyboard.type(CAROL)
        browser.keyboard.press("Enter")
        browser.wait_for_selector("#password:focus")
        browser.keyboard.type(PASSWORD)
        browser.keyboard.press("Enter")
        browser.wait_for_selector("#deny")
        # An Enter too many agrees to nothing.
        assert browser.evaluate("document.activeElement === document.body")
        browser.keyboard.press("Enter")
        passed = []
        while "deny" not in passed:
            browser.keyboard.press("Tab")
            passed.append(browser.evaluate("document.activeElement.id"))
        assert passed == ["continue", "deny"]
        browser.keyboard.press("Enter")
        arrive(browser)
        assert world.site.at("/callback")[0].query["error"] == "access_denied"


def test_the_password_can_be_shown_and_is_hidden_again_when_it_is_sent(
    chromium: "Browser", world: World
) -> None:
    with person(chromium, locale="en") as browser:
        browser.goto(world.authorize())
        identify(browser, ALICE)
        browser.fill("#password", PASSWORD)
        browser.click("text=Show")
        assert browser.get_attribute("#password", "type") == "text"
        assert browser.evaluate("document.activeElement.id") == "password"
        browser.click("text=Hide")
        assert browser.get_attribute("#password", "type") == "password"
        browser.keyboard.press("Enter")
        arrive(browser)


@pytest.mark.parametrize(
    ("consent", "javascript"),
    [
        pytest.param(False, True, id="password, script"),
        pytest.param(True, False, id="consent, no script", marks=pytest.mark.slow),
        pytest.param(True, True, id="consent, script", marks=pytest.mark.slow),
        pytest.param(False, False, id="password, no script", marks=pytest.mark.slow),
    ],
)
def test_the_application_may_send_on_to_a_third_site_after_the_last_form(
    chromium: "Browser", world: World, third: Site, consent: bool, javascript: bool
) -> None:
    # WB-06: Chromium holds the whole chain after a form against `form-action`.
    world.site.answers["/callback"] = redirect(third.url("/hop"))
    third.answers["/hop"] = redirect(world.site.url("/and/back"))
    world.site.answers["/and/back"] = redirect(third.url("/arrived"))
    with person(chromium, java_script_enabled=javascript) as browser:
        browser.goto(world.authorize(world.theirs if consent else world.ours, prompt="login"))
        sign_in(browser, CAROL if consent else ALICE)
        if consent:
            browser.wait_for_selector("#deny")
            browser.click("#deny")
        browser.wait_for_url(third.url("/arrived"))


def test_no_referer_tells_what_the_answer_was(
    chromium: "Browser", world: World, third: Site
) -> None:
    # RU-07
    home = page(
        "Home",
        f'<img src="{third.url("/pixel")}" alt=""><a id="on" href="{third.url("/arrived")}">on</a>',
    )
    world.site.answers |= {"/callback": redirect(world.site.url("/home")), "/home": home}
    third.answers["/pixel"] = Reply(status=204)
    with person(chromium) as browser:
        browser.goto(world.authorize())
        sign_in(browser, ALICE)
        browser.wait_for_url(world.site.url("/home"))
        browser.click("#on")
        browser.wait_for_url(third.url("/arrived"))
        browser.goto(world.authorize())  # A second time, straight through.
        browser.wait_for_url(world.site.url("/home"))

    assert len(world.site.at("/callback")) == 2
    assert all("code" in received.query for received in world.site.at("/callback"))
    referers = {
        received.path: received.headers.get("referer", "")
        for received in (*world.site.received, *third.received)
    }
    assert referers["/callback"] == ""
    for referer in referers.values():
        assert "code=" not in referer
        assert "state" not in referer
        assert world.base_url not in referer


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_form_post_answer_arrives_once(
    chromium: "Browser", world: World, javascript: bool
) -> None:
    with person(chromium, java_script_enabled=javascript) as browser:
        browser.goto(world.authorize(response_mode="form_post"))
        sign_in(browser, ALICE)
        if not javascript:
            browser.wait_for_selector("form#answer")
            browser.click("#continue")
        browser.wait_for_url(world.site.url("/callback"))
    (received,) = world.site.at("/callback")
    assert received.method == "POST"
    assert received.query == {}
    assert set(received.form) == {"code", "state", "iss"}
    assert received.form["iss"] == world.base_url


@pytest.mark.parametrize(
    "javascript",
    [
        pytest.param(True, id="script"),
        pytest.param(False, id="no script", marks=pytest.mark.slow),
    ],
)
def test_a_double_click_signs_in_once(chromium: "Browser", world: World, javascript: bool) -> None:
    before = count(world, Event.LOGIN_FAILED)
    with person(chromium, java_script_enabled=javascript) as browser:
        browser.goto(world.authorize())
        browser.fill("#identifier", ALICE)
        browser.dblclick("#continue")
        browser.wait_for_selector("#password")
        browser.fill("#password", PASSWORD)
        browser.dblclick("#continue")
        arrive(browser)
    (received,) = world.site.at("/callback")
    assert "code" in received.query
    assert count(world, Event.LOGIN_FAILED) == before


@pytest.mark.slow
def test_a_double_click_on_allow_agrees_once(chromium: "Browser", world: World) -> None:
    world.installation.add_users("dora@example.com")
    before = count(world, Event.CONSENT_GRANTED)
    with person(chromium) as browser:
        browser.goto(world.authorize(world.theirs))
        sign_in(browser, "dora@example.com")
        browser.wait_for_selector("#deny")
        browser.dblclick("#continue")
        arrive(browser)
    (received,) = world.site.at("/callback")
    assert "code" in received.query
    assert count(world, Event.CONSENT_GRANTED) == before + 1


def test_going_back_from_the_password_page_keeps_what_was_typed(
    chromium: "Browser", world: World
) -> None:
    with person(chromium) as browser:
        browser.goto(world.authorize())
        identify(browser, "somebody.else@example.com")
        browser.go_back()
        browser.wait_for_selector("#identifier")
        browser.fill("#identifier", ALICE)
        browser.click("#continue")
        browser.wait_for_selector("#password")
        assert browser.text_content(".chip > span") == ALICE
        browser.click(".chip a")
        assert browser.input_value("#identifier") == ALICE
        sign_in(browser, ALICE)
        arrive(browser)


def test_going_back_after_signing_in_sends_nothing_again(chromium: "Browser", world: World) -> None:
    refused = "Failed to load resource: the server responded with a status of 400"
    with person(chromium, tolerated=refused, locale="en") as browser:
        browser.goto(world.authorize())
        sign_in(browser, ALICE)
        arrive(browser)
        seen = []
        for _ in range(3):
            browser.go_back()
            seen.append(browser.url)
            if "/login/" in browser.url:
                break
        assert browser.locator("h1").count() == 1, seen
        assert not browser.locator("#password").count() or browser.input_value("#password") == ""
    assert len({received.query["code"] for received in world.site.at("/callback")}) == 1


@pytest.mark.slow
def test_two_tabs_sign_in_side_by_side(chromium: "Browser", world: World) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(person(chromium))
        second = first.context.new_page()
        for tab in (first, second):
            tab.goto(world.authorize())
            identify(tab, ALICE)
        for tab in (second, first):
            tab.fill("#password", PASSWORD)
            tab.click("#continue")
            arrive(tab)
    codes = {received.query.get("code") for received in world.site.at("/callback")}
    assert len(codes) == 2
    assert None not in codes


def test_signing_out_of_everything_leads_back_to_the_application(
    chromium: "Browser", world: World
) -> None:
    with person(chromium) as browser:
        to_logout(world, browser)
        sign_out(browser)
        browser.click("#continue")
        browser.wait_for_url(world.site.url("/goodbye"))
        browser.goto(world.authorize())
        browser.wait_for_selector("#identifier")
