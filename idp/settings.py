"""Settings: what an installation is told from outside, with unit and default, judged at start.

Sources, the later winning: defaults, one TOML file (`SEKISHO_CONFIG`), environment `SEKISHO_*`.
A secret may also be given as a file: `SEKISHO_MASTER_KEY_FILE=/run/secrets/master_key`.
Unknown names and unsafe combinations are refused with what to do. docs/SETTINGS.md is generated
from this module (`sekisho settings`), a test asserts it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from idp import setting_sources, sms_gateway
from idp.accounts.identifiers import check_address
from idp.errors import Refused, SettingsError
from idp.policy import SecondFactor
from idp.setting_sources import PREFIX
from idp.urls import base_url_problems, is_loopback, smtp_problems

LANGUAGES = ("en", "ja")


def _setting(default: Any, doc: str, *, unit: str = "", secret: bool = False) -> Any:
    return field(
        default=default, repr=not secret, metadata={"doc": doc, "unit": unit, "secret": secret}
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Frozen: a change needs a restart."""

    base_url: str = _setting(
        "", "Public address and issuer, exactly as relying parties write it, no trailing slash."
    )
    host: str = _setting("127.0.0.1", "Address that `serve` and `demo` listen on.")
    port: int = _setting(8420, "Port that `serve` and `demo` listen on.", unit="TCP port")
    demo_app_port: int = _setting(8421, "Port of the demo's relying application.", unit="TCP port")
    data_dir: Path = _setting(
        Path("data"), "Folder for what has no other place: SQLite files, master key file."
    )
    database_url: str = _setting(
        "",
        "`postgresql+psycopg://…`; empty: SQLite in the data directory.",
        secret=True,
    )
    redis_url: str = _setting(
        "", "`redis://…` for short-lived state; empty: kept in the database.", secret=True
    )
    smtp_url: str = _setting(
        "",
        "`smtp://user:password@host:587` (STARTTLS), `smtps://…:465`, or `smtp+plain://…` on "
        "loopback; empty: mails stay in the outbox.",
        secret=True,
    )
    mail_from: str = _setting("Sekisho <no-reply@localhost>", "Sender of mails.")
    sms_url: str = _setting(
        "",
        "Where text messages are posted: `https://…` of a gateway, or "
        "`twilio://ACCOUNT:TOKEN@/SENDER`; empty: no text messages are offered.",
        secret=True,
    )
    sms_headers: str = _setting(
        "", "Headers for the gateway, one `Name: value` a line.", secret=True
    )
    sms_body: str = _setting(
        sms_gateway.DEFAULT_BODY,
        "What is posted to the gateway: JSON or a form, with `{to}` and `{text}` in it.",
    )
    sms_countries: tuple[str, ...] = _setting(
        ("JP",),
        "Countries to which text messages go, comma-separated codes such as `JP,US`; `*`: all, "
        "which invites fraud.",
    )
    sms_per_day: int = _setting(
        1000, "Text messages of the whole installation, at most.", unit="each day"
    )
    outbound_networks: tuple[str, ...] = _setting(
        (),
        "Networks that Sekisho may call beside the public internet (an SMS gateway in your own), "
        "comma-separated CIDR.",
    )
    outbound_ca_file: str = _setting(
        "", "PEM file of certificate authorities believed beside the system's when calling others."
    )
    master_key: str = _setting(
        "",
        "32 bytes, hexadecimal or base64: seals what is secret at rest (`sekisho keys master`). "
        "Empty: the file `master.key` in the data directory.",
        secret=True,
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (), "Networks of proxies whose `X-Forwarded-For` is believed, comma-separated CIDR."
    )
    default_language: str = _setting("en", "For those who ask for no language: `en` or `ja`.")
    workers: int = _setting(0, "Processes of `serve`; 0: one for each core.")
    # Each waits for a password's turn or a store; with few, a rush of sign-ins is turned away.
    threads: int = _setting(8, "Threads in each process of `serve`.")
    second_factor: str = _setting(
        "off",
        "What every organisation asks at least: `off`, `new_browser` (a second factor where a "
        "browser is not remembered) or `always`.",
    )
    session_idle_minutes: int = _setting(60, "A session unused this long ends.", unit="minutes")
    session_hours: int = _setting(12, "A session older than this ends.", unit="hours")
    interaction_minutes: int = _setting(
        30, "Time for all steps of one visit to the sign-in pages.", unit="minutes"
    )
    code_seconds: int = _setting(60, "Lifetime of an authorization code.", unit="seconds")
    id_token_minutes: int = _setting(
        15, "Lifetime of an ID token, where the client sets none.", unit="minutes"
    )
    handle_seconds: int = _setting(300, "Lifetime of the UserInfo handle.", unit="seconds")
    key_rotation_days: int = _setting(90, "A signing key is replaced after this.", unit="days")
    argon2_memory_kib: int = _setting(19456, "Argon2id memory of one hash.", unit="KiB")
    argon2_passes: int = _setting(2, "Argon2id passes.")
    hash_slots: int = _setting(
        0, "Passwords hashed at once in one process; 0: cores divided by processes."
    )
    contact_url: str = _setting("", "Contact link of every page: `https:` or `mailto:`.")
    help_url: str = _setting("", "Help link of every page.")
    terms_url: str = _setting("", "Terms of use, linked from every page.")
    privacy_url: str = _setting("", "Privacy notice, linked from every page.")
    log_level: str = _setting("INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`.")
    log_requests: bool = _setting(False, "One log line for each request (path, never the query).")
    demo: bool = _setting(False, "Set by `sekisho demo` alone: shows the mails it did not send.")

    @property
    def issuer(self) -> str:
        return self.base_url

    @property
    def second_factor_floor(self) -> SecondFactor:
        return SecondFactor(self.second_factor)

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def offers_sms(self) -> bool:
        """Whether a text message would arrive: by a gateway, or on the demo's page."""
        return bool(self.sms_url) or self.demo

    @property
    def outbound_ca(self) -> Path | None:
        return Path(self.outbound_ca_file) if self.outbound_ca_file else None

    @property
    def main_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'sekisho.db'}"

    @property
    def state_database_url(self) -> str:
        """Where short-lived state lives without Redis: PostgreSQL itself, or a second SQLite file,
        because the write lock of a file is its bottleneck."""
        if not self.main_database_url.startswith("sqlite"):
            return self.main_database_url
        return f"sqlite:///{self.data_dir.absolute() / 'state.db'}"

    @property
    def process_count(self) -> int:
        return self.workers or os.cpu_count() or 1

    @property
    def hash_slot_count(self) -> int:
        return self.hash_slots or max(1, (os.cpu_count() or 1) // self.process_count)


RANGES = {
    "port": (1, 65535),
    "demo_app_port": (1, 65535),
    "workers": (0, 256),
    "threads": (1, 64),
    "session_idle_minutes": (5, 60),
    "session_hours": (1, 720),
    "interaction_minutes": (5, 60),
    "code_seconds": (30, 120),
    "id_token_minutes": (2, 60),
    "handle_seconds": (30, 600),
    "key_rotation_days": (30, 365),
    "argon2_memory_kib": (19456, 1048576),
    "argon2_passes": (2, 20),
    "hash_slots": (0, 64),
    "sms_per_day": (1, 1_000_000),
}


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of this process. `overrides` (from command-line options) win over all.

    Raises SettingsError with one line for each thing that is wrong.
    """
    known = {item.name: item for item in fields(Settings)}
    values = setting_sources.read(os.environ if environ is None else environ, known)
    values.update({name: value for name, value in overrides.items() if value is not None})
    settings = Settings(**values)
    wrong = problems(settings)
    if wrong:
        raise SettingsError("\n".join(wrong))
    return settings


def problems(settings: Settings) -> list[str]:
    """What is unusable or unsafe, one line each with what to do."""
    found = [
        f"{PREFIX}{name.upper()} must be {low} to {high}, not {getattr(settings, name)}"
        for name, (low, high) in RANGES.items()
        if not low <= getattr(settings, name) <= high
    ]
    if settings.base_url:
        found += base_url_problems(settings.base_url)
        if settings.demo and not is_loopback(urlsplit(settings.base_url).hostname):
            found.append(
                f"{PREFIX}DEMO is for loopback alone: everybody reads its mails and knows its "
                "passwords"
            )
    found += _proxy_problems(settings.trusted_proxies)
    if settings.default_language not in LANGUAGES:
        found.append(f"{PREFIX}DEFAULT_LANGUAGE must be one of {', '.join(LANGUAGES)}")
    if settings.second_factor not in tuple(SecondFactor):
        found.append(f"{PREFIX}SECOND_FACTOR must be one of {', '.join(SecondFactor)}")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        found.append(f"{PREFIX}LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    if settings.database_url and not settings.database_url.startswith(
        ("postgresql://", "postgresql+psycopg://", "sqlite:///")
    ):
        found.append(f"{PREFIX}DATABASE_URL must begin with postgresql+psycopg:// or sqlite:///")
    if settings.redis_url and not settings.redis_url.startswith(
        ("redis://", "rediss://", "unix://")
    ):
        found.append(f"{PREFIX}REDIS_URL must begin with redis://, rediss:// or unix://")
    found += smtp_problems(settings.smtp_url)
    found += _outbound_problems(settings)
    try:
        check_address(parseaddr(settings.mail_from)[1])
    except Refused:
        found.append(f"{PREFIX}MAIL_FROM must be an address, or: Name <address>")
    for name in ("contact_url", "help_url", "terms_url", "privacy_url"):
        url = getattr(settings, name)
        if url and not url.startswith(("https://", "mailto:")):
            found.append(f"{PREFIX}{name.upper()} must begin with https:// or mailto:")
    return found


def _proxy_problems(networks: tuple[str, ...]) -> list[str]:
    found = []
    for network in networks:
        try:
            parsed = ipaddress.ip_network(network)
        except ValueError:
            found.append(
                f"{PREFIX}TRUSTED_PROXIES: {network!r} is not a network such as 10.0.0.0/24"
            )
            continue
        if parsed.prefixlen < (8 if parsed.version == 4 else 16):
            found.append(
                f"{PREFIX}TRUSTED_PROXIES: {network} believes everybody; name the proxies alone"
            )
    return found


def _outbound_problems(settings: Settings) -> list[str]:
    found = sms_gateway.problems(settings.sms_url, settings.sms_headers, settings.sms_body)
    for network in settings.outbound_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            found.append(
                f"{PREFIX}OUTBOUND_NETWORKS: {network!r} is not a network such as 10.0.0.0/24"
            )
    if settings.outbound_ca is not None and not settings.outbound_ca.is_file():
        found.append(f"{PREFIX}OUTBOUND_CA_FILE={settings.outbound_ca_file} is not there")
    wrong = [code for code in settings.sms_countries if not re.fullmatch(r"[A-Z]{2}|\*", code)]
    if wrong or not settings.sms_countries:
        found.append(f"{PREFIX}SMS_COUNTRIES must be codes such as JP,US; or * for all")
    return found
