"""What most tests of the protocol start from."""

from __future__ import annotations

import pytest

from tests.support.kit import ALICE, Browser, RelyingParty


@pytest.fixture
def code(application: RelyingParty, browser: Browser) -> str:
    """A fresh code of C1's for Alice."""
    return application.code(browser, ALICE)


@pytest.fixture
def signed_in(application: RelyingParty, browser: Browser) -> Browser:
    """Alice's browser."""
    assert application.code(browser, ALICE)
    return browser
