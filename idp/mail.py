"""Mail: one conservative message, sent by SMTP or kept for the demo to show.

Owns building (RFC 5322) and sending (RFC 5321). Does not own words: callers hand over rendered
texts; nor retries: the outbox does.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any
from urllib.parse import unquote, urlsplit

from idp.accounts.identifiers import check_address
from idp.clock import Clock
from idp.settings import Settings

TIMEOUT_SECONDS = 20


def payload(*, to: str, name: str, subject: str, text: str, html: str) -> dict[str, str]:
    """What the outbox keeps of one mail."""
    return {"to": to, "name": name, "subject": subject, "text": text, "html": html}


def build(mail: dict[str, Any], *, sender: str, clock: Clock) -> EmailMessage:
    """The message. Header injection is impossible: one line, one recipient, checked (ML-01)."""
    message = EmailMessage()
    sender_name, sender_address = parseaddr(sender)
    message["From"] = _address(sender_name, sender_address)
    message["To"] = _address(mail["name"], check_address(mail["to"]))
    message["Subject"] = _one_line(mail["subject"])
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=sender_address.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers, please
    message.set_content(mail["text"])
    message.add_alternative(mail["html"], subtype="html")
    return message


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(_one_line(name), local, domain)


def _one_line(text: str) -> str:
    # The library would decode an encoded word in the text, line breaks in it included.
    text = text.replace("=?", "= ?")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def smtp_sender(settings: Settings, clock: Clock) -> Callable[[dict[str, Any]], None]:
    """Delivers over `SEKISHO_SMTP_URL`; raises smtplib.SMTPException or OSError to be retried."""

    def send(mail: dict[str, Any]) -> None:
        message = build(mail, sender=settings.mail_from, clock=clock)
        with connected(settings) as server:
            server.send_message(message)

    return send


@contextmanager
def connected(settings: Settings) -> Iterator[smtplib.SMTP]:
    """The server of `SEKISHO_SMTP_URL`, greeted and logged in to."""
    parts = urlsplit(settings.smtp_url)
    context = ssl.create_default_context()
    with _connect(parts.scheme, parts.hostname or "", parts.port, context) as server:
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        else:
            server.ehlo_or_helo_if_needed()
        yield server


def _connect(scheme: str, host: str, port: int | None, context: ssl.SSLContext) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, port or (587 if scheme == "smtp" else 25), timeout=TIMEOUT_SECONDS)
    if scheme == "smtp":
        try:
            server.starttls(context=context)  # Never falls back to plain text.
        except BaseException:
            server.close()
            raise
    return server


def keep(_mail: dict[str, Any]) -> None:
    """Without an SMTP server the mail stays in the outbox, where the demo shows it."""
