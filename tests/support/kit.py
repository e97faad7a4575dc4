"""The black-box kit: one import for whoever tests the provider from outside.

    def test_a_code_becomes_an_id_token(sqlite_installation: Installation) -> None:
        application = RelyingParty(sqlite_installation, C1)
        browser = sqlite_installation.browser()
        page = browser.authorize(application.request())
        answer = browser.sign_in(page, ALICE)
        claims = application.verify(application.redeem(answer.code).get_json()["id_token"])
        assert claims["sub"] == sqlite_installation.sub(ALICE)

Fixtures (tests/conftest.py): `sqlite_installation`; `installation`, once on each pair of stores;
`install`, for settings of the test's own.
"""

from tests.support.browser import Browser, Outcome, Page
from tests.support.installation import (
    Installation,
    Template,
    copy_sqlite,
    keep_postgres,
    make_template,
    reset_postgres,
    reset_sqlite,
)
from tests.support.relying_party import VERIFIER, RelyingParty, basic, challenge_of
from tests.support.world import (
    A1,
    ADAM,
    ALICE,
    APPLICATIONS,
    BELLA,
    C1,
    C2,
    C3,
    DORA,
    FRED,
    ISSUER,
    L1,
    N1,
    NOW,
    OLGA,
    P1,
    PASSWORD,
    PEOPLE,
    Application,
    Person,
)

__all__ = [
    "A1",
    "ADAM",
    "ALICE",
    "APPLICATIONS",
    "BELLA",
    "C1",
    "C2",
    "C3",
    "DORA",
    "FRED",
    "ISSUER",
    "L1",
    "N1",
    "NOW",
    "OLGA",
    "P1",
    "PASSWORD",
    "PEOPLE",
    "VERIFIER",
    "Application",
    "Browser",
    "Installation",
    "Outcome",
    "Page",
    "Person",
    "RelyingParty",
    "Template",
    "basic",
    "challenge_of",
    "copy_sqlite",
    "keep_postgres",
    "make_template",
    "reset_postgres",
    "reset_sqlite",
]
