"""The link of a lock mail in a browser: scanners are harmless, the button works once."""

import io
import json
import logging
import re

import pytest

from idp.logs import JsonFormatter
from tests.support.kit import (
    ALICE,
    BELLA,
    C1,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)
from tests.support.mails import mails


def lock(installation: Installation, person: Person = ALICE) -> str:
    """Locks somebody's password, as strangers do; the link of the mail, as a path."""
    application = RelyingParty(installation, C1)
    for number in range(10):
        stranger = installation.browser(f"198.{18 + number}.0.1")
        stranger.sign_in(stranger.authorize(application.request()), person, "wrong")
    [text] = [mail["text"] for mail in mails(installation) if mail["to"] == person.email]
    [link] = re.findall(rf"^{installation.issuer}(/unlock/[\w-]{{43}})$", text, re.M)
    return str(link)


def try_password(installation: Installation, person: Person = ALICE) -> Outcome:
    browser = installation.browser("203.0.113.77")
    return browser.signed_in(person, RelyingParty(installation, C1).request())


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser("203.0.113.5")


# BF-01, LK-15
def test_from_the_lock_to_signing_in_again(installation: Installation) -> None:
    link = lock(installation)
    assert try_password(installation).page.is_alert
    browser = installation.browser()
    page = browser.follow(browser.get(link))
    assert (page.path, page.status) == ("/unlock", 200)
    assert "a•••@a.example" in page.page.html
    assert ALICE.email not in page.page.html
    assert ALICE.name not in page.page.html
    done = browser.submit(page)
    assert done.status == 200
    assert "The lock is lifted" in done.page.html
    assert "__Host-sekisho-session" not in browser.cookies(), "nobody is signed in by it"
    assert try_password(installation).code


# LK-01
def test_programs_that_open_links_change_nothing(
    sqlite_installation: Installation, browser: Browser
) -> None:
    link = lock(sqlite_installation)
    before = sqlite_installation.counts(), sqlite_installation.sql("SELECT * FROM failures")
    for number in range(10):
        scanner = sqlite_installation.browser(f"192.0.2.{number}")
        agent = {"User-Agent": f"scanner {number}"}
        assert scanner._send("HEAD", link, headers=agent).status_code == 303
        rendered = scanner.follow(scanner.get(link, headers=agent))
        assert rendered.status == 200
    after = sqlite_installation.counts(), sqlite_installation.sql("SELECT * FROM failures")
    assert after == before
    page = browser.follow(browser.get(link))
    assert "The lock is lifted" in browser.submit(page).page.html


# LK-01
def test_a_form_that_a_scanner_sends_without_having_the_page_is_refused(
    sqlite_installation: Installation, browser: Browser
) -> None:
    link = lock(sqlite_installation)
    browser.get(link)
    assert browser.post("/unlock", {}).status_code == 403
    assert browser.post("/unlock", {"csrf": "0" * 64}).status_code == 403
    assert browser.post(link, {}).status_code == 405
    assert try_password(sqlite_installation).page.is_alert


# LK-03
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.test"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"X-Original-Host": "evil.test", "X-Forwarded-Proto": "http"},
        {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "1"},
    ],
)
def test_links_lead_to_the_configured_host(
    sqlite_installation: Installation, headers: dict[str, str]
) -> None:
    application = RelyingParty(sqlite_installation, C1)
    for number in range(10):
        stranger = sqlite_installation.browser(f"198.{18 + number}.0.1")
        page = stranger.submit(stranger.authorize(application.request()), identifier=ALICE.email)
        form = page.page.fields | {"password": "wrong"}
        stranger.post(page.path, form, headers=headers)
    [mail] = mails(sqlite_installation)
    assert "evil" not in mail["text"] + mail["html"]
    assert f"{sqlite_installation.issuer}/unlock/" in mail["text"]


# LK-04
def test_the_secret_leaves_the_address_at_once_and_is_in_no_page_and_no_log(
    sqlite_installation: Installation, browser: Browser
) -> None:
    link = lock(sqlite_installation)
    secret = link.rpartition("/")[2]
    opened = browser.get(link)
    assert (opened.status_code, opened.location) == (303, "/unlock")
    assert secret not in opened.text
    assert opened.headers["Referrer-Policy"] == "no-referrer"
    assert opened.headers["Cache-Control"] == "no-store"
    [cookie] = [value for value in opened.headers.getlist("Set-Cookie") if "unlock" in value]
    for attribute in ("__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600", "Path=/"):
        assert attribute in cookie
    page = browser.follow(opened)
    assert secret not in page.page.html
    assert secret not in str(page.response.headers)
    done = browser.submit(page)
    assert secret not in done.page.html
    assert "__Host-sekisho-unlock" not in browser.cookies()
    assert secret not in str(sqlite_installation.sql("SELECT * FROM audit"))


# LK-04
def test_the_log_of_requests_masks_the_secret(
    install: "object", caplog: pytest.LogCaptureFixture
) -> None:
    installation: Installation = install(log_requests=True)  # type: ignore[operator]
    secret = "s" * 43
    with caplog.at_level(logging.INFO, logger="idp.web"):
        installation.browser().get(f"/unlock/{secret}")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [line["path"] for line in lines] == ["/unlock/•••"]
    assert secret not in io.StringIO(str(lines)).read()


# LK-06
def test_whom_it_is_about_comes_from_the_link_and_from_nothing_else(
    sqlite_installation: Installation, browser: Browser
) -> None:
    lock(sqlite_installation, BELLA)
    link = lock(sqlite_installation)
    page = browser.follow(browser.get(link))
    bella = sqlite_installation.sub(BELLA)
    more = {"user": bella, "user_id": bella, "email": BELLA.email, "org": "B", "purpose": "reset"}
    assert "The lock is lifted" in browser.submit(page, **more).page.html
    assert try_password(sqlite_installation, BELLA).page.is_alert
    assert try_password(sqlite_installation).code


@pytest.mark.parametrize("how", ["used", "expired", "unknown", "none", "stamp"])
def test_a_dead_link_says_so_and_what_to_do(
    sqlite_installation: Installation, browser: Browser, how: str
) -> None:
    link = lock(sqlite_installation)
    page = browser.follow(browser.get(link))
    if how == "used":
        other = sqlite_installation.browser()
        other.submit(other.follow(other.get(link)))
    elif how == "expired":
        sqlite_installation.pass_time(hours=1)
    elif how == "stamp":
        sqlite_installation.sql("UPDATE users SET security_stamp = 'x'")
    elif how == "unknown":
        browser.get("/unlock/" + "x" * 500)
    else:
        browser.client.delete_cookie("__Host-sekisho-unlock", domain="id.example.test")
    for dead in (browser.follow(browser.get("/unlock")), browser.submit(page)):
        assert dead.status == 404
        assert "This link no longer works" in dead.page.html
        assert "ask the person who manages your accounts" in dead.page.html
    events = sqlite_installation.events()
    assert events.count("login.unlocked") == (how == "used")


def test_a_fourth_time_on_one_day_it_has_to_wait(
    sqlite_installation: Installation, browser: Browser
) -> None:
    link = lock(sqlite_installation)
    now = int(sqlite_installation.clock.now().timestamp() * 1_000_000)
    [row] = sqlite_installation.sql("SELECT * FROM tickets")
    for number in range(3):
        sqlite_installation.sql(
            "INSERT INTO tickets (secret_hash, purpose, user_id, bound_to, created_at, expires_at,"
            " used_at) VALUES (:h, 'unlock', :user, 'x', :now, :now, :now)",
            h=bytes([number] * 32),
            user=row["user_id"],
            now=now,
        )
    page = browser.submit(browser.follow(browser.get(link)))
    assert page.status == 429
    assert "several times today" in page.page.html
    sqlite_installation.pass_time(minutes=59)
    assert "login.unlocked" not in sqlite_installation.events()
