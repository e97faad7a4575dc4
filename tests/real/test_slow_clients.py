"""Clients that are slow, and people who are many, keep nobody else waiting.

Over `sekisho serve`; gunicorn leaves slow clients to a proxy that buffers.
"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from bench.connection import Answer
from tests.support.traffic import Road, load
from tests.support.wire import (
    FORM,
    assert_serves,
    head,
    serving,
    statuses,
)

SLOW_CLIENTS = 300


@contextmanager
def slow_clients(road: Road, kind: str, count: int) -> Iterator[None]:
    """So many connections that are opened, each served one byte a second at most."""
    starts = {
        "silent": b"",
        "slow headers": head(road, "GET /jwks HTTP/1.1")[:-2] + b"X-Slow: ",
        "slow body": head(road, "POST /token HTTP/1.1", FORM, "Content-Length: 10000"),
        "slow form": head(road, "POST /login/a/password HTTP/1.1", FORM, "Content-Length: 10000"),
        "slow chunks": head(road, "POST /token HTTP/1.1", FORM, "Transfer-Encoding: chunked"),
        "not reading": head(road, "GET /nothing HTTP/1.1") * 20,
    }
    is_over = threading.Event()
    address = ("127.0.0.1", road.installation.port)
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect(address)
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.send(starts[kind])
            connections.append(connection)

        def drip() -> None:
            while kind.startswith("slow") and not is_over.wait(1):
                for connection in connections:
                    with suppress(OSError):
                        connection.send(b"1\r\na\r\n" if kind == "slow chunks" else b"a")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            yield
        finally:
            is_over.set()
            dripping.join()


# DS-04
@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["silent", "slow headers", "slow body", "slow form", "slow chunks", "not reading"]
)
def test_slow_clients_do_not_stop_others(faced: Road, kind: str) -> None:
    with slow_clients(faced, kind, SLOW_CLIENTS), load(faced, threads=2) as tally:
        for _ in range(50):
            assert faced.get("/jwks").status == 200
        while len(tally.redeemed) < 10:
            time.sleep(0.05)
    assert not tally.unexpected
    assert not tally.lost


@pytest.mark.slow
def test_long_answers_reach_slow_readers_whole(served: Road) -> None:
    asked = 300
    sent = head(served, "GET /jwks HTTP/1.1") * asked
    sent += head(served, "GET /jwks HTTP/1.1", "Connection: close")
    address = ("127.0.0.1", served.installation.port)
    with ExitStack() as stack:
        readers = []
        for _ in range(3):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(address)
            reader.settimeout(30)
            stack.enter_context(sending(reader, sent))
            readers.append(reader)
        assert_serves(served)
        for reader in readers:
            received = b""
            while data := reader.recv(4096):
                received += data
                time.sleep(0.0005)
            assert statuses(received) == [200] * (asked + 1)
            assert received.count(b'"keys"') == asked + 1
            assert received.endswith(b"}")


@contextmanager
def sending(connection: socket.socket, sent: bytes) -> Iterator[None]:
    """Sends beside the block: a server that is not read does not read either."""
    thread = threading.Thread(target=connection.sendall, args=(sent,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


# DS-01
@pytest.mark.slow
def test_a_flood_of_passwords_is_turned_away_and_machines_are_served_meanwhile() -> None:
    people = 60
    with serving("sekisho", trusted_proxies="127.0.0.1/32") as found:
        start = threading.Barrier(people)
        served = Counter[int]()
        is_over = threading.Event()

        def guess(number: int) -> list[Answer]:
            from_elsewhere = Road(
                found.installation, found.client, {"X-Forwarded-For": f"203.{number}.113.7"}
            )
            start.wait()
            with from_elsewhere.connect() as connection:
                return [
                    from_elsewhere.sign_in(
                        connection, {}, identifier=f"nobody-{number}", password="a guess"
                    )
                    for _ in range(2)
                ]

        def machines() -> None:
            with found.connect() as connection:
                while not is_over.is_set():
                    served[found.redeem(connection, "no code").status] += 1
                    served[found.get("/jwks").status] += 1

        beside = threading.Thread(target=machines)
        beside.start()
        try:
            with ThreadPoolExecutor(people) as pool:
                answers = [answer for found_ in pool.map(guess, range(people)) for answer in found_]
        finally:
            is_over.set()
            beside.join()
    turned_away = [answer for answer in answers if answer.status in (429, 503)]
    assert {answer.status for answer in answers} <= {200, 429, 503}
    assert turned_away
    assert all(answer.header("Retry-After") for answer in turned_away)
    assert set(served) == {200, 400}
    assert min(served.values()) >= 10
