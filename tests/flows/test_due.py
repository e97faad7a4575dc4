"""What is due after the factors: a new password, terms of use; never skipped, never twice."""

from typing import Any

import pytest

from idp.accounts import organizations, terms, users
from idp.accounts.users import Action
from idp.db import Prepared
from tests.support.kit import (
    ADAM,
    ALICE,
    BELLA,
    C1,
    C3,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)
from tests.support.mails import mails

NEW = "harbour lantern 43"
WRONG = "That didn&#39;t work. Check what you typed and try again."


def require(
    installation: Installation,
    person: Person = ALICE,
    action: Action = Action.CHANGE_PASSWORD,
) -> None:
    sub = installation.sub(person)
    with installation.database() as session:
        users.require(session, sub, action)


def publish(installation: Installation, text: str = "Be kind.", organization: str = "") -> str:
    with installation.database() as session:
        owner = organizations.find(session, organization) if organization else None
        published = terms.publish(
            session,
            f"# Terms\n\n{text}",
            f"# 規約\n\n{text}",
            actor="test",
            now=installation.clock.now(),
            organization=owner,
        )
        return published.id


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def third_party(sqlite_installation: Installation) -> RelyingParty:
    return RelyingParty(sqlite_installation, C3)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    return sqlite_installation.browser()


def change(browser: Browser, page: Outcome, new: str = NEW, **fields: str) -> Outcome:
    return browser.submit(page, **({"password": new, "repeat": new} | fields))


# The password ------------------------------------------------------------------------------------


def test_a_password_that_must_be_changed_is_changed_on_the_way(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    elsewhere = installation.browser()
    application.code(elsewhere, ALICE)
    require(installation)
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "change_password"
    assert "current" not in page.page.fields, "it was shown in this very visit"
    answer = change(browser, page)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["sub"] == installation.sub(ALICE)
    assert "password.changed" in installation.events()
    [mail] = mails(installation)
    assert "Your password was changed" in mail["subject"]
    assert NEW not in mail["text"]
    # What hung on the old one is over, and the new one works.
    assert elsewhere.authorize(application.request()).step == "identify"
    assert browser.authorize(application.request()).code
    assert installation.browser().signed_in(ALICE, application.request()).page.is_alert
    fresh = installation.browser()
    assert fresh.sign_in(fresh.authorize(application.request()), ALICE, NEW).code


@pytest.mark.parametrize(
    ("new", "repeat", "says"),
    [
        ("", "", "at least 8 characters"),
        ("short 1", "short 1", "at least 8 characters"),
        ("x" * 129, "x" * 129, "at most 128 characters"),
        ("aaaaaaaaaa", "aaaaaaaaaa", "more different characters"),
        (NEW, NEW + "x", "are not the same"),
        (NEW, "", "are not the same"),
        (PASSWORD, PASSWORD, "must differ"),
    ],
)
def test_a_refused_password_is_explained_at_its_field_and_nothing_is_lost(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    new: str,
    repeat: str,
    says: str,
) -> None:
    require(sqlite_installation)
    page = browser.signed_in(ALICE, application.request())
    before = sqlite_installation.user(ALICE).password_hash
    again = change(browser, page, new, repeat=repeat)
    assert again.step == "change_password"
    assert again.page.is_alert
    assert says in again.page.html
    assert again.page.fields["password"] == again.page.fields["repeat"] == ""  # WB-12
    assert sqlite_installation.user(ALICE).password_hash == before
    assert change(browser, again).answer["state"] == "the state"


def test_another_spelling_of_the_same_letters_is_the_same_password(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    require(sqlite_installation)
    page = browser.signed_in(ALICE, application.request())
    assert change(browser, page, "caf\u00e9 harbour", repeat="cafe\u0301 harbour").code


# BF-05
def test_a_browser_left_signed_in_is_not_enough_to_change_the_password(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    require(sqlite_installation)
    page = browser.authorize(application.request())
    assert page.step == "change_password"
    assert "current" in page.page.fields
    assert "Enter your current password." in change(browser, page).page.html
    for wrong in ("wrong", NEW, "x" * 2000):
        assert WRONG in change(browser, page, current=wrong).page.html
    [row] = sqlite_installation.sql("SELECT total FROM failures WHERE bucket LIKE 'password:%'")
    assert row["total"] == 3
    assert sqlite_installation.events()[-3:] == ["login.failed"] * 3
    assert change(browser, page, current=PASSWORD).code


# BF-05
def test_guessing_there_is_locked_like_anywhere(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    application.code(browser, ALICE)
    require(sqlite_installation)
    page = browser.authorize(application.request())
    for number in range(10):
        change(browser, page, current=f"wrong {number}")
    assert WRONG in change(browser, page, current=PASSWORD).page.html
    sqlite_installation.pass_time(minutes=2)
    assert change(browser, page, current=PASSWORD).code


def test_a_change_that_somebody_else_was_faster_with_changes_nothing(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    require(sqlite_installation)
    page = browser.signed_in(ALICE, application.request())
    hashing = sqlite_installation.services.passwords.hash

    def change_meanwhile(password: str) -> str:
        sqlite_installation.sql("UPDATE users SET security_stamp = 'x', password_hash = 'k$other'")
        return hashing(password)

    sqlite_installation.services.passwords.hash = change_meanwhile  # type: ignore[method-assign]
    try:
        again = change(browser, page)
    finally:
        sqlite_installation.services.passwords.hash = hashing  # type: ignore[method-assign]
    assert again.step == "change_password"
    assert sqlite_installation.user(ALICE).password_hash == "k$other"


# Terms -------------------------------------------------------------------------------------------


def test_terms_are_shown_agreed_to_and_not_asked_for_again(installation: Installation) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    terms_id = publish(installation)
    page = browser.signed_in(ALICE, application.request())
    assert page.step == "terms"
    assert "<p>Be kind.</p>" in page.page.html
    assert "Version 1 of March 1, 2025" in page.page.html
    japanese = browser.get(page.path, {"lang": "ja"}).text
    assert "<h2>規約</h2>" in japanese
    assert "第1版（2025年3月1日）" in japanese
    assert browser.submit(page, decision="agree").code
    [row] = installation.sql("SELECT * FROM terms_acceptances")
    assert (row["terms_id"], row["user_id"]) == (terms_id, installation.sub(ALICE))
    assert row["address"] == browser.address
    assert row["accepted_at"] == int(installation.clock.now().timestamp()) * 1_000_000
    assert installation.events()[-1] == "terms.accepted"
    assert browser.authorize(application.request(prompt="none")).code


def test_a_new_version_is_asked_for_again_and_the_old_agreement_is_kept(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation)
    browser.submit(browser.signed_in(ALICE, application.request()), decision="agree")
    publish(sqlite_installation, "Be kinder.")
    assert browser.authorize(application.request(prompt="none")).error == "interaction_required"
    page = browser.authorize(application.request())
    assert "Be kinder." in page.page.html
    assert "Version 2" in page.page.html
    assert browser.submit(page, decision="agree").code
    assert sqlite_installation.counts()["terms_acceptances"] == 2


def test_installation_and_organisation_each_have_their_own(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation, "Of the house.")
    publish(sqlite_installation, "Of A.", "Organisation A")
    publish(sqlite_installation, "Of B.", "Organisation B")
    page = browser.signed_in(ALICE, application.request())
    assert "Of the house." in page.page.html
    page = browser.submit(page, decision="agree")
    assert page.step == "terms"
    assert "Of A." in page.page.html
    assert "Terms of use of Organisation A" in page.page.html
    assert browser.submit(page, decision="agree").code
    other = sqlite_installation.browser()
    page = other.submit(other.signed_in(BELLA, application.request()), decision="agree")
    assert "Of B." in page.page.html


def test_who_does_not_agree_goes_back_and_is_asked_again(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation)
    page = browser.signed_in(ALICE, application.request())
    answer = browser.submit(page, decision="decline")
    assert (answer.error, answer.answer["state"]) == ("access_denied", "the state")
    assert sqlite_installation.counts()["terms_acceptances"] == 0
    assert browser.authorize(application.request()).step == "terms"


# AZ-16
def test_agreement_is_to_the_version_that_was_shown(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation)
    page = browser.signed_in(ALICE, application.request())
    publish(sqlite_installation, "Something else.")
    again = browser.submit(page, decision="agree")
    assert again.step == "terms"
    assert "Something else." in again.page.html
    assert sqlite_installation.counts()["terms_acceptances"] == 0
    for decision in ("", "yes", "AGREE"):
        assert browser.submit(again, decision=decision).step == "terms"
    assert browser.submit(again, decision="agree", terms="").step == "terms"
    assert browser.submit(again, decision="agree").code


def test_two_tabs_agree_once(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation)
    first = browser.signed_in(ALICE, application.request(state="1"))
    second = browser.authorize(application.request(state="2"))
    assert browser.submit(first, decision="agree").answer["state"] == "1"
    assert browser.submit(second, decision="agree").answer["state"] == "2"
    assert sqlite_installation.counts()["terms_acceptances"] == 1
    assert sqlite_installation.events().count("terms.accepted") == 1


def test_what_one_person_agreed_to_is_asked_of_the_next_one_all_the_same(
    installation: Installation,
) -> None:
    publish(installation)
    rp = RelyingParty(installation, C1)
    for person in (ALICE, ADAM):
        browser = installation.browser()
        page = browser.signed_in(person, rp.request())
        assert page.step == "terms", person.name
        assert browser.authorize(rp.request(prompt="none")).error == "interaction_required"
        assert browser.submit(page, decision="agree").code, person.name
    assert installation.browser().signed_in(ALICE, rp.request()).code


def test_markup_in_terms_is_text(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    publish(sqlite_installation, "<script>alert(1)</script> [x](javascript:alert(1))")
    page = browser.signed_in(ALICE, application.request())
    assert "<script>alert" not in page.page.html
    assert 'href="javascript' not in page.page.html


# What can be skipped: nothing ------------------------------------------------------------------


def set_due(installation: Installation, due: str) -> None:
    if due == "terms":
        publish(installation)
    else:
        require(installation, action=Action(due))


DUE = ("verify_address", "change_password", "save_recovery_code", "terms")


# AZ-06
@pytest.mark.parametrize("due", DUE)
def test_what_is_due_is_an_error_without_pages(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, due: str
) -> None:
    application.code(browser, ALICE)
    set_due(sqlite_installation, due)
    before = sqlite_installation.counts()
    answer = browser.authorize(application.request(prompt="none"))
    assert answer.error == "interaction_required"
    assert answer.response.headers.getlist("Set-Cookie") == []
    assert sqlite_installation.counts() == before
    others = sqlite_installation.browser()
    assert others.authorize(application.request(prompt="none")).error == "login_required"


# AZ-12
@pytest.mark.parametrize("due", ["change_password", "terms"])
def test_what_is_due_cannot_be_gone_around(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty, due: str
) -> None:
    set_due(sqlite_installation, due)
    page = browser.signed_in(ALICE, third_party.request())
    assert page.step == due
    interaction = page.path.split("/")[2]
    before = sqlite_installation.counts()
    csrf = {"csrf": page.page.fields["csrf"]}
    everything = csrf | {"decision": "allow", "password": PASSWORD, "identifier": "bella"}
    for step in {"account", "identify", "password", "change_password", "terms", "consent"} - {due}:
        for form in (csrf, everything):
            path = f"/login/{interaction}/{step}"
            assert browser.follow(browser.post(path, form)).step == due, step
            assert browser.follow(browser.get(path)).step == due, step
    assert browser.follow(browser.post(f"/login/{interaction}/{due}", csrf)).step == due
    assert browser.follow(browser.get(f"/authorize/resume/{interaction}")).step == due
    assert browser.authorize(third_party.request()).step == due
    after = sqlite_installation.counts()
    assert {name for name in after if after[name] != before[name]} == {"state"}


# AZ-14
@pytest.mark.parametrize("due", ["change_password", "terms"])
def test_what_becomes_due_on_the_way_is_asked_before_the_answer(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty, due: str
) -> None:
    page = browser.signed_in(ALICE, third_party.request())
    assert page.step == "consent"
    set_due(sqlite_installation, due)
    assert browser.submit(page, decision="allow").step == due


def test_several_things_are_due_in_their_order(
    sqlite_installation: Installation, browser: Browser, third_party: RelyingParty
) -> None:
    publish(sqlite_installation)
    require(sqlite_installation)
    page = browser.signed_in(ALICE, third_party.request())
    assert page.step == "change_password"
    page = change(browser, page)
    assert page.step == "terms"
    page = browser.submit(page, decision="agree")
    assert page.step == "consent"
    assert browser.submit(page, decision="allow").code


def test_what_is_due_for_one_is_not_due_for_others(
    sqlite_installation: Installation, application: RelyingParty
) -> None:
    require(sqlite_installation)
    publish(sqlite_installation, organization="Organisation B")
    assert sqlite_installation.browser().signed_in(ADAM, application.request()).code


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the hot road sends to the database."""
    seen: list[str] = []
    for name in ("all", "count"):
        run = getattr(Prepared, name)

        def counted(self: Prepared, *rest: Any, run: Any = run, **values: Any) -> Any:
            seen.append(str(self._statement))
            return run(self, *rest, **values)

        monkeypatch.setattr(Prepared, name, counted)
    return seen


def test_all_that_may_be_due_is_read_in_the_one_statement_of_the_request(
    installation: Installation, statements: list[str]
) -> None:
    application, browser = RelyingParty(installation, C1), installation.browser()
    publish(installation)
    page = browser.signed_in(ALICE, application.request())
    browser.submit(page, decision="agree")
    statements.clear()
    assert browser.authorize(application.request()).code
    [only] = [sql for sql in statements if "FROM clients" in sql or "state" not in sql]
    assert "terms_acceptances" in only
    assert "required_actions" in only
