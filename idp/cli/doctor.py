"""The examination behind `sekisho doctor`: what works, what does not, what to do."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from idp import db, mail, migrations, services, settings, sms_gateway
from idp.clock import SystemClock
from idp.errors import SekishoError, SettingsError
from idp.http import Outbound, OutboundError
from idp.redis_state import RedisStateStore
from idp.settings import Settings

CLOCK_TOLERANCE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    result: str
    """`ok`, `note` or `failed`."""
    advice: str = ""


def make_data_dir(given: Settings) -> None:
    """Makes the data directory, for the owner alone. Raises SettingsError."""
    try:
        given.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = given.data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"the data directory {given.data_dir} cannot be written: {error.strerror}. "
            "Set SEKISHO_DATA_DIR to a folder of this user"
        ) from error


def examine() -> list[Finding]:
    """Every check, each on its own: one failure hides no other."""
    try:
        given = settings.load()
    except SettingsError as error:
        return [Finding("settings", "failed", str(error))]
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _base_url,
        _database,
        _state,
        _mail,
        _sms,
        _keys,
    ]
    return [Finding("settings", "ok"), *(found for check in checks for found in check(given))]


def _base_url(given: Settings) -> Iterator[Finding]:
    if not given.base_url:
        yield Finding("base URL", "failed", "set SEKISHO_BASE_URL to the address that people open")
        return
    host = urlsplit(given.base_url).hostname or ""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        yield Finding("base URL", "failed", f"{host} has no address: check the name in DNS")
        return
    if given.is_https and not given.trusted_proxies:
        yield Finding(
            "base URL",
            "note",
            "behind a TLS proxy set SEKISHO_TRUSTED_PROXIES, else everybody seems to come from it "
            "and one guesser slows down all",
        )
    else:
        yield Finding("base URL", "ok")


def _database(given: Settings) -> Iterator[Finding]:
    engine = db.make_writer(given.main_database_url)
    try:
        current = migrations.current(engine)
        if current == migrations.NEWEST:
            yield Finding("database", "ok")
        else:
            yield Finding("database", "failed", "run `sekisho db upgrade`")
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            skew = abs((there.astimezone(UTC) - SystemClock().now()).total_seconds())
            if skew > CLOCK_TOLERANCE_SECONDS:
                yield Finding(
                    "clock", "failed", f"{skew:.0f} s apart from the database: synchronise by NTP"
                )
            else:
                yield Finding("clock", "ok")
        else:
            yield Finding("clock", "note", "one machine: compare it with NTP")
    except SQLAlchemyError as error:
        reason = (str(error).splitlines() or [""])[0][:160]
        yield Finding("database", "failed", f"check SEKISHO_DATABASE_URL and the server: {reason}")
    finally:
        engine.dispose()


def _state(given: Settings) -> Iterator[Finding]:
    if not given.redis_url:
        yield Finding("Redis", "note", "not set: short-lived state is kept in the database")
        return
    try:
        RedisStateStore(given.redis_url).ping()
        yield Finding("Redis", "ok")
    except SekishoError:
        yield Finding(
            "Redis", "failed", "check SEKISHO_REDIS_URL and the server (Redis 6.2 or newer)"
        )


def _mail(given: Settings) -> Iterator[Finding]:
    if not given.smtp_url:
        yield Finding("mail", "note", "SEKISHO_SMTP_URL is not set: mails stay in the outbox")
        return
    try:
        with mail.connected(given):
            yield Finding("mail", "ok")
    except (smtplib.SMTPException, ssl.SSLError, OSError) as error:
        yield Finding(
            "mail", "failed", f"check SEKISHO_SMTP_URL: {type(error).__name__} {error}"[:200]
        )


def _sms(given: Settings) -> Iterator[Finding]:
    if not given.sms_url:
        yield Finding("SMS", "note", "SEKISHO_SMS_URL is not set: no text messages are offered")
        return
    gateway = sms_gateway.read(given.sms_url, given.sms_headers, given.sms_body)
    outbound = Outbound(given.outbound_networks, given.outbound_ca)
    try:
        # Sends nobody anything: whatever it answers, it can be reached.
        outbound.send("HEAD", gateway.url, may_be_plain=True)
    except OutboundError as error:
        yield Finding("SMS", "failed", f"check SEKISHO_SMS_URL: {error}")
        return
    if "*" in given.sms_countries:
        yield Finding("SMS", "note", "SEKISHO_SMS_COUNTRIES=* invites fraud: name your countries")
    else:
        yield Finding("SMS", "ok")


def _keys(given: Settings) -> Iterator[Finding]:
    try:
        built = services.build(given)
    except SettingsError as error:
        yield Finding("keys", "failed", str(error))
        return
    built.close()
    yield Finding("keys", "ok")
