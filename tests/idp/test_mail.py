"""Mail: one message to one person, over SMTP as it is found in the world."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest

from idp import mail, outbox
from idp.clock import SteerableClock
from idp.errors import Refused
from idp.outbox import OutboxRow
from idp.worker import Worker
from tests.support.kit import ALICE, NOW, Installation
from tests.support.smtp import SmtpServer

# CR, LF and what some programs take for them; the tricks of encoded words.
BREAKS = ["\r\n", "\n", "\r", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\0", "=?utf-8?q?=0A?="]
LETTER = mail.payload(
    to=ALICE.email,
    name=ALICE.name,
    subject="【A】確認",
    text="こんにちは\n",
    html="<p>こんにちは</p>",
)


def build(**changes: str) -> Any:
    sent: dict[str, Any] = {**LETTER, **changes}
    built = mail.build(sent, sender="関所 <no-reply@id.example.test>", clock=SteerableClock(NOW))
    return message_from_bytes(built.as_bytes(), policy=policy.SMTP)


def test_a_mail_has_both_texts_and_says_that_nobody_reads_answers() -> None:
    message = build()
    assert message["Subject"] == "【A】確認"
    assert message["From"] == "関所 <no-reply@id.example.test>"
    assert message["To"] == "Alice Hart <alice@a.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@id.example.test>")
    assert message["Date"].datetime == NOW
    plain, html = message.iter_parts()
    assert plain.get_content().strip() == "こんにちは"
    assert html.get_content().strip() == "<p>こんにちは</p>"


# ML-01
@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
@pytest.mark.parametrize("member", ["name", "subject"])
def test_no_text_adds_a_header_or_a_recipient(member: str, line_break: str) -> None:
    usual = sorted(build().keys())
    message = build(**{member: f"x{line_break}Bcc: eve@evil.example{line_break}{line_break}body"})
    assert sorted(message.keys()) == usual
    assert [str(address.addr_spec) for address in message["To"].addresses] == [ALICE.email]
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]


# ML-01, ML-02
@pytest.mark.parametrize(
    "address",
    [
        "a@a.example, eve@evil.example",
        "a@a.example\r\nBcc: eve@evil.example",
        "<a@a.example> eve@evil.example",
        '"a b"@a.example',
        "a(eve)@a.example",
        "a@[192.0.2.1]",
        "a@a.example.",
        "a" * 65 + "@a.example",
        "a@関所.example",
        "ａ@a.example",
        "",
        "@a.example",
        "a@",
        "a@@a.example",
    ],
)
def test_nothing_is_sent_to_what_is_not_one_plain_address(address: str) -> None:
    with pytest.raises(Refused):
        build(to=address)


def test_without_a_server_a_mail_stays_in_the_outbox() -> None:
    mail.keep(dict(LETTER))


@pytest.fixture
def sending(install: Any, smtp_server: SmtpServer) -> Iterator[Installation]:
    url = smtp_server.url.replace("smtp://", "smtp+plain://")
    yield install(smtp_url=url, mail_from="Sekisho <no-reply@id.example.test>")


def queue(installation: Installation) -> None:
    services = installation.services
    with installation.database() as session:
        outbox.enqueue(session, services.sealer, "mail", LETTER, now=services.clock.now())


def state(installation: Installation) -> tuple[int, bool]:
    """How often it was tried, and whether it was delivered."""
    with installation.database() as session:
        row = session.query(OutboxRow).one()
        return row.attempts, row.done_at is not None


def test_a_queued_mail_arrives_in_one_piece(sending: Installation, smtp_server: SmtpServer) -> None:
    queue(sending)
    assert Worker(sending.services).run_once() == 1
    [delivery] = smtp_server.deliveries
    assert delivery.recipients == (ALICE.email,)
    assert delivery.sender == "no-reply@id.example.test"
    assert delivery.message["Subject"] == "【A】確認"
    assert state(sending) == (1, True)


# CR-11
@pytest.mark.parametrize("answer", ["451 4.3.0 Try again later", "550 5.1.1 No such mailbox"])
def test_a_refused_mail_is_tried_again(
    sending: Installation, smtp_server: SmtpServer, answer: str
) -> None:
    worker = Worker(sending.services)
    queue(sending)
    smtp_server.refuse(answer)
    assert worker.run_once() == 0
    assert state(sending) == (1, False)
    smtp_server.behave()
    sending.pass_time(seconds=10)
    assert worker.run_once() == 1
    assert len(smtp_server.deliveries) == 1


# CR-11
def test_a_mail_cut_off_in_the_middle_is_sent_again(
    sending: Installation, smtp_server: SmtpServer
) -> None:
    worker = Worker(sending.services)
    queue(sending)
    smtp_server.drop()
    assert worker.run_once() == 0
    smtp_server.behave()
    sending.pass_time(seconds=10)
    assert worker.run_once() == 1
    assert state(sending) == (2, True)


# CR-11
def test_a_mail_server_that_is_away_costs_no_mail(
    sending: Installation, smtp_server: SmtpServer
) -> None:
    smtp_server.stop()
    worker = Worker(sending.services)
    queue(sending)
    assert worker.run_once() == 0
    smtp_server.start()
    sending.pass_time(seconds=10)
    assert worker.run_once() == 1
    assert len(smtp_server.deliveries) == 1


# CR-11
def test_a_slow_mail_server_gets_its_mail_once(
    sending: Installation, smtp_server: SmtpServer
) -> None:
    smtp_server.delay = 0.3
    queue(sending)
    worker = Worker(sending.services)
    assert worker.run_once() == 1
    assert worker.run_once() == 0
    assert len(smtp_server.deliveries) == 1


def test_a_server_without_starttls_gets_no_mail_over_plain_text(
    install: Any, smtp_server: SmtpServer
) -> None:
    installation = install(smtp_url=smtp_server.url)
    queue(installation)
    assert Worker(installation.services).run_once() == 0
    assert smtp_server.deliveries == []


def test_the_password_of_the_mail_server_is_not_in_an_error(
    install: Any, smtp_server: SmtpServer
) -> None:
    url = f"smtp+plain://sekisho:hidden-word@127.0.0.1:{smtp_server.port}"
    installation = install(smtp_url=url)
    queue(installation)
    assert Worker(installation.services).run_once() == 0
    assert "hidden-word" not in str(installation.sql("SELECT last_error FROM outbox"))
