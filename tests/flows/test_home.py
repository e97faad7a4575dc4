"""The bare address: what this is, and who is signed in on this browser."""

from tests.support.kit import ADAM, ALICE, Browser, Installation, RelyingParty


def test_whoever_is_not_signed_in_is_told_what_to_do(browser: Browser) -> None:
    home = browser.get("/")
    assert home.status_code == 200
    assert "You are not signed in." in home.text
    assert "/logout" not in home.text
    assert home.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in home.headers


def test_everybody_who_is_signed_in_here_is_named_with_a_way_to_sign_out(
    browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    choice = browser.authorize(application.request(prompt="select_account"))
    browser.sign_in(browser.submit(choice, account="other"), ADAM)
    page = browser.follow(browser.get("/"))
    assert "Alice Hart (alice@a.example)" in page.page.html
    assert "Adam Field (adam@a.example)" in page.page.html
    browser.submit(browser.follow(browser.get(page.page.links["sign-out"])))
    assert "You are not signed in." in browser.get("/").text


def test_who_is_signed_in_is_not_told_to_another_browser(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    assert "Alice Hart" not in sqlite_installation.browser().get("/").text


def test_a_session_that_is_over_is_not_shown(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    sqlite_installation.pass_time(days=400)
    assert "You are not signed in." in browser.get("/").text


def test_a_name_is_text_and_no_markup(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    sqlite_installation.sql("UPDATE users SET name = '<b>Alice</b>' WHERE login_id = 'alice'")
    application.code(browser, ALICE)
    assert "&lt;b&gt;Alice&lt;/b&gt;" in browser.get("/").text


def test_the_page_is_in_the_language_that_was_asked_for(browser: Browser) -> None:
    home = browser.get("/", headers={"Accept-Language": "ja"})
    assert '<html lang="ja"' in home.text
    assert "You are not signed in." not in home.text
