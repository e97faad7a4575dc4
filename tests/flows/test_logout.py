"""Signing out: asked of the person unless it is proven to be the person's own wish."""

import re

import pytest

from tests.support.kit import (
    ALICE,
    BELLA,
    C1,
    C2,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
)

OUT = "https://c1.example.test/out"


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def end(browser: Browser, **parameters: str) -> Outcome:
    return browser.follow(browser.get("/end_session", parameters))


def is_signed_in(browser: Browser, application: RelyingParty) -> bool:
    answer = browser.authorize(application.request(prompt="none"))
    assert answer.error in ("", "login_required")
    return not answer.error


# SE-06
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"client_id": "c1"},
        {"client_id": "c1", "post_logout_redirect_uri": OUT},
        {"post_logout_redirect_uri": OUT},
        {"id_token_hint": "nonsense", "post_logout_redirect_uri": OUT, "client_id": "c1"},
        {"logout_hint": "alice@a.example"},
    ],
)
def test_without_proof_the_person_is_asked_and_nothing_happens(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    parameters: dict[str, str],
) -> None:
    application.code(browser, ALICE)
    before = sqlite_installation.counts()
    page = end(browser, **parameters)
    assert page.is_page
    assert page.page.action == "/logout"
    assert "Alice Hart (alice@a.example)" in page.page.html
    assert is_signed_in(browser, application)
    after = sqlite_installation.counts()
    assert {name: after[name] for name in after if name != "state"} == {
        name: before[name] for name in before if name != "state"
    }
    done = browser.submit(page)
    assert "You are signed out." in done.page.html
    assert done.is_page, "it went away without a hint"
    assert not is_signed_in(browser, application)
    assert sqlite_installation.events()[-1] == "session.ended"


# SE-06
def test_the_question_needs_its_own_form(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    page = end(browser)
    assert browser.post("/logout", {}).status_code == 403
    assert browser.post("/logout", {"csrf": "0" * 64}).status_code == 403
    cross = browser.post("/logout", page.page.fields, headers={"Origin": "https://evil.example"})
    assert cross.status_code == 403
    other = end(sqlite_installation.browser())
    assert other.is_page
    assert is_signed_in(browser, application)


def test_the_persons_own_application_signs_out_without_a_question(
    browser: Browser, application: RelyingParty
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    answer = end(browser, id_token_hint=hint, post_logout_redirect_uri=OUT, state="a b&c")
    assert answer.location == f"{OUT}?state=a%20b%26c"
    assert not is_signed_in(browser, application)


def test_without_an_address_the_page_says_that_it_is_done(
    browser: Browser, application: RelyingParty
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    done = end(browser, id_token_hint=hint)
    assert "You are signed out." in done.page.html
    assert not is_signed_in(browser, application)


# SE-07
def test_somebody_elses_hint_signs_nobody_out(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    attackers = application.tokens(sqlite_installation.browser(), ALICE)["id_token"]
    application.code(browser, BELLA)
    page = end(browser, id_token_hint=attackers, post_logout_redirect_uri=OUT)
    assert page.is_page
    assert "Bella Brook" in page.page.html
    assert is_signed_in(browser, application)


# SE-08
def test_an_expired_hint_is_still_a_proof(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    sqlite_installation.pass_time(minutes=50)
    answer = end(browser, id_token_hint=hint, post_logout_redirect_uri=OUT)
    assert answer.location == OUT


# SE-08
def test_a_hint_that_was_changed_is_none(browser: Browser, application: RelyingParty) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    header, payload, signature = hint.split(".")
    for bad in (
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"eyJhbGciOiJub25lIn0.{payload}.",
        f"{header}.{payload[:-4]}AAAA.{signature}",
        hint + ".",
        hint * 10,
    ):
        page = end(browser, id_token_hint=bad, post_logout_redirect_uri=OUT, client_id="c1")
        assert page.is_page
        assert is_signed_in(browser, application)


# SE-08
def test_a_hint_of_another_application_than_the_one_that_asks_is_none(
    browser: Browser, application: RelyingParty
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    page = end(browser, id_token_hint=hint, client_id="c2", post_logout_redirect_uri=OUT)
    assert page.is_page
    assert is_signed_in(browser, application)


# SE-09
@pytest.mark.parametrize(
    "uri",
    [
        OUT + "?x=1",
        OUT + "/",
        OUT + "#x",
        OUT.upper(),
        "https://c1.example.test/",
        "https://c1.example.test/cb",
        "https://evil.example/out",
        "javascript:alert(1)",
        "//c1.example.test/out",
        "",
    ],
)
def test_only_the_very_registered_address_is_gone_to(
    browser: Browser, application: RelyingParty, uri: str
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    done = end(browser, id_token_hint=hint, post_logout_redirect_uri=uri, state="s")
    assert done.is_page
    assert "You are signed out." in done.page.html
    assert uri == "" or f'href="{uri}' not in done.page.html
    assert not is_signed_in(browser, application)


# SE-09
def test_the_address_of_another_application_is_not_gone_to(
    sqlite_installation: Installation, browser: Browser
) -> None:
    hint = RelyingParty(sqlite_installation, C2).tokens(browser, ALICE)["id_token"]
    assert end(browser, id_token_hint=hint, post_logout_redirect_uri=OUT).is_page


def test_after_the_question_a_registered_address_is_a_link_and_no_redirect(
    browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    page = end(browser, client_id="c1", post_logout_redirect_uri=OUT, state="s")
    assert "Application c1 asks to sign you out." in page.page.html
    done = browser.submit(page)
    assert done.page.links["continue"] == f"{OUT}?state=s"
    assert not done.page.refresh


def test_several_accounts_are_signed_out_together_when_asked(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    page = browser.authorize(application.request(prompt="select_account"))
    browser.sign_in(browser.submit(page, account="other"), BELLA)
    page = end(browser)
    assert "Alice Hart" in page.page.html
    assert "Bella Brook" in page.page.html
    browser.submit(page)
    assert not is_signed_in(browser, application)
    open_ones = sqlite_installation.sql("SELECT id FROM sessions WHERE ended_at IS NULL")
    assert open_ones == []


def test_a_hint_signs_out_its_own_account_alone(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    alices = application.tokens(browser, ALICE)["id_token"]
    page = browser.authorize(application.request(prompt="select_account"))
    browser.sign_in(browser.submit(page, account="other"), BELLA)
    end(browser, id_token_hint=alices)
    [left] = sqlite_installation.sql("SELECT user_id FROM sessions WHERE ended_at IS NULL")
    assert left["user_id"] == sqlite_installation.sub(BELLA)
    assert is_signed_in(browser, application)


# SE-12
def test_after_signing_out_nothing_of_before_works(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    code = application.code(browser, ALICE)
    tokens = application.tokens(browser, ALICE)
    half_done = browser.authorize(application.request(prompt="login"))
    cookie = browser.cookies()["__Host-sekisho-session"]
    browser.submit(end(browser))
    assert application.redeem(code).get_json()["error"] == "invalid_grant"
    assert application.userinfo(tokens["access_token"]).status_code == 401
    assert "__Host-sekisho-session" not in browser.cookies()
    browser.client.set_cookie(
        "__Host-sekisho-session", cookie, domain="id.example.test", secure=True
    )
    assert not is_signed_in(browser, application)
    assert browser.follow(browser.get(half_done.path)).step in ("identify", "password")
    assert browser.follow(browser.get(half_done.path)).is_page


def test_signing_out_keeps_the_browser_known(browser: Browser, application: RelyingParty) -> None:
    application.code(browser, ALICE)
    device = browser.cookies()["__Host-sekisho-device"]
    browser.submit(end(browser))
    assert browser.cookies()["__Host-sekisho-device"] == device


def test_whoever_is_not_signed_in_is_told_so(browser: Browser) -> None:
    for path in ("/logout", "/end_session"):
        page = browser.follow(browser.get(path))
        assert "You are signed out." in page.page.html
        assert page.status == 200


def test_a_post_from_another_site_is_judged_like_a_get(
    browser: Browser, application: RelyingParty
) -> None:
    hint = application.tokens(browser, ALICE)["id_token"]
    sent = {"id_token_hint": hint, "post_logout_redirect_uri": OUT}
    answer = browser.post("/end_session", sent, headers={"Origin": "https://c1.example.test"})
    assert answer.status_code == 303
    assert browser.follow(answer).location == OUT


@pytest.mark.parametrize(
    "name", ["client_id", "state", "id_token_hint", "post_logout_redirect_uri"]
)
def test_repeated_and_giant_parameters_are_refused(
    browser: Browser, application: RelyingParty, name: str
) -> None:
    application.code(browser, ALICE)
    for query in (f"{name}=a&{name}=b", f"{name}=" + "x" * 9000):
        assert browser.get("/end_session", query).status_code == 400
        assert browser.get("/logout", query).status_code == 400
    assert is_signed_in(browser, application)


def test_the_question_is_asked_in_the_language_of_the_application(
    browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    page = end(browser, ui_locales="ja")
    assert '<html lang="ja">' in page.page.html
    assert re.search(r"サインアウト", page.page.html)
    assert page.page.html.count('id="continue"') == 1
