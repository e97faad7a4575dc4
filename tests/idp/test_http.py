"""Asking others: only whom we may, only who they say to be, not for long and not for much."""

import socket
import time
from collections.abc import Sequence

import pytest

from idp.http import MAXIMUM_BYTES, NotAllowed, Outbound, OutboundError
from tests.support.site import Reply, site
from tests.support.tls import Authority, raw_server

NAME = "gateway.test"
LOOPBACK = ("127.0.0.0/8", "::1/128")
OK = b"HTTP/1.1 200 OK\r\n"


class Names:
    """A name server: each look-up gets the next of its answers, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def outbound(authority: Authority, *addresses: str, seconds: float = 5.0) -> Outbound:
    """Believes the test's authority, may ask this machine, and finds NAME there."""
    names = Names(addresses or ("127.0.0.1",))
    return Outbound(LOOPBACK, authority.ca_file, resolve=names, total_seconds=seconds)


def test_a_request_arrives_under_the_name_of_its_host(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        there.answers["/send"] = Reply(b"taken", 202, {"X-Kind": "a", "x-kind": "b"})
        answer = outbound(authority).send(
            "POST", there.url("/send?a=1"), headers={"X-Key": "secret"}, body=b"text=hello"
        )
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (202, b"taken", "b")
    assert answer.is_success
    [received] = there.received
    assert (received.method, received.query, received.form) == (
        "POST",
        {"a": "1"},
        {"text": "hello"},
    )
    assert received.headers["host"] == there.origin.removeprefix("https://")
    assert received.headers["x-key"] == "secret"
    assert "secret" not in repr(answer)


def test_a_status_that_is_no_success_is_an_answer(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        answer = outbound(authority).send("GET", there.url("/nowhere"))
    assert (answer.status, answer.is_success) == (404, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(authority: Authority, status: int) -> None:
    with site(NAME, authority.context(NAME)) as there:
        there.answers["/a"] = Reply(status=status, headers={"Location": there.url("/b")})
        answer = outbound(authority).send("GET", there.url("/a"))
        assert answer.status == status
        assert there.at("/b") == []


def test_no_proxy_is_believed(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with site(NAME, authority.context(NAME)) as there:
        assert outbound(authority).send("HEAD", there.url("/")).status == 404


def test_a_certificate_of_another_name_is_refused(authority: Authority) -> None:
    with site(NAME, authority.context("other.test", "127.0.0.1")) as there:
        with pytest.raises(OutboundError, match="SSLCertVerificationError"):
            outbound(authority).send("GET", there.url("/"))
        assert there.received == []


def test_a_certificate_of_an_authority_that_nobody_named_is_refused(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        stranger = Outbound(LOOPBACK, resolve=Names(["127.0.0.1"]))
        with pytest.raises(OutboundError, match="SSLCertVerificationError"):
            stranger.send("GET", there.url("/"))
        assert there.received == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["93.184.216.34", "127.0.0.1"],
        ["224.0.0.1"],
    ],
    ids=",".join,
)
def test_what_is_not_on_the_internet_is_not_even_connected_to(
    authority: Authority, addresses: list[str]
) -> None:
    with raw_server(lambda _: None) as (port, known):
        guarded = Outbound((), authority.ca_file, resolve=Names(addresses))
        with pytest.raises(NotAllowed, match="SEKISHO_OUTBOUND_NETWORKS"):
            guarded.send("GET", f"https://{NAME}:{port}/")
        assert known == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "localhost", "localhost."]
)
def test_no_spelling_of_this_machine_is_let_through(authority: Authority, host: str) -> None:
    with raw_server(lambda _: None) as (port, known):
        with pytest.raises(OutboundError):
            Outbound((), authority.ca_file, resolve=_really).send("GET", f"https://{host}:{port}/")
        assert known == []


def _really(host: str, port: int) -> list[str]:
    """As the C library reads addresses; a name only where it is this machine's."""
    if host.strip(".") == "localhost":
        return ["127.0.0.1"]
    try:
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        return [host]


def test_a_name_cannot_mean_another_machine_after_it_was_judged(authority: Authority) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with site(NAME, authority.context(NAME)) as there:
        asking = Outbound(("127.0.0.1/32",), authority.ca_file, resolve=names)
        assert asking.send("GET", there.url("/")).status == 404
        assert names.asked == [NAME]
        with pytest.raises(NotAllowed):
            asking.send("GET", there.url("/"))
    assert len(there.received) == 1


def test_an_address_where_nobody_answers_is_passed_over(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        asking = outbound(authority, "127.0.0.9", "127.0.0.1")
        assert asking.send("GET", there.url("/")).status == 404


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.test/",
        "http://localhost/",
        "ftp://gateway.test/",
        "file:///etc/passwd",
        "//gateway.test/",
        "gateway.test",
        "https://",
        "https:///path",
        "https://user@gateway.test/",
        "https://user:word@gateway.test/",
        "https://good.example\\@gateway.test/",
        "https://gateway.test:0/",
        "https://gateway.test:99999/",
        "https://gateway.test/a b",
        "https://gateway.test/\r\nX-Other: 1",
        "https://gateway.test/\x00",
        "https://関所.example/",
        "https://[::1/",
        "https://gateway.test/" + "a" * 2000,
        "",
    ],
    ids=ascii,
)
def test_a_url_that_is_not_plain_https_is_not_asked(authority: Authority, url: str) -> None:
    names = Names(["127.0.0.1"])
    with pytest.raises(NotAllowed):
        Outbound(LOOPBACK, authority.ca_file, resolve=names).send("GET", url)
    assert names.asked == []


def test_http_is_good_enough_on_this_machine_for_those_who_say_so() -> None:
    with site() as there:
        assert Outbound(LOOPBACK).send("GET", there.url("/"), may_be_plain=True).status == 404
        with pytest.raises(NotAllowed):
            Outbound(LOOPBACK).send("GET", there.url("/"))
        with pytest.raises(NotAllowed, match="SEKISHO_OUTBOUND_NETWORKS"):
            Outbound().send("GET", there.url("/"), may_be_plain=True)
        elsewhere = Outbound(("10.0.0.0/8",), resolve=Names(["10.0.0.1"]))
        with pytest.raises(NotAllowed, match="only https"):
            elsewhere.send("GET", there.url("/"), may_be_plain=True)
        assert len(there.received) == 1


def test_an_answer_that_is_too_long_is_not_read_to_its_end(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        there.answers["/most"] = Reply(b"x" * MAXIMUM_BYTES)
        there.answers["/more"] = Reply(b"x" * (MAXIMUM_BYTES + 1))
        asking = outbound(authority)
        assert len(asking.send("GET", there.url("/most")).body) == MAXIMUM_BYTES
        with pytest.raises(OutboundError, match="answered too much"):
            asking.send("GET", there.url("/more"))


def test_a_body_without_end_is_cut_off(authority: Authority) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"x" * 4096)

    with (
        raw_server(endless, authority.context(NAME)) as (port, _),
        pytest.raises(OutboundError, match="answered too much"),
    ):
        outbound(authority).send("GET", f"https://{NAME}:{port}/")


def test_a_compressed_body_is_not_unpacked(authority: Authority) -> None:
    with site(NAME, authority.context(NAME)) as there:
        there.answers["/"] = Reply(b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})
        assert outbound(authority).send("GET", there.url("/")).body == b"\x1f\x8bnot really"
        assert there.received[0].headers["accept-encoding"] == "identity"


SLOW = {
    "says nothing": b"",
    "drips its headers": OK + b"X-Slow: " + b"x" * 10_000,
    "drips its body": OK + b"Content-Length: 9999\r\n\r\n" + b"x" * 9999,
    "drips a last body": b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 9999,
}


@pytest.mark.parametrize("behaviour", SLOW)
def test_who_answers_slowly_is_given_up_on_time(authority: Authority, behaviour: str) -> None:
    def slowly(connection: socket.socket) -> None:
        for byte in SLOW[behaviour]:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
        connection.recv(10_000)
        connection.recv(10_000)  # Until the other side hangs up.

    with raw_server(slowly, authority.context(NAME)) as (port, _):
        began = time.monotonic()
        with pytest.raises(OutboundError, match="took too long"):
            outbound(authority, seconds=0.4).send("GET", f"https://{NAME}:{port}/")
        assert time.monotonic() - began < 2


def test_a_slow_name_server_is_not_waited_for(authority: Authority) -> None:
    def slowly(host: str, port: int) -> list[str]:
        time.sleep(1)
        return ["127.0.0.1"]

    with raw_server(lambda _: None) as (port, known):
        asking = Outbound(LOOPBACK, authority.ca_file, resolve=slowly, total_seconds=0.2)
        with pytest.raises(OutboundError, match="took too long"):
            asking.send("GET", f"https://{NAME}:{port}/")
        assert known == []


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", OK + b"Content-Length: 5\r\n\r\nabc"],
    ids=["nothing", "no status", "another protocol", "half a body"],
)
def test_half_an_answer_is_none(authority: Authority, said: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(said)

    with (
        raw_server(answer, authority.context(NAME)) as (port, _),
        pytest.raises(OutboundError) as failed,
    ):
        outbound(authority).send("GET", f"https://{NAME}:{port}/secret-path")
    assert "secret-path" not in str(failed.value)


def test_who_does_not_speak_tls_is_given_up(authority: Authority) -> None:
    with (
        raw_server(lambda connection: connection.sendall(b"hello\r\n")) as (port, _),
        pytest.raises(OutboundError),
    ):
        outbound(authority).send("GET", f"https://{NAME}:{port}/")


def test_nobody_there_and_no_such_name_are_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(OutboundError, match=r"localhost: \w+"):
        Outbound(LOOPBACK).send("GET", f"https://localhost:{port}/")
    with pytest.raises(OutboundError, match="has no address"):
        Outbound(LOOPBACK).send("GET", "https://gateway.invalid/")
    with pytest.raises(OutboundError, match="has no address"):
        Outbound(LOOPBACK, resolve=Names([])).send("GET", "https://gateway.test/")
