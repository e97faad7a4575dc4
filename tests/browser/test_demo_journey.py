"""A newcomer's first minutes: `sekisho demo`, real Chromium, the demo application and back."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pages import allow, person, sign_in
from tests.support.processes import ROOT, Process
from tests.support.running import SEKISHO, answers
from tests.support.servers import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HEADINGS = {"ja": "Demo application にサインイン", "en": "Sign in to Demo application"}


class Demo:
    """`sekisho demo` with its own ports and data."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port, self.application_port = free_port(), free_port()
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SEKISHO_")},
            "SEKISHO_PORT": str(self.port),
            "SEKISHO_DEMO_APP_PORT": str(self.application_port),
            "SEKISHO_DATA_DIR": str(folder / "data"),
            **settings,
        }
        self.process: Process | None = None

    @property
    def application(self) -> str:
        """The address that it prints for the application."""
        return f"http://127.0.0.1:{self.application_port}"

    @property
    def password(self) -> str:
        """As printed for the newcomer."""
        found = re.search(r"password: (.+)", self.printed)
        assert found is not None
        return found[1]

    @property
    def printed(self) -> str:
        assert self.process is not None
        return self.process.output

    def start(self) -> Process:
        log = self.folder / "demo.log"
        log.unlink(missing_ok=True)
        self.process = Process([str(SEKISHO), "demo"], environment=self.environment, log=log)
        self.process.wait_until(
            lambda: answers(f"http://127.0.0.1:{self.port}/readyz") and answers(self.application)
        )
        return self.process

    def press_ctrl_c(self) -> int:
        """As a terminal does: SIGINT to the whole foreground process group. Its exit code."""
        assert self.process is not None
        self.process.descendants()
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait()

    def refused(self) -> subprocess.CompletedProcess[str]:
        """What it says when it cannot start."""
        return subprocess.run(
            [str(SEKISHO), "demo"],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Demo]:
    demo = Demo(folder, **settings)
    try:
        demo.start()
        yield demo
    finally:
        if demo.process is not None:
            demo.process.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """On SQLite alone."""
    with started(tmp_path_factory.mktemp("demo")) as running:
        yield running


def shown(page: "Page", demo: Demo) -> Any:
    """The claims of the ID token that the application shows."""
    page.wait_for_url(demo.application + "/")
    return json.loads(page.text_content("#id-token") or "")


def sign_out(page: "Page", demo: Demo) -> None:
    page.click("#sign-out")
    page.wait_for_url(demo.application + "/")
    page.wait_for_selector("#sign-in")


@pytest.mark.parametrize(
    ("language", "identifier", "name", "javascript"),
    [
        pytest.param("ja", "hanako", "佐藤 花子", True, id="Japanese"),
        pytest.param("en", "alice@example.com", "Alice Hart", False, id="English, no script"),
        pytest.param("en", "bob", "Bob Stone", True, id="English", marks=pytest.mark.slow),
    ],
)
def test_a_newcomer_signs_in_sees_the_id_token_and_signs_out(
    chromium: "Browser", demo: Demo, language: str, identifier: str, name: str, javascript: bool
) -> None:
    with person(chromium, locale=language, java_script_enabled=javascript) as page:
        page.goto(demo.application)
        page.click("#sign-in")
        assert page.text_content("h1") == HEADINGS[language]
        assert page.get_attribute("html", "lang") == language

        sign_in(page, identifier, demo.password)
        allow(page)
        claims = shown(page, demo)
        assert claims["iss"] == f"http://localhost:{demo.port}"
        assert claims["name"] == name
        assert page.text_content("#name") == name

        sign_out(page, demo)
        page.click("#sign-in")
        page.wait_for_selector("#identifier")  # Signed out of the provider as well.


def test_what_the_demo_prints_are_places_that_can_be_opened(demo: Demo) -> None:
    addresses = re.findall(r"http://\S+", demo.printed)
    assert demo.application in addresses
    assert f"http://localhost:{demo.port}/demo/mails" in addresses
    assert all(answers(address) for address in addresses if address.endswith("/mails"))


@pytest.mark.slow
def test_the_demo_on_postgresql_and_redis_ends_by_ctrl_c_and_remembers_at_its_second_start(
    chromium: "Browser", tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    stores = {"SEKISHO_DATABASE_URL": postgres_url, "SEKISHO_REDIS_URL": redis_url}
    with started(tmp_path, **stores) as demo:
        with person(chromium, locale="en") as page:
            page.goto(demo.application)
            page.click("#sign-in")
            sign_in(page, "bob", demo.password)
            allow(page)
            first = shown(page, demo)
            sign_out(page, demo)
        assert not list((tmp_path / "data").glob("*.db"))

        process = demo.process
        assert process is not None
        assert len(process.descendants()) >= 2  # A worker and the application.
        assert demo.press_ctrl_c() == 0
        assert process.leftovers() == []
        assert "Traceback" not in demo.printed

        demo.start()
        with person(chromium, locale="en") as page:
            page.goto(demo.application)
            page.click("#sign-in")
            sign_in(page, "bob", demo.password)  # And is not asked for consent again.
            assert shown(page, demo)["sub"] == first["sub"]


def assert_one_clear_line(refused: subprocess.CompletedProcess[str], *words: str) -> None:
    assert refused.returncode != 0
    assert refused.stdout == ""
    lines = refused.stderr.splitlines()
    assert len(lines) == 1, refused.stderr
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("name", ["SEKISHO_PORT", "SEKISHO_DEMO_APP_PORT"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = Demo(tmp_path, **{name: port}).refused()
    assert_one_clear_line(refused, port, name)
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused = Demo(tmp_path, SEKISHO_DATA_DIR=str(tmp_path / "file" / "data")).refused()
    assert_one_clear_line(refused, str(tmp_path / "file" / "data"))
