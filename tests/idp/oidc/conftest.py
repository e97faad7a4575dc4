"""What most tests of the protocol start from."""

from __future__ import annotations

import pytest

from tests.support.kit import ALICE, C1, Browser, Installation, RelyingParty


@pytest.fixture
def application(sqlite_installation: Installation) -> RelyingParty:
    """C1, a confidential first-party client, on SQLite."""
    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: Installation) -> Browser:
    """A browser without cookies."""
    return sqlite_installation.browser()


@pytest.fixture
def signed_in(application: RelyingParty, browser: Browser) -> Browser:
    """Alice's browser."""
    assert application.code(browser, ALICE)
    return browser
