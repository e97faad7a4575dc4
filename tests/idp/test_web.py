"""The web's edge: what is true of every request and every answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.kit import (
    ALICE,
    C1,
    P1,
    PASSWORD,
    Browser,
    Installation,
    Outcome,
    RelyingParty,
)

HOST = "https://id.example.test"
NONCE = re.compile(r"script-src 'nonce-([A-Za-z0-9_-]{22,})'")


def at_password(browser: Browser, application: RelyingParty) -> Outcome:
    page = browser.authorize(application.request())
    return browser.submit(page, identifier=ALICE.email)


def everything(browser: Browser, application: RelyingParty) -> Iterator[TestResponse]:
    """Answers of every kind: pages, redirects, JSON, files, errors."""
    yield browser.get("/authorize", application.request())
    yield browser.get(browser.trail[-1].location)
    yield browser.get(browser.trail[-1].location)
    page = at_password(browser, application)
    yield page.response
    yield browser.submit(page, password="wrong").response
    answer = browser.submit(page, password=PASSWORD)
    yield answer.response
    yield browser.get("/authorize", application.request())
    yield application.redeem(answer.code)
    yield application.redeem("none")
    for path in ("/", "/.well-known/openid-configuration", "/jwks", "/healthz", "/readyz"):
        yield browser.get(path)
    for path in ("/userinfo", "/authorize", "/end_session", "/logout", "/token", "/login/x"):
        yield browser.get(path)
    for path in ("/jwks", "/logout", "/login/x/identify"):
        yield browser.post(path, {})
    yield browser.get("/logout", {"done": "1"})
    yield browser.get("/favicon.ico")
    yield browser.get(re.findall(r'href="(/static/[^"]+\.css)"', page.page.html)[0])
    yield browser.get("/static/0/app.css")
    yield browser.post("/logout", data=b"a" * 70_000, content_type="multipart/form-data")
    yield browser.post("/authorize", data=b"a" * 70_000)
    yield browser.get("/jwks", headers={"Host": "evil.example"})
    yield browser.client.options("/token", base_url=HOST)


# WB-04, WB-05, SE-16
def test_every_answer_has_the_headers_that_protect_it(
    browser: Browser, application: RelyingParty
) -> None:
    kinds = set()
    for response in everything(browser, application):
        headers, where = response.headers, f"{response.request.method} {response.request.path}"
        kinds.add((response.status_code, response.mimetype))
        assert headers["X-Content-Type-Options"] == "nosniff", where
        assert headers["X-Frame-Options"] == "DENY", where
        assert "max-age=31536000" in headers["Strict-Transport-Security"], where
        is_for_all = response.request.path in ("/.well-known/openid-configuration", "/jwks")
        policy = "cross-origin" if is_for_all and response.status_code == 200 else "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == policy, where
        assert headers["Referrer-Policy"] in ("no-referrer", "same-origin"), where
        assert "Server" not in headers, where
        assert response.status_code not in (301, 302, 307, 308), where  # RU-06
        assert response.status_code < 500, where
        if "public" not in headers["Cache-Control"]:
            assert headers["Cache-Control"] == "no-store", where
        else:
            assert "Set-Cookie" not in headers, where
        if response.data and response.mimetype in ("text/html", "text/css", "image/svg+xml"):
            assert "default-src 'none'" in headers["Content-Security-Policy"], where
    assert {(200, "text/html"), (400, "text/html"), (404, "text/html")} < kinds
    assert 405 in {status for status, _ in kinds}
    assert {(421, "text/plain"), (200, "text/css"), (200, "image/svg+xml")} < kinds
    assert {(200, "application/json"), (400, "application/json")} < kinds


# WB-05
def test_every_page_has_a_strict_policy_with_a_nonce_of_its_own(
    browser: Browser, application: RelyingParty
) -> None:
    nonces = []
    for response in everything(browser, application):
        if response.mimetype != "text/html" or not response.data:
            continue
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "object-src 'none'" in policy
        assert re.search(r"form-action '(self|none)'", policy), response.request.path
        found = NONCE.search(policy)
        assert found is not None
        nonces.append(found[1])
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
        assert "publickey-credentials-get=(self)" in response.headers["Permissions-Policy"]
    assert len(set(nonces)) == len(nonces) > 10


def test_the_page_that_hands_over_allows_no_form_and_tells_nobody_where_it_came_from(
    browser: Browser, application: RelyingParty
) -> None:
    answer = browser.signed_in(ALICE, application.request())
    assert answer.is_hand_over
    headers = answer.response.headers
    assert "form-action 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_static_files_are_cached_for_ever_under_names_that_change(browser: Browser) -> None:
    page = browser.get("/logout")
    for path in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)):
        file = browser.get(path)
        assert file.status_code == 200
        assert "immutable" in file.headers["Cache-Control"]
        zipped = browser.get(path, headers={"Accept-Encoding": "gzip"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert zipped.headers["Vary"] == file.headers["Vary"] == "Accept-Encoding"
        assert browser.get(re.sub(r"/static/\w+/", "/static/0/", path)).status_code == 404


@pytest.mark.parametrize("name", ["../base.html", "..%2fbase.html", "%2e%2e/base.html", "app.py"])
def test_nothing_but_our_static_files_is_served(browser: Browser, name: str) -> None:
    assert browser.get(f"/static/0/{name}").status_code == 404


# SE-02
def cookie_lines(browser: Browser) -> list[str]:
    return [line for answer in browser.trail for line in answer.headers.getlist("Set-Cookie")]


def test_cookies_over_https_are_ours_alone(browser: Browser, application: RelyingParty) -> None:
    at = browser.authorize(application.request())
    browser.get(at.path, {"lang": "ja"})
    browser.sign_in(at, ALICE)
    lines = cookie_lines(browser)
    names = {line.partition("=")[0] for line in lines}
    assert names == {f"__Host-sekisho-{n}" for n in ("browser", "session", "device", "language")}
    for line in lines:
        parts = {part.strip() for part in line.split(";")[1:]}
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts
        assert not any(part.lower().startswith("domain") for part in parts)
    assert sum(len(name) + len(value) for name, value in browser.cookies().items()) < 1024


def test_cookies_on_a_developers_loopback_have_no_prefix_that_browsers_would_refuse(
    install: Any,
) -> None:
    installation: Installation = install(base_url="http://localhost:8420")
    browser = installation.browser()
    answer = browser.signed_in(ALICE, RelyingParty(installation, C1).request())
    assert answer.code
    for line in cookie_lines(browser):
        parts = {part.strip() for part in line.split(";")}
        assert line.startswith("sekisho-")
        assert "Secure" not in parts
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= parts
    assert "Strict-Transport-Security" not in answer.response.headers


def test_the_session_cookie_ends_with_the_browser_and_says_nothing(
    browser: Browser, application: RelyingParty
) -> None:
    browser.signed_in(ALICE, application.request())
    [line] = [line for line in cookie_lines(browser) if "sekisho-session=" in line]
    assert "Max-Age" not in line
    assert "Expires" not in line
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", browser.cookies()["__Host-sekisho-session"])


# LK-03
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "id.example.test.evil.example",
        "id.example.test:443",
        "id.example.test:8443",
        "id.example.test.",
        "ID.EXAMPLE.TEST@evil.example",
        "evil.example#id.example.test",
        "id.example.test,evil.example",
        "id.example.test\tevil",
        "",
        "[::1",
    ],
)
@pytest.mark.parametrize("path", ["/authorize", "/logout", "/jwks", "/token", "/nothing"])
def test_another_host_is_refused(browser: Browser, path: str, host: str) -> None:
    answer = browser.get(path, headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert "evil" not in answer.text
    assert "Set-Cookie" not in answer.headers


# LK-03, TN-10
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"X-Original-Host": "evil.example"},
        {"Forwarded": "host=evil.example;proto=http"},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Forwarded-Prefix": "/evil"},
        {"X-Original-URL": "/evil", "X-Rewrite-URL": "/evil"},
        {"X-HTTP-Method-Override": "POST"},
    ],
)
def test_what_a_header_claims_changes_no_address_and_no_cookie(
    install: Any, headers: dict[str, str]
) -> None:
    installation: Installation = install(trusted_proxies=("192.0.2.0/24",))
    browser = installation.browser()
    application = RelyingParty(installation, C1)
    metadata = browser.get("/.well-known/openid-configuration", headers=headers)
    assert metadata.get_json()["issuer"] == HOST
    assert "evil" not in metadata.text
    start = browser.get("/authorize", application.request(), headers=headers)
    assert start.status_code == 303
    assert start.location.startswith("/login/")
    page = browser.get(start.location, headers=headers)
    assert "evil" not in page.text + str(page.headers)
    assert all("Secure" in line for line in cookie_lines(browser))


def address_seen(
    installation: Installation, peer: str, headers: dict[str, str] | None = None
) -> str:
    """Whom the audit names when a sign-in fails."""
    browser = installation.browser(peer)
    application = RelyingParty(installation, C1)
    page = at_password(browser, application)
    browser.post(page.page.action, page.page.fields | {"password": "wrong"}, headers=headers)
    rows = installation.sql("SELECT address FROM audit ORDER BY id DESC LIMIT 1")
    return str(rows[0]["address"])


# TN-01, TN-04
@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "X_Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Client-IP",
    ],
)
def test_without_a_proxy_no_header_says_who_asks(
    sqlite_installation: Installation, name: str
) -> None:
    assert address_seen(sqlite_installation, "192.0.2.9", {name: "10.1.1.1"}) == "192.0.2.9"


# TN-02, TN-03
@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.9", "10.1.1.1", "192.0.2.9"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "10.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "a", "unknown"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", "203.0.113.5, a", "unknown"),
        ("10.0.0.1", "010.0.0.1", "unknown"),
        ("10.0.0.1", "167772161", "unknown"),
        ("10.0.0.1", "203.0.113.5:1234", "unknown"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, " * 10_000 + "203.0.113.5", "203.0.113.5"),
    ],
)
def test_behind_a_proxy_the_rightmost_stranger_counts(
    install: Any, peer: str, forwarded: str, seen: str
) -> None:
    installation = install(trusted_proxies=("10.0.0.0/24",))
    assert address_seen(installation, peer, {"X-Forwarded-For": forwarded}) == seen


# TN-03
@pytest.mark.parametrize("forwarded", ["::ffff:203.0.113.5", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_strange_addresses_are_no_ones_trusted_one(install: Any, forwarded: str) -> None:
    installation = install(trusted_proxies=("10.0.0.0/24",))
    seen = address_seen(installation, "10.0.0.1", {"X-Forwarded-For": forwarded})
    assert seen != "10.0.0.1"


# TN-04
@pytest.mark.parametrize("name", ["X-Real-IP", "Forwarded", "CF-Connecting-IP"])
def test_behind_a_proxy_only_the_one_header_counts(install: Any, name: str) -> None:
    installation = install(trusted_proxies=("10.0.0.0/24",))
    headers = {name: "198.51.100.1", "X-Forwarded-For": "203.0.113.5"}
    assert address_seen(installation, "10.0.0.1", headers) == "203.0.113.5"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://id.example.test"},
        {"Origin": "https://id.example.test.evil.example"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": HOST, "Sec-Fetch-Site": "cross-site"},
    ],
)
# WB-01, WB-02
def test_a_form_that_another_site_sends_is_refused(
    sqlite_installation: Installation,
    browser: Browser,
    application: RelyingParty,
    headers: dict[str, str],
) -> None:
    page = at_password(browser, application)
    before = sqlite_installation.counts()
    sent = page.page.fields | {"password": PASSWORD}
    answer = browser.post(page.page.action, sent, headers=headers)
    assert answer.status_code == 403
    assert sqlite_installation.counts() == before


# WB-01
def test_the_token_of_another_browser_or_another_form_is_refused(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    other = at_password(sqlite_installation.browser(), application)
    logout = browser.signed_in(ALICE, application.request())
    assert logout.code
    question = browser.get("/logout").text
    of_logout = re.findall(r'name="csrf" value="(\w+)"', question)[0]
    page = browser.authorize(application.request(prompt="login"))
    good = page.page.fields["csrf"]
    for token in ("", "0" * 64, other.page.fields["csrf"], of_logout, good[:-1], "é"):
        answer = browser.post(page.page.action, {"csrf": token, "password": PASSWORD})
        assert answer.status_code == 403, token
    assert browser.post(page.page.action, {"password": PASSWORD}).status_code == 403
    json_body = f'{{"csrf": "{good}", "password": "{PASSWORD}"}}'
    for kind in ("text/plain", "application/json"):
        assert browser.post(page.path, data=json_body, content_type=kind).status_code == 403
    in_query = browser.post(f"{page.page.action}?csrf={good}", {"password": PASSWORD})
    assert in_query.status_code == 403
    assert browser.submit(page, password=PASSWORD).code


# WB-01
def test_a_token_without_its_cookie_is_refused(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    page = at_password(browser, application)
    bare = sqlite_installation.browser()
    sent = page.page.fields | {"password": PASSWORD}
    assert bare.post(page.page.action, sent).status_code == 403


# WB-10
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://p1.example.test.evil.example",
        "https://evilp1.example.test",
        "http://p1.example.test",
        "https://p1.example.test:444",
        "http://localhost.evil",
        "https://c1.example.test",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/token", "/userinfo"])
def test_a_strange_origin_may_not_read_our_answers(
    sqlite_installation: Installation, path: str, origin: str
) -> None:
    client = sqlite_installation.app.test_client()
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = client.options(path, base_url=HOST, headers=headers)
    answer = client.post(path, base_url=HOST, headers={"Origin": origin}, data={"a": "b"})
    for response in (preflight, answer):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Access-Control-Allow-Credentials" not in response.headers


# WB-10
def test_the_origin_of_a_browser_application_may_read_but_never_with_cookies(
    sqlite_installation: Installation,
) -> None:
    client = sqlite_installation.app.test_client()
    origin = "https://p1.example.test"
    preflight = client.options("/token", base_url=HOST, headers={"Origin": origin})
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    assert preflight.headers["Vary"] == "Origin"
    application = RelyingParty(sqlite_installation, P1)
    code = application.code(sqlite_installation.browser(), ALICE)
    application.backend.client.environ_base["HTTP_ORIGIN"] = origin
    answer = application.redeem(code)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    for response in (preflight, answer):
        assert "Access-Control-Allow-Credentials" not in response.headers


# WB-10
@pytest.mark.parametrize("path", ["/", "/authorize", "/logout", "/end_session", "/healthz"])
def test_pages_are_never_readable_from_elsewhere(browser: Browser, path: str) -> None:
    answer = browser.get(path, headers={"Origin": "https://p1.example.test"})
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


# WB-11
@pytest.mark.parametrize("trick", ["\r\n", "\n", "\r", "\0", "\x85", "\u2028"], ids=ascii)
def test_no_parameter_adds_a_header(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty, trick: str
) -> None:
    bad = f"x{trick}Set-Cookie: evil=1{trick}{trick}<p>"
    routes = list(sqlite_installation.app.url_map.iter_rules())
    names = ("lang", "state", "client_id", "post_logout_redirect_uri", "ui_locales", "login_hint")
    answers = []
    for rule in routes:
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        answers += [browser.get(path, {name: bad}) for name in names]
        answers.append(browser.get(path, headers={"Origin": "https://a.example", "X-A": "b"}))
    request = application.request(state=bad)
    answers.append(browser.authorize(request).response)
    answers.append(browser.authorize(application.request(prompt="none", state=bad)).response)
    for answer in answers:
        assert "evil" not in answer.headers.get("Set-Cookie", "")
        for name, value in answer.headers:
            assert not re.search(r"[\r\n\0]", name + value)
        assert answer.status_code < 500


# DS-02
def test_a_giant_password_costs_the_same_as_a_wrong_one(
    sqlite_installation: Installation, browser: Browser, application: RelyingParty
) -> None:
    passwords = sqlite_installation.services.passwords
    page = at_password(browser, application)
    for password, status, hashes in (
        ("x" * 1024, 200, 1),
        ("x" * 1025, 200, 1),
        ("x" * 60_000, 200, 1),
        ("x" * 1_000_000, 413, 0),
    ):
        before = passwords.computed
        answer = browser.post(page.page.action, page.page.fields | {"password": password})
        assert (answer.status_code, passwords.computed - before) == (status, hashes)


# DS-03
@pytest.mark.parametrize("path", ["/authorize", "/token", "/userinfo", "/end_session", "/logout"])
def test_giant_and_twisted_bodies_are_refused(
    sqlite_installation: Installation, browser: Browser, path: str
) -> None:
    before = sqlite_installation.counts()
    form = "application/x-www-form-urlencoded"
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    bodies = [
        (form, b"a=" + b"x" * 1_000_000),
        (form, "&".join(f"a{number}=1" for number in range(1001)).encode()),
        (form, b"&" * 60_000),
        (form, b"a=%ff&b=\xff\xfe"),
        ("multipart/form-data; boundary=b", part * 1200 + b"--b--"),
        ("multipart/form-data; boundary=b", part + b"--"),
        ("multipart/form-data", part),
        ("application/json", b"[" * 10_000),
        ("application/json", b"1" * 60_000),
        ("application/jwt", b"." * 60_000),
        ("", b"a=b"),
    ]
    for kind, body in bodies:
        answer = browser.post(path, data=body, content_type=kind)
        assert 300 <= answer.status_code < 500 or answer.status_code == 303, (kind, body[:20])
    assert sqlite_installation.counts() == before


# DS-03
def test_a_body_whose_length_lies_is_not_waited_for(browser: Browser) -> None:
    for length in ("-1", "abc", "99999999999999999999"):
        answer = browser.post(
            "/token",
            data=b"grant_type=authorization_code",
            environ_overrides={"CONTENT_LENGTH": length},
        )
        assert 400 <= answer.status_code < 500, length


# DS-05
@pytest.mark.parametrize(
    "hint",
    [
        "x" * 1_000_000,
        "." * 8000,
        "e30." * 2000,
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJwMmMiOjEwMDAwMDAwMDB9.a.b.c.d",
        "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIiwiemlwIjoiREVGIn0..a.b.c",
    ],
    ids=lambda hint: hint[:30],
)
def test_a_hint_that_is_a_bomb_is_refused(
    browser: Browser, application: RelyingParty, hint: str
) -> None:
    outcome = browser.authorize(application.request(id_token_hint=hint, prompt="none"))
    assert outcome.status in (400, 303)
    assert outcome.error in ("", "invalid_request")
    assert browser.get("/end_session", {"id_token_hint": hint}).status_code in (303, 400)


# RU-06
@pytest.mark.parametrize(
    "path", ["//jwks", "//evil.example/..", "/jwks/", "/logout//", "//login/x"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_crooked_path_is_not_straightened_by_a_redirect(
    browser: Browser, path: str, method: str
) -> None:
    answer = browser._send(method, f"{HOST}{path}")
    assert not 300 <= answer.status_code < 400
    assert "Location" not in answer.headers


# RU-04
@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https:evil.example"])
def test_no_parameter_says_where_to_go(
    browser: Browser, application: RelyingParty, target: str
) -> None:
    names = ("next", "return_to", "redirect", "url", "continue", "done", "lang")
    extra = dict.fromkeys(names, target)
    browser.signed_in(ALICE, application.request() | extra)
    browser.get("/logout", extra)
    browser.get("/end_session", extra)
    locations = [answer.location for answer in browser.trail if answer.location]
    assert not [location for location in locations if location.startswith(("//", "/\\", "https:e"))]


def test_a_defect_shows_a_page_and_not_its_reason(
    sqlite_installation: Installation, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_installation.sql("DROP TABLE consents")
    sqlite_installation.sql("DROP TABLE clients")
    answer = browser.get("/authorize", {"client_id": "c1"})
    assert answer.status_code in (500, 503)
    assert "clients" not in answer.text
    assert "Traceback" not in answer.text
    assert re.search(r'id="details"', answer.text)
    assert caplog.records


def test_the_error_page_names_the_request_as_the_log_does(
    sqlite_installation: Installation, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_installation.sql("DROP TABLE web_origins")
    sqlite_installation.sql("DROP TABLE consents")
    sqlite_installation.sql("DROP TABLE clients")
    answer = browser.get("/authorize", {"client_id": "c1"})
    shown = re.findall(r'<dd translate="no">([0-9a-f]{16})</dd>', answer.text)
    assert shown == [getattr(record, "request_id", "") for record in caplog.records][-1:]
