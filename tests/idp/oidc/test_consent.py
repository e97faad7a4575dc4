"""Consent: to what was shown, for this application, once."""

from __future__ import annotations

import pytest

from tests.support.kit import (
    ALICE,
    C1,
    C3,
    Application,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
)


@pytest.fixture
def third_party(sqlite_installation: Installation) -> RelyingParty:
    """C3, which needs consent."""
    return RelyingParty(sqlite_installation, C3)


@pytest.fixture
def page(third_party: RelyingParty, browser: Browser) -> Outcome:
    """Where Alice is asked."""
    asked = browser.signed_in(ALICE, third_party.request())
    assert asked.step == "consent"
    return asked


# AZ-16
def test_agreement_is_to_what_was_shown_and_nothing_that_a_form_adds(
    third_party: RelyingParty, browser: Browser, page: Outcome
) -> None:
    added = {"decision": "allow", "scope": "openid email", "client_id": "c1", "scopes": "email"}
    outcome = browser.submit(page, **added)
    assert outcome.code
    assert third_party.installation.sql("SELECT client_id, scope FROM consents") == [
        {"client_id": "c3", "scope": "openid"}
    ]
    more = third_party.request(scope="openid email")
    assert browser.authorize(more | {"prompt": "none"}).error == "consent_required"
    assert browser.authorize(more).step == "consent"
    claims = third_party.verify(third_party.redeem(outcome.code).get_json()["id_token"])
    assert "email" not in claims


# AZ-16
def test_agreement_given_in_one_visit_is_not_taken_for_another(
    third_party: RelyingParty, browser: Browser, page: Outcome
) -> None:
    wider = browser.authorize(third_party.request(scope="openid email phone"))
    assert wider.step == "consent"
    swapped = browser.post(wider.path, page.page.fields | {"decision": "allow"})
    assert swapped.status_code == 403
    assert browser.submit(page, decision="allow").code
    assert browser.follow(browser.get(wider.path)).step == "consent"


# AZ-16
@pytest.mark.parametrize("registered", [C1, C3], ids=lambda one: one.client_id)
def test_consent_is_skipped_for_first_parties_alone_and_asked_once(
    sqlite_installation: Installation, registered: Application
) -> None:
    application, browser = (
        RelyingParty(sqlite_installation, registered),
        sqlite_installation.browser(),
    )
    outcome = browser.signed_in(ALICE, application.request())
    assert (outcome.step == "consent") == (registered is C3)
    if outcome.is_page:
        outcome = browser.submit(outcome, decision="allow")
    assert outcome.code
    assert browser.authorize(application.request(prompt="none")).code
    assert browser.authorize(application.request(prompt="consent")).step == "consent"


# AZ-16
def test_somebody_who_does_not_agree_is_access_denied_and_asked_again_next_time(
    third_party: RelyingParty, browser: Browser, page: Outcome
) -> None:
    outcome = browser.submit(page, decision="deny")
    assert outcome.error == "access_denied" and outcome.answer["state"] == "the state"
    assert browser.authorize(third_party.request()).step == "consent"
    assert third_party.installation.sql("SELECT count(*) AS n FROM consents") == [{"n": 0}]
