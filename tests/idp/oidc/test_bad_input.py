"""Every parameter of every endpoint, bent in every way: never a defect, never a stranger served.

Whatever is sent, the answer is the right error or a plain page; nobody is redirected before client
and URI are verified; and of a refused request nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

import pytest
from werkzeug.test import TestResponse

from idp.oidc import end_session, request
from tests.support.kit import ALICE, C1, PASSWORD, VERIFIER, Browser, Installation, RelyingParty

FORM = "application/x-www-form-urlencoded"
DEEP = "[" * 4000
BENT = {
    "absent": "",
    "empty": "{name}=",
    "without a sign": "{name}",
    "doubled": "{name}={value}&{name}={value}",
    "doubled with another": "{name}={value}&{name}=x",
    "over-long": "{name}=" + "a" * 17_000,
    "long": "{name}=" + "a" * 9_000,
    "array": "{name}[]={value}",
    "JSON array": "{name}=%5B%22x%22%5D",
    "JSON object": "{name}=%7B%22id_token%22%3A%7B%22acr%22%3A%5B1%5D%2C%22sub%22%3A7%7D%7D",
    "JSON of odd types": "{name}=%7B%22id_token%22%3A%7B%22a%22%3Afalse%7D%2C%22userinfo%22%3A0%7D",
    "JSON surrogate": "{name}=%7B%22id_token%22:%7B%22%5Cud800%22:null,%22sub%22:%7B%22value%22:"
    "%22%5Cud800%5Cu0000%22%7D%7D%7D",
    "JSON bomb": "{name}=" + quote(DEEP),
    "number": "{name}=1e309",
    "huge number": "{name}=" + "9" * 12,
    "NUL": "{name}=a%00b",
    "control characters": "{name}=%01%0d%0aSet-Cookie:%20a%3Db%1b%7f",
    "broken UTF-8": "{name}=%ff%fe",
    "overlong UTF-8": "{name}=%c0%af",
    "lone surrogate": "{name}=%ed%a0%80",
    "raw bytes": "{name}=\xff\xfe",
    "raw control characters": "{name}=\x01\x1f",
    "broken percent": "{name}=%zz%",
    "beyond the plane": "{name}=%f0%9f%99%82%e2%80%ae",
    "quotes": "{name}='\"--;",
    "markup": "{name}=%3Cscript%3Ealert(1)%3C/script%3E",
    "template": "{name}=%7B%7B7*7%7D%7D%25s%25(x)s",
    "the name in other case": "{upper}={value}",
    "the name broken": "%ff%fe={value}",
}


@pytest.fixture
def anywhere(installation: Installation) -> RelyingParty:
    """C1 on each pair of stores: what one database takes the other may choke on."""
    return RelyingParty(installation, C1)


def bent(
    good: Mapping[str, str], names: Iterator[str] | list[str]
) -> Iterator[tuple[str, str, str]]:
    """(name, what was done to it, the whole encoded form) for each of `names`."""
    for name in names:
        rest = "&".join(f"{key}={quote_plus(value)}" for key, value in good.items() if key != name)
        for how, pattern in BENT.items():
            value = quote_plus(good.get(name, "1"))
            piece = pattern.format(name=name, upper=name.upper(), value=value)
            yield name, how, "&".join(part for part in (rest, piece) if part)


def check(response: TestResponse, what: object) -> None:
    """What is true of every answer, whatever was asked."""
    assert response.status_code < 500, (what, response.text)
    for name, value in response.headers:
        assert name != "Set-Cookie" or "a=b" not in value, what
        assert value.isprintable(), (what, name)
    assert "<script>alert" not in response.text and "Traceback" not in response.text, what
    location = response.location or "/"
    is_own = location.startswith("/") and not location.startswith(("//", "/\\"))
    assert is_own or location.startswith(C1.redirect_uri + "?"), (what, location)


def parameters_of_a_request(application: RelyingParty) -> dict[str, str]:
    return application.request(
        scope="openid email", prompt="login", max_age="300", display="page", ui_locales="ja en",
        login_hint=ALICE.email, acr_values="urn:x", response_mode="query",
        claims='{"userinfo":{"email":null}}',
    )  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_authorization_endpoint_withstands_everything(
    anywhere: RelyingParty, method: str
) -> None:
    application, browser = anywhere, anywhere.installation.browser()
    installation = application.installation
    good, before, accepted = parameters_of_a_request(application), installation.counts(), 0
    for name, how, encoded in bent(good, sorted(request.LENGTHS)):
        if method == "GET":
            response = browser.get("/authorize", environ_overrides={"QUERY_STRING": encoded})
        else:
            raw = encoded.encode("latin-1")
            response = browser.post("/authorize", data=raw, content_type=FORM)
            if response.status_code == 303 and response.location.startswith("/authorize?"):
                check(response, (name, how))
                response = browser.get(response.location)
        check(response, (name, how))
        assert response.status_code in (303, 400), (name, how)
        if name in ("client_id", "redirect_uri"):
            assert response.status_code == 400 or how == "the name broken", (name, how)
        accepted += (response.location or "").startswith("/login/")
    after = installation.counts()
    assert after == before | {"state": before["state"] + accepted}


def test_the_token_endpoint_withstands_everything(anywhere: RelyingParty) -> None:
    application, browser = anywhere, anywhere.installation.browser()
    installation = application.installation
    installation.sql(
        "UPDATE clients SET members = replace(members, 'client_secret_basic',"
        " 'client_secret_post') WHERE id = 'c1'"
    )
    good = {
        "grant_type": "authorization_code",
        "code": application.code(browser, ALICE),
        "redirect_uri": C1.redirect_uri,
        "code_verifier": VERIFIER,
        "client_id": "c1",
        "client_secret": C1.secret or "",
    }
    before = installation.counts()
    names = [*sorted(good), "scope", "resource", "client_assertion", "client_assertion_type"]
    optional = {"scope", "resource", "client_assertion", "client_assertion_type"}
    backend = application.backend
    for name, how, encoded in bent(good, names):
        # Each as another source: guessing at secrets is slowed, see test_client_auth.py.
        backend.address = f"198.51.{len(name)}.{len(how)}"
        response = backend.post("/token", data=encoded.encode("latin-1"), content_type=FORM)
        check(response, (name, how))
        assert response.mimetype == "application/json", (name, how)
        if response.status_code == 200:
            assert name in optional or how == "the name broken", (name, how)
            good["code"] = browser.authorize(application.request()).code
            continue
        body = response.get_json()
        assert response.status_code in (400, 401), (name, how)
        assert body["error"] in {"invalid_request", "invalid_client", "invalid_grant",
                                 "unsupported_grant_type"}, (name, how)  # fmt: skip
        if body["error"] == "invalid_grant":
            good["code"] = browser.authorize(application.request()).code
    after = installation.counts()
    for table in before.keys() - {"failures", "audit", "state"}:
        assert after[table] == before[table], table


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/end_session", "/logout"])
def test_logout_withstands_everything(anywhere: RelyingParty, path: str, method: str) -> None:
    application, browser = anywhere, anywhere.installation.browser()
    installation = application.installation
    tokens = application.tokens(browser, ALICE)
    good = {
        "id_token_hint": tokens["id_token"][:-4],
        "post_logout_redirect_uri": "https://c1.example.test/out",
        "client_id": "c1",
        "state": "s",
        "logout_hint": ALICE.email,
        "ui_locales": "ja",
    }
    before = installation.counts()
    for name, how, encoded in bent(good, [*sorted(end_session.LENGTHS), "csrf"]):
        if method == "GET":
            response = browser.get(path, environ_overrides={"QUERY_STRING": encoded})
        else:
            response = browser.post(path, data=encoded.encode("latin-1"), content_type=FORM)
        check(response, (name, how))
        assert "c1.example.test" not in (response.location or "").partition("?")[0], (name, how)
    assert installation.counts() == before
    assert installation.sql("SELECT count(*) AS n FROM sessions WHERE ended_at IS NULL") == [
        {"n": 1}
    ]


def test_userinfo_withstands_everything(anywhere: RelyingParty) -> None:
    application, browser = anywhere, anywhere.installation.browser()
    handle = application.tokens(browser, ALICE)["access_token"]
    before = application.installation.counts()
    backend = application.backend
    for name, how, encoded in bent({"access_token": handle}, ["access_token", "schema"]):
        post = backend.post("/userinfo", data=encoded.encode("latin-1"), content_type=FORM)
        get = backend.get("/userinfo", environ_overrides={"QUERY_STRING": encoded})
        header = backend.get("/userinfo", headers={"Authorization": encoded[:4000].translate(
            dict.fromkeys(range(32)))})  # fmt: skip
        for response in (post, get, header):
            check(response, (name, how))
            assert response.status_code in (200, 400, 401), (name, how)
            assert response.mimetype == "application/json", (name, how)
        assert get.status_code == 401
        assert post.status_code != 200 or handle in encoded, (name, how)
    assert application.installation.counts() == before


@pytest.mark.parametrize("step", ["identify", "password"])
def test_the_pages_withstand_everything(anywhere: RelyingParty, step: str) -> None:
    application, browser = anywhere, anywhere.installation.browser()
    installation = application.installation
    page = browser.authorize(application.request())
    fields = {"identifier": ALICE.email, "csrf": page.page.fields["csrf"]}
    if step == "password":
        page = browser.submit(page, identifier=ALICE.email)
        fields = {"password": "wrong", "csrf": page.page.fields["csrf"]}
    before = installation.counts()
    for number, (name, how, encoded) in enumerate(
        bent(fields, [*fields, "username", "decision", "account", "lang"])
    ):
        browser.address = f"203.0.{number // 200}.{number % 200 + 1}"
        data = encoded.encode("latin-1")
        posted = browser.post(page.path, data=data, content_type=FORM)
        shown = browser.get(page.path, environ_overrides={"QUERY_STRING": encoded})
        for response in (posted, shown):
            check(response, (name, how))
            assert response.status_code in (200, 303, 400, 403, 429), (name, how)
    after = installation.counts()
    for table in before.keys() - {"failures", "audit", "outbox", "tickets"}:
        assert after[table] == before[table], table


@pytest.mark.parametrize(
    "path",
    [
        "/login/{odd}",
        "/login/{odd}/password",
        "/authorize/resume/{odd}",
        "/{odd}",
        "/login/x/{odd}",
    ],
)
def test_odd_addresses_are_plain_pages(
    application: RelyingParty, browser: Browser, path: str
) -> None:
    before = application.installation.counts()
    for odd in ("%00", "%ff", "..%2f..", "%0d%0aX:%20y", "a" * 5000, "%ed%a0%80", "'", "{{7*7}}",
                "%3Cscript%3Ealert(1)%3C/script%3E", "é", "%", ";", "-1", "🙂"):  # fmt: skip
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            response = browser._send(method, path.format(odd=odd))
            check(response, (method, odd))
            assert response.status_code in (200, 303, 308, 400, 403, 404, 405), (method, odd)
    assert application.installation.counts() == before


BODIES = {
    "giant form": (b"a=" + b"b" * 3_000_000, FORM),
    "many fields": (b"&".join(b"f%d=1" % n for n in range(9000)), FORM),
    "many parts": (
        b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % n
                 for n in range(500)) + b"--x--\r\n",
        "multipart/form-data; boundary=x",
    ),
    "a file": (
        b'--x\r\nContent-Disposition: form-data; name="code"; filename="a"\r\n\r\n1\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    "parts without an end": (b"--x\r\n" * 4000, "multipart/form-data; boundary=x"),
    "parts without a boundary": (b"x", "multipart/form-data"),
    "JSON bomb": (DEEP.encode() * 4, "application/json"),
    "JSON": (b'{"client_id": ["c1"], "code": {}}', "application/json"),
    "XML bomb": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/xml"),
    "gzip": (b"\x1f\x8b" + bytes(5000), FORM),
    "odd charset": (b"client_id=c1", FORM + "; charset=utf-7"),
    "odd content type": (b"client_id=c1", "\x01/;;=;"),
    "only separators": (b"&" * 16_000, FORM),
    "nothing": (b"", FORM),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_no_body_is_too_much(application: RelyingParty, browser: Browser, body: str) -> None:
    installation = application.installation
    page = browser.submit(browser.authorize(application.request()), identifier=ALICE.email)
    before = installation.counts()
    data, content_type = BODIES[body]
    for path in ("/authorize", "/token", "/userinfo", "/end_session", "/logout", page.path):
        response = browser.post(path, data=data, content_type=content_type)
        check(response, path)
        assert response.status_code in (303, 400, 401, 403, 413), path
        lied = browser.post(
            path, data=data, content_type=content_type, environ_overrides={"CONTENT_LENGTH": "-5"}
        )
        check(lied, path)
    assert installation.counts() == before
    assert browser.submit(page, password=PASSWORD).code
