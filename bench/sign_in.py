"""One sign-in, asked step by step: the authorization request, the pages, the token request.

Owns: the requests a browser and an RP send, and the checks of what they get. Each function takes
the connection, so that the same steps run over a socket or in this process (`profile`).
Not here: repetition and measuring (`driver`).

Source: OpenID Connect Core 1.0, 3.1; RFC 7636, 4; RFC 6749, 2.3.1.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote_plus, urlencode, urljoin, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet

from bench.connection import Answer, Asks, BenchError, Cookies
from bench.targets import Account, Target

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_STEPS = 12  # a sign-in that takes more has gone round in circles


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    verifier: str
    nonce: str


def authorize(asks: Asks, target: Target, cookies: Cookies) -> Code:
    """A code for a browser with a live session. Raises BenchError if a page is shown instead."""
    request, code = _authorization_request(target)
    answer = asks.ask("GET", request, cookies=cookies)
    return _code_of(target, answer.header("Location"), answer, code)


def password_sign_in(asks: Asks, target: Target, account: Account, cookies: Cookies) -> Code:
    """A code for a new browser: every page is fetched and every form filled in, as a person does.

    The reference asks no password: its interaction is two redirects, walked by the same steps.
    """
    request, code = _authorization_request(target, login_hint=account.identifier)
    answer = asks.ask("GET", request, cookies=cookies)
    for _ in range(_STEPS):
        if answer.status in (302, 303):
            location = answer.header("Location") or ""
            if location.startswith(target.client.redirect_uri):
                return _code_of(target, location, answer, code)
            request = _path(urljoin(target.base_url + request, location))
            answer = asks.ask("GET", request, cookies=cookies)
            continue
        page = _Page(answer)
        if page.hand_over:
            return _code_of(target, page.hand_over, answer, code, status=200)
        request = _path(urljoin(target.base_url + request, page.action))
        body = urlencode(page.filled(account)).encode()
        headers = _FORM | {"Origin": target.base_url}
        answer = asks.ask("POST", request, headers=headers, cookies=cookies, body=body)
    raise BenchError(f"{target.name}: no end after {_STEPS} steps, last {request}")


def redeem(asks: Asks, target: Target, code: Code) -> str:
    """The ID token for a code, by the RP with its secret."""
    pair = f"{quote_plus(target.client.client_id)}:{quote_plus(target.client.client_secret)}"
    body = urlencode(
        {
            "grant_type": "authorization_code",
            "code": code.value,
            "redirect_uri": target.client.redirect_uri,
            "code_verifier": code.verifier,
        }
    ).encode()
    headers = _FORM | {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    answer = asks.ask("POST", target.endpoints.token, headers=headers, body=body)
    if answer.status != 200:
        raise BenchError(f"{target.name}: token {answer.status} {answer.body[:300]!r}")
    token = json.loads(answer.body)["id_token"]
    assert isinstance(token, str)
    return token


def verify(asks: Asks, target: Target, token: str, nonce: str) -> None:
    """Check signature and claims of an ID token as an RP does. Raises if it is not good."""
    answer = asks.ask("GET", target.endpoints.jwks)
    decoded = jwt.decode(token, KeySet.import_key_set(json.loads(answer.body)), ["RS256"])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": target.endpoints.issuer},
        aud={"essential": True, "value": target.client.client_id},
        nonce={"essential": True, "value": nonce},
        sub={"essential": True},
        exp={"essential": True},
    ).validate(decoded.claims)


def _authorization_request(target: Target, *, login_hint: str | None = None) -> tuple[str, Code]:
    code = Code("", secrets.token_urlsafe(32), secrets.token_urlsafe(16))
    challenge = hashlib.sha256(code.verifier.encode()).digest()
    parameters = {
        "response_type": "code",
        "client_id": target.client.client_id,
        "redirect_uri": target.client.redirect_uri,
        "scope": "openid",
        "state": "state-of-the-relying-party",
        "nonce": code.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if login_hint:
        parameters["login_hint"] = login_hint
    return f"{target.endpoints.authorization}?{urlencode(parameters)}", code


def _code_of(
    target: Target, location: str | None, answer: Answer, code: Code, *, status: int | None = None
) -> Code:
    if answer.status in ((status,) if status else (302, 303)) and location:
        found = parse_qs(urlsplit(location).query).get("code")
        if found and location.startswith(target.client.redirect_uri):
            return Code(found[0], code.verifier, code.nonce)
    raise BenchError(f"{target.name}: no code: {answer.status} {location} {answer.body[:500]!r}")


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class _Page(HTMLParser):
    """What a browser needs of a page: its form and the link of the hand-over page."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.hand_over: str | None = None
        self.action = ""
        self._fields: dict[str, str] = {}
        self._in_form = False
        self._is_done = False
        self._answer = answer
        self.feed(answer.body.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("id") == "continue":
            self.hand_over = given.get("href")
        elif tag == "form" and not self._is_done:
            self._in_form, self._fields, self.action = True, {}, given.get("action", "")
        elif tag == "input" and self._in_form and given.get("name"):
            self._fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._in_form:
            self._in_form = False
            self._is_done = bool({"identifier", "password"} & self._fields.keys())

    def filled(self, account: Account) -> dict[str, str]:
        """The form's fields with the person's answers."""
        answers = {"identifier": account.identifier, "password": account.password}
        fields = self._fields | {n: v for n, v in answers.items() if n in self._fields}
        if not answers.keys() & fields.keys():
            body = self._answer.body
            raise BenchError(f"a page without a known form: {self._answer.status} {body[:800]!r}")
        return fields
