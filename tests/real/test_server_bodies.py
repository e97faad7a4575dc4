"""Bodies: chunked, longer and shorter than announced, cut off, giant.

Over `sekisho serve` (granian) and over gunicorn.
"""

import re
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.traffic import Road
from tests.support.wire import (
    FORM,
    NO_CHUNK,
    assert_serves,
    exchange,
    head,
    new_code,
    redemption,
    statuses,
)

BIG = 100 * 2**20


@pytest.fixture
def code(served: Road) -> str:
    return new_code(served)


def test_a_chunked_body_is_read_whole(served: Road, code: str) -> None:
    fields, body = redemption(served, code)
    fields += ["Transfer-Encoding: chunked", "Connection: close"]
    chunks = b"".join(b"%x;name=value\r\n%s\r\n" % (1, body[n : n + 1]) for n in range(len(body)))
    sent = head(served, "POST /token HTTP/1.1", *fields) + chunks + NO_CHUNK
    assert b'"id_token"' in exchange(served, sent)


def test_a_body_longer_than_announced_is_not_read_on(served: Road, code: str) -> None:
    fields, body = redemption(served, code)
    fields.append(f"Content-Length: {len(body)}")
    sent = head(served, "POST /token HTTP/1.1", *fields) + body + b"&code=" + b"a" * 5000
    received = exchange(served, sent, half_close=True)
    assert b'"id_token"' in received
    assert statuses(received) in ([200], [200, 400], [200, 414])
    assert_serves(served)


def test_half_a_request_is_none(faced: Road) -> None:
    code = new_code(faced)
    fields, body = redemption(faced, code)
    sent = head(faced, "POST /token HTTP/1.1", *fields, f"Content-Length: {len(body)}")
    half = exchange(faced, sent + body[: body.index(b"&code_verifier")], half_close=True)
    whole = exchange(faced, sent.replace(b"Host", b"Connection: close\r\nHost") + body)
    assert statuses(half) == [400]
    # The code was not burnt.
    assert b'"id_token"' in whole


# DS-03
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("path", ["/token", "/login/nobody/password", "/authorize"])
def test_a_giant_body_is_refused_and_costs_no_memory(
    served: Road, path: str, is_chunked: bool
) -> None:
    process = served.installation.process
    assert process is not None
    before = {pid: resident(pid) for pid in process.descendants()}
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {BIG}"
    found = statuses(pour(served, head(served, f"POST {path} HTTP/1.1", FORM, length), is_chunked))
    # A server that stops reading may close before the client has heard why.
    assert found in ([], [400], [403], [413])
    assert {pid for pid, size in before.items() if resident(pid) > size + 16 * 2**20} == set()
    assert_serves(served)


def pour(road: Road, head: bytes, is_chunked: bool) -> bytes:
    """Sends a giant body as long as it is taken; what was answered."""
    piece = b"a" * 2**16
    piece = b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece
    with socket.create_connection(("127.0.0.1", road.installation.port), 20) as connection:
        received = b""
        with suppress(OSError):
            connection.sendall(head)
            for _ in range(BIG // 2**16):
                connection.sendall(piece)
        with suppress(OSError):
            while data := connection.recv(65536):
                received += data
                if len(received) > 200:
                    break
    return received


def resident(pid: int) -> int:
    """The memory of a process, bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) * 1024
