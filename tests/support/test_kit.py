"""The kit itself: a whole sign-in on each pair of stores."""

import pytest

from tests.support.kit import (
    ALICE,
    APPLICATIONS,
    C1,
    Application,
    Installation,
    RelyingParty,
)


def test_a_person_signs_in_and_the_application_gets_an_id_token(installation: Installation) -> None:
    application = RelyingParty(installation, C1)
    browser = installation.browser()
    page = browser.authorize(application.request())
    assert page.step == "identify"
    answer = browser.sign_in(page, ALICE)
    claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert claims["sub"] == installation.sub(ALICE)


@pytest.mark.parametrize("registered", APPLICATIONS, ids=lambda one: one.client_id)
def test_every_application_of_the_kit_works(
    sqlite_installation: Installation, registered: Application
) -> None:
    application = RelyingParty(sqlite_installation, registered)
    claims = application.claims(sqlite_installation.browser(), ALICE)
    assert claims["sub"] == sqlite_installation.sub(ALICE)
