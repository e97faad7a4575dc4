"""The worker: one round does everything that is due, and a failing round is not its last."""

import threading

import pytest

from idp import outbox
from idp.worker import KEEP_SESSIONS, Worker
from tests.support.kit import ALICE, C1, Installation, RelyingParty


def test_a_round_without_a_mail_server_empties_the_outbox(installation: Installation) -> None:
    services = installation.services
    with installation.database() as session:
        outbox.enqueue(session, services.sealer, "mail", {}, now=services.clock.now())
    assert Worker(services).run_once() == 1
    assert Worker(services).run_once() == 0


def test_keys_are_rotated_when_it_is_time(sqlite_installation: Installation) -> None:
    services = sqlite_installation.services
    worker = Worker(services)

    def kids() -> set[str]:
        return {key.kid for key in services.keyring.public_keys(services.clock.now())}

    worker.run_once()
    before = kids()
    sqlite_installation.pass_time(days=services.settings.key_rotation_days)
    worker.run_once()
    assert kids() > before


def test_what_has_expired_is_swept_but_not_at_every_round(
    sqlite_installation: Installation,
) -> None:
    RelyingParty(sqlite_installation, C1).code(sqlite_installation.browser(), ALICE)
    worker = Worker(sqlite_installation.services)
    worker.run_once()

    def is_there() -> bool:
        return bool(sqlite_installation.sql("SELECT id FROM sessions"))

    sqlite_installation.pass_time(seconds=KEEP_SESSIONS.total_seconds() - 60)
    worker.run_once()
    assert is_there()
    sqlite_installation.pass_time(seconds=61)
    worker.run_once()
    assert is_there()
    sqlite_installation.pass_time(minutes=5)
    worker.run_once()
    assert not is_there()


def test_sweeping_ends_nobody_who_is_signed_in(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    application.code(browser, ALICE)
    sqlite_installation.pass_time(minutes=30)
    Worker(sqlite_installation.services).run_once()
    assert browser.authorize(application.request(prompt="none")).answer["code"]


def test_a_failing_round_is_logged_and_the_next_one_works(
    sqlite_installation: Installation,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("idp.worker.POLL_SECONDS", 0.01)
    services = sqlite_installation.services
    with sqlite_installation.database() as session:
        outbox.enqueue(session, services.sealer, "mail", {}, now=services.clock.now())
    sqlite_installation.sql("ALTER TABLE outbox RENAME TO elsewhere")
    stop = threading.Event()
    worker = threading.Thread(target=Worker(services).run, args=(stop,))
    worker.start()
    while "worker round failed" not in caplog.text:
        stop.wait(0.01)
        assert worker.is_alive()
    sqlite_installation.sql("ALTER TABLE elsewhere RENAME TO outbox")
    while not sqlite_installation.sql("SELECT id FROM outbox WHERE done_at IS NOT NULL"):
        stop.wait(0.01)
        assert worker.is_alive()
    stop.set()
    worker.join(timeout=10)
    assert not worker.is_alive()


def test_it_stops_at_once_when_told(sqlite_installation: Installation) -> None:
    stop = threading.Event()
    stop.set()
    Worker(sqlite_installation.services).run(stop)
