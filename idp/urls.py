"""URLs that an operator gives: our own address and the mail server's. Pure.

Owns what is safe to write there, said with what to do. Does not own reading the settings.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?\Z")


def is_loopback(host: str | None) -> bool:
    """Whether a URL's host can only be this machine."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def base_url_problems(base_url: str) -> list[str]:
    """What is wrong with our own public address; empty when it can be the issuer."""
    shown = f"SEKISHO_BASE_URL={base_url}"
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        return [f"{shown} is not a URL"]
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return [f"{shown} must be https://HOST or https://HOST:PORT"]
    if "*" in parts.netloc:
        return [f"{shown}: wildcard hosts are unsafe; name the one host that people open"]
    if base_url != base_url.lower():
        return [f"{shown} must be written in lower case"]
    if not _ORIGIN.match(base_url):
        return [
            f"{shown} must be scheme, host and port alone, without a trailing slash, in ASCII "
            "(xn--… for other scripts)"
        ]
    if port == {"https": 443, "http": 80}[parts.scheme]:
        return [f"{shown}: leave out port {port}; browsers do"]
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return [f"{shown}: http is for loopback alone; use https:// behind a TLS proxy"]
    return []


def smtp_problems(url: str) -> list[str]:
    """What is wrong with the address of the mail server; empty when there is none."""
    if not url:
        return []
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return ["SEKISHO_SMTP_URL is not a URL"]
    if parts.scheme not in ("smtp", "smtps", "smtp+plain") or not host:
        return ["SEKISHO_SMTP_URL must be smtp://HOST:PORT, smtps://HOST:PORT or smtp+plain://…"]
    if parts.scheme == "smtp+plain" and not is_loopback(host):
        return ["SEKISHO_SMTP_URL: smtp+plain:// is for loopback alone; use smtp:// or smtps://"]
    return []
