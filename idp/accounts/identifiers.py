"""What people type to say who they are: one spelling for comparing, one grammar for accepting.

Pure. Owns normalisation and the conservative grammar of addresses (RFC 5321 mailbox without
quoted local parts, comments, literals).
"""

from __future__ import annotations

import re
import secrets
import unicodedata

from idp.errors import Refused

MAXIMUM = 254  # RFC 5321, 4.5.3.1.3: a path of 256 octets with its brackets
_LOCAL = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Without ASCII, ignoring case would let U+017F and U+212A pass for s and k.
_FLAGS = re.ASCII | re.IGNORECASE
_ADDRESS = re.compile(
    rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_LOCAL}@{_LABEL}(?:\.{_LABEL})*\Z", _FLAGS
)
_LOGIN_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z", _FLAGS)


def new_id() -> str:
    """128 random bits, hexadecimal: safe in a URL, a file name and on a command line."""
    return secrets.token_hex(16)


def comparable(text: str) -> str:
    """The one spelling under which an identifier is looked up and its failures are counted.

    NFKC makes full-width input equal to plain (people in Japan type it), lower case and stripped.
    Not case folding: it would make different letters equal.
    """
    return unicodedata.normalize("NFKC", text[: MAXIMUM * 4]).strip().lower()


def plain_code(typed: str) -> str:
    """What was typed for a code, full-width made plain, without blanks and hyphens of all kinds."""
    plain = unicodedata.normalize("NFKC", typed[:200])
    # The long-vowel mark is what the hyphen's key gives under a Japanese input method.
    return "".join(character for character in plain if character.isalnum() and character != "ー")


def check_address(address: str) -> str:
    """`address` as it may be stored, else Refused."""
    address = address.strip()
    if not _ADDRESS.match(address):
        raise Refused(f"{address[:80]!r} is not an e-mail address", member="email")
    return address


def check_login_id(login_id: str) -> str:
    """`login_id` as it may be stored, else Refused. Never looks like an address: that would let
    somebody squat on another person's."""
    login_id = login_id.strip()
    if not _LOGIN_ID.match(login_id):
        raise Refused(
            f"{login_id[:80]!r} is not a sign-in ID: 1 to 64 letters, digits, '.', '_', '-'",
            member="login_id",
        )
    return login_id


def masked(address: str) -> str:
    """`a•••@example.com`, for pages seen before anything is proven."""
    local, _, domain = address.partition("@")
    return f"{local[:1]}•••@{domain}" if domain else f"{address[:1]}•••"
