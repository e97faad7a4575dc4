"""The servers of all tests that leave them as they were, started when first asked for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.support.traffic import Road
from tests.support.wire import SERVERS, serving

Serve = Callable[[str], Road]


@pytest.fixture(scope="session")
def _serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield cache(lambda server: stack.enter_context(serving(server)))


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, _serve: Serve) -> Road:
    """Each kind of server."""
    return _serve(request.param)


@pytest.fixture
def faced(_serve: Serve) -> Road:
    """`sekisho serve`, for what gunicorn leaves to a proxy."""
    return _serve("sekisho")
