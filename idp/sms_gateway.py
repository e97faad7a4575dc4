"""The gateway that sends text messages: what is asked of it, read from three settings.

Owns the form of the request, generic or Twilio's, and judging it at start. Does not own what a
message says (`sms`), how others are asked (`http`), nor trying again (`outbox`).
Source: Twilio, Programmable Messaging API, Message resource (2010-04-01).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote, urlsplit

from idp.errors import Refused, Unavailable
from idp.urls import is_loopback

if TYPE_CHECKING:
    from idp.http import Outbound

DEFAULT_BODY = '{"to": "{to}", "text": "{text}"}'
_FORM = "application/x-www-form-urlencoded"
_PLACE = re.compile(r"\{(to|text)\}")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([ -~]+)")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class Gateway:
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    """With `{to}` and `{text}` where these belong: JSON, or else a form."""

    @property
    def is_json(self) -> bool:
        return self.body.lstrip().startswith(("{", "["))

    def fill(self, to: str, text: str) -> bytes:
        """The body for one message. What is put in can only ever be a value (OR-13)."""
        values = {"to": to, "text": text}

        def encoded(place: re.Match[str]) -> str:
            value = values[place[1]]
            return json.dumps(value)[1:-1] if self.is_json else quote_plus(value)

        return _PLACE.sub(encoded, self.body).encode()


class HttpGateway:
    """Sends by a gateway that answers over HTTP."""

    def __init__(self, gateway: Gateway, outbound: Outbound) -> None:
        self._gateway, self._outbound = gateway, outbound

    def send(self, to: str, text: str) -> None:
        """Raises OutboundError, or Unavailable when the gateway refuses: to be tried again."""
        gateway = self._gateway
        answer = self._outbound.send(
            "POST",
            gateway.url,
            headers={"Content-Type": _content_type(gateway), **gateway.headers},
            body=gateway.fill(to, text),
            may_be_plain=True,
        )
        if not answer.is_success:
            # What it says may repeat the message.
            raise Unavailable(f"the SMS gateway (it answered {answer.status})")


def _content_type(gateway: Gateway) -> str:
    return "application/json" if gateway.is_json else _FORM


def read(url: str, headers: str, body: str) -> Gateway:
    """The gateway that the settings describe. Raises Refused with what is wrong; `member` is the
    setting's name."""
    if url.startswith("twilio:"):
        return _twilio(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused("is not a URL", member="sms_url") from error
    is_plain = parts.scheme == "http" and is_loopback(host)
    if not host or "@" in parts.netloc or not (parts.scheme == "https" or is_plain):
        raise Refused(
            "must be https://HOST/… without a user (http:// on loopback alone), or "
            "twilio://ACCOUNT:TOKEN@/SENDER",
            member="sms_url",
        )
    gateway = Gateway(url, _headers(headers), body or DEFAULT_BODY)
    _check_body(gateway)
    return gateway


def problems(url: str, headers: str, body: str) -> list[str]:
    """What is wrong with the settings; empty when there is no gateway."""
    if not url:
        return []
    try:
        read(url, headers, body)
    except Refused as wrong:
        return [f"SEKISHO_{wrong.member.upper()} {wrong}"]
    return []


def _twilio(url: str) -> Gateway:
    """`twilio://ACCOUNT:TOKEN@/SENDER`, or with an API key `twilio://KEY:SECRET@ACCOUNT/SENDER`.
    A sender that begins with MG is a messaging service."""
    found = re.fullmatch(r"twilio://([^:@/]+):([^:@/]+)@([^:@/]*)/([^/]+)", url)
    if found is None:
        raise Refused("must be twilio://ACCOUNT:TOKEN@/SENDER", member="sms_url")
    user, secret, account, sender = map(unquote, found.groups())
    account = account or user
    if not re.fullmatch(r"AC[0-9A-Za-z]+", account):
        raise Refused("must name the account, which begins with AC", member="sms_url")
    credentials = base64.b64encode(f"{user}:{secret}".encode()).decode()
    name = "MessagingServiceSid" if sender.startswith("MG") else "From"
    return Gateway(
        f"https://api.twilio.com/2010-04-01/Accounts/{account}/Messages.json",
        {"Authorization": f"Basic {credentials}"},
        f"To={{to}}&{name}={quote_plus(sender)}&Body={{text}}",
    )


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        header = _HEADER.fullmatch(line)
        if header is None or header[1].lower() in _OURS:
            raise Refused("must be lines such as: Authorization: Bearer …", member="sms_headers")
        found[header[1]] = header[2]
    return found


def _check_body(gateway: Gateway) -> None:
    if set(_PLACE.findall(gateway.body)) != {"to", "text"}:
        raise Refused("must say where {to} and {text} belong", member="sms_body")
    if not gateway.is_json:
        return
    try:
        json.loads(gateway.fill("+819012345678", 'a "text"'))
    except ValueError as error:
        raise Refused("is not JSON: write {to} and {text} in quotes", member="sms_body") from error
