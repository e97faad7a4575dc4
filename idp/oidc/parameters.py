"""Reading `application/x-www-form-urlencoded`, strictly. Pure.

One reader for queries and bodies, because what is lenient in one place is a hole in another: bytes
that are not UTF-8, a name given twice (RFC 6749, 3.1 and 3.2), more fields than anybody needs.
A parameter without a value counts as absent (RFC 6749, 3.1).
"""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import quote, unquote_plus

MAXIMUM_FIELDS = 100


class Unreadable(ValueError):
    """The text is no such form; the message says why, in plain ASCII."""


def read(text: str, known: Container[str] | None = None) -> dict[str, str]:
    """The parameters of a query string or body. Raises Unreadable.

    `known`: other names are passed over, as RFC 6749, 3.1 wants it, and may then be repeated.
    """
    fields = text.split("&")
    if len(fields) > MAXIMUM_FIELDS:
        raise Unreadable("too many parameters")
    found: dict[str, str] = {}
    for field in fields:
        if not field:
            continue
        name, _, value = field.partition("=")
        if "%" in name or "+" in name:
            name = _decoded(name)
        if known is not None and name not in known:
            continue
        if "%" in value or "+" in value or not value.isascii():
            value = _decoded(value)
        if name in found:
            raise Unreadable("a parameter is given more than once")
        found[name] = value
    return {name: value for name, value in found.items() if value}


def _decoded(text: str) -> str:
    try:
        # WSGI hands bytes over as latin-1; ASCII is both.
        return unquote_plus(text.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise Unreadable("a parameter is not UTF-8") from None


def write(parameters: dict[str, str]) -> str:
    """A query string; each value percent-encoded once."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
