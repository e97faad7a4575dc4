"""Text messages: short enough for one, never late, tried again while they are of use."""

import re
from datetime import timedelta
from typing import Any

import pytest

from idp import outbox, sms
from idp.settings import LANGUAGES
from idp.worker import Worker
from tests.conftest import Install
from tests.support.kit import Installation
from tests.support.site import Reply, Site, site

CODE = "K7M2PX"
TO = "+819012345678"
NAMES = [
    "A",
    "Example Ltd",
    "さくら商事",
    "株式会社さくら国際総合物流サービス東日本統括本部 経理部 第一課",
    "Konstantinopolitanische Dudelsackpfeifenmachergesellschaft [24]",
    "Ünïcödé ŵith many accents",
    "{[^]}€~|\\ {[^]}€~|\\ {[^]}€~|\\",
    "🏯" * 64,
    "x" * 64,
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("host", [None, "id.example.test", "a" * 60 + ".example.test"])
def test_a_code_is_always_one_message(language: str, name: str, host: str | None) -> None:
    text = sms.code_text(language, name, CODE, host)
    assert sms.fits(text)
    assert re.search(rf"\b{CODE}\b", text)
    assert name[:7] in text
    if "#" in text:
        assert host is not None
        assert text.splitlines()[-1] == f"@{host} #{CODE}"


def test_the_texts_are_as_short_as_they_should_be() -> None:
    japanese = sms.code_text("ja", "株式会社さくら国際総合物流サービス東日本統括本部", CODE, None)
    assert len(japanese) <= 70
    english = sms.code_text("en", "Example Ltd", CODE, "id.example.test")
    assert len(english) <= 160
    assert english.endswith(f"\n@id.example.test #{CODE}")
    assert english.isascii()


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("x" * 160, True),
        ("x" * 161, False),
        ("[" * 80, True),
        ("[" * 80 + "x", False),
        ("あ" * 70, True),
        ("あ" * 71, False),
        ("🏯" * 35, True),
        ("🏯" * 35 + "x", False),
        ("x" * 70 + "あ", False),
    ],
)
def test_what_fits_is_counted_as_networks_count_it(text: str, does: bool) -> None:
    assert sms.fits(text) is does


def enqueue(installation: Installation, minutes: int = 10) -> None:
    services, now = installation.services, installation.clock.now()
    with installation.database() as session:
        until = now + timedelta(minutes=minutes)
        sms.enqueue(session, services.sealer, to=TO, text=f"code {CODE}", now=now, until=until)


def row_of(installation: Installation) -> dict[str, Any]:
    [row] = installation.sql("SELECT attempts, due_at, done_at, last_error, payload FROM outbox")
    return row


def with_gateway(install: Install, gateway: Site) -> Installation:
    return install(
        sms_url=gateway.url("/send"),
        sms_body="to={to}&text={text}",
        outbound_networks=("127.0.0.0/8", "::1/128"),
    )


def test_the_worker_hands_a_message_to_the_gateway_once(install: Install) -> None:
    with site() as gateway:
        gateway.answers["/send"] = Reply(status=202)
        installation = with_gateway(install, gateway)
        enqueue(installation)
        assert CODE.encode() not in bytes(row_of(installation)["payload"])
        worker = Worker(installation.services)
        assert (worker.run_once(), worker.run_once()) == (1, 0)
        [received] = gateway.received
        assert received.form == {"to": TO, "text": f"code {CODE}"}


def test_a_failing_gateway_is_tried_again(install: Install) -> None:
    with site() as gateway:
        installation = with_gateway(install, gateway)
        enqueue(installation)
        worker = Worker(installation.services)
        gateway.answers["/send"] = Reply(b"no " + TO.encode(), 503)
        assert worker.run_once() == 0
        row = row_of(installation)
        assert (row["attempts"], row["done_at"]) == (1, None)
        assert "503" in row["last_error"]
        assert TO not in row["last_error"]
        gateway.answers["/send"] = Reply()
        assert worker.run_once() == 0
        installation.pass_time(seconds=10)
        assert worker.run_once() == 1
        assert len(gateway.received) == 2


def test_a_gateway_that_is_away_is_tried_again(install: Install) -> None:
    with site() as gateway:
        installation = with_gateway(install, gateway)
    enqueue(installation)
    assert Worker(installation.services).run_once() == 0
    row = row_of(installation)
    assert row["due_at"] is not None
    assert "localhost" in row["last_error"]


# BF-09
def test_a_code_that_is_no_longer_valid_is_not_delivered(install: Install) -> None:
    with site() as gateway:
        gateway.answers["/send"] = Reply(status=500)
        installation = with_gateway(install, gateway)
        enqueue(installation)
        worker = Worker(installation.services)
        installation.pass_time(minutes=9, seconds=59)
        assert worker.run_once() == 0
        gateway.answers["/send"] = Reply()
        installation.pass_time(minutes=11)
        assert (worker.run_once(), worker.run_once()) == (0, 0)
        assert len(gateway.received) == 1
        row = row_of(installation)
        assert row["due_at"] is None
        assert row["last_error"].startswith("TooLate")
        installation.pass_time(seconds=outbox.KEEP.total_seconds() + 1)
        worker.run_once()
        assert installation.sql("SELECT id FROM outbox") == []


def test_without_a_gateway_the_message_stays_in_the_outbox(install: Install) -> None:
    installation = install(sms_url="")
    enqueue(installation)
    assert Worker(installation.services).run_once() == 1
    assert row_of(installation)["last_error"] is None
