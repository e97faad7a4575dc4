"""Fixtures for all tests: the network is off, real servers are there for those who ask.

A test that asks for a server's fixture gets its marker (`-m "not postgres"`) and is skipped,
counted aloud, when the server is not installed. See tests/support/ for what they can do.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import settings
from xdist.scheduler import WorkStealingScheduling

from tests.support.network import block_outside
from tests.support.servers import PostgresServer, RedisServer, find_postgres, find_redis
from tests.support.shared_postgres import SharedPostgres, shared_postgres
from tests.support.skips import SkipCounter, needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

    from tests.support.kit import Browser, Installation, RelyingParty, Template
    from tests.support.smtp import SmtpServer

MARKED_BY_FIXTURE = {
    "postgres": {"postgres_url", "postgres_server", "shared_postgres_server"},
    "redis": {"redis_url", "redis_server", "shared_redis_server"},
    "browser": {"chromium"},
    "node": {"node"},
}

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure(config: pytest.Config) -> None:
    """Count the skipped tests; no test is a matter of time, for machines that run them are busy."""
    config.pluginmanager.register(SkipCounter(), "sekisho-skips")
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Neighbours stay in one process, so that what a folder's tests share is mostly made once."""
    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the fixtures it asks for, before `-m` chooses."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        for marker, fixtures in MARKED_BY_FIXTURE.items():
            if asked & fixtures:
                item.add_marker(marker)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        block_outside(monkeypatch)
        yield


def _require_redis() -> None:
    if find_redis() is None:
        needs("redis", "redis-server is not installed")


def _require_postgres() -> None:
    if find_postgres() is None:
        needs("postgres", "the PostgreSQL server is not installed")


@pytest.fixture(scope="session")
def shared_redis_server() -> Iterator[RedisServer]:
    """This process's Redis for all tests that do not stop it; see `redis_url`."""
    _require_redis()
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    shared_redis_server.flush()
    return shared_redis_server.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running Redis of the test's own, to be killed, paused and started again."""
    _require_redis()
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres_server(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[SharedPostgres]:
    """The run's PostgreSQL for all tests that do not stop it; see `postgres_url`."""
    _require_postgres()
    own = tmp_path_factory.getbasetemp()
    with shared_postgres(own if worker_id == "master" else own.parent) as server:
        yield server


@pytest.fixture(scope="session")
def _reused_database(shared_postgres_server: SharedPostgres) -> Iterator[str]:
    name = shared_postgres_server.create_database()
    yield name
    shared_postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(shared_postgres_server: SharedPostgres, _reused_database: str) -> str:
    """The URL of an empty database, `postgresql+psycopg://…`."""
    shared_postgres_server.empty_database(_reused_database)
    return shared_postgres_server.url(_reused_database)


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL of the test's own, to be killed, paused and started again."""
    _require_postgres()
    with PostgresServer() as server:
        yield server


@pytest.fixture
def smtp_server() -> Iterator["SmtpServer"]:
    """A listening mail server."""
    from tests.support.smtp import SmtpServer

    server = SmtpServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator["Chromium"]:
    """A headless Chromium; take a `new_context()` for each person.

    While it runs, Playwright's event loop counts as running in this thread: no `asyncio.run`
    beside it.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        needs("chromium", "chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node.js program, with the packages of tests/real/node installed beside their scripts."""
    program = shutil.which("node")
    if program is None:
        needs("node", "Node.js is not installed")
    packages = Path(__file__).parent / "real" / "node" / "node_modules"
    if not packages.is_dir():
        needs("node", f"{os.path.relpath(packages)} is missing, see `make test`")
    return Path(program)


class Install(Protocol):
    """Makes installations with settings of the test's own, on SQLite."""

    def __call__(self, **settings: Any) -> "Installation": ...


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> "Template":
    """The migrated and filled database that `install` copies. Not to be written to."""
    from tests.support.kit import make_template

    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def install(
    sqlite_template: "Template", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Install]:
    """Makes installations on SQLite, closed after the test."""
    from tests.support.kit import copy_sqlite

    made: list[Installation] = []

    def one(**settings: Any) -> "Installation":
        folder = tmp_path_factory.mktemp("installation")
        made.append(copy_sqlite(sqlite_template, folder, **settings))
        return made[-1]

    yield one
    for installation in made:
        installation.close()


@pytest.fixture(scope="session")
def _reused_installation(
    sqlite_template: "Template", tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Installation"]:
    from tests.support.kit import copy_sqlite

    installation = copy_sqlite(sqlite_template, tmp_path_factory.mktemp("installation"))
    yield installation
    installation.close()


@pytest.fixture
def sqlite_installation(
    sqlite_template: "Template", _reused_installation: "Installation"
) -> "Installation":
    """A provider with everybody of tests/support/world.py, on SQLite alone, as good as new."""
    from tests.support.kit import reset_sqlite

    reset_sqlite(sqlite_template, _reused_installation)
    return _reused_installation


@pytest.fixture
def application(sqlite_installation: "Installation") -> "RelyingParty":
    """C1, a confidential first-party client, on SQLite."""
    from tests.support.kit import C1, RelyingParty

    return RelyingParty(sqlite_installation, C1)


@pytest.fixture
def browser(sqlite_installation: "Installation") -> "Browser":
    """A browser without cookies at the provider on SQLite."""
    return sqlite_installation.browser()


@pytest.fixture(scope="session")
def _reused_postgres_installation(
    shared_postgres_server: SharedPostgres,
    shared_redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["Installation"]:
    from tests.support.kit import keep_postgres, make_template

    name = shared_postgres_server.create_database()
    template = make_template(
        tmp_path_factory.mktemp("installation"),
        database_url=shared_postgres_server.url(name),
        redis_url=shared_redis_server.url,
    )
    installation = template.install(template.settings)
    keep_postgres(installation)
    yield installation
    installation.close()
    shared_postgres_server.drop_database(name)


@pytest.fixture
def postgres_installation(
    _reused_postgres_installation: "Installation", redis_url: str
) -> "Installation":
    """The same on PostgreSQL and Redis."""
    from tests.support.kit import reset_postgres

    reset_postgres(_reused_postgres_installation)
    return _reused_postgres_installation


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.redis]),
    ]
)
def installation(request: pytest.FixtureRequest) -> "Installation":
    """A provider on each pair of stores: for tests about what is stored and raced for."""
    # Asked for only now, so that the tests on SQLite start no server.
    made: Installation = request.getfixturevalue(f"{request.param}_installation")
    return made
