"""One server for all tests of pages in this process; a browser of one's own for each."""

from collections.abc import Iterator

import pytest

from tests.browser.world import SETTINGS, World, make_world
from tests.support.running import running
from tests.support.site import site


@pytest.fixture(scope="session")
def served_world() -> Iterator[World]:
    with site() as application, running(settings=SETTINGS) as installation:
        yield make_world(installation, application)


@pytest.fixture
def world(served_world: World) -> World:
    """The server and its applications, as if nothing had happened yet."""
    served_world.reset()
    return served_world
