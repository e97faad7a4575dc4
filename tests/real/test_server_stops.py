"""Servers that are told to stop, killed, and started: requests are finished, nothing is left.

Over `sekisho serve` (granian) and over gunicorn.
"""

import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, select

from keys.store import METADATA
from tests.support.running import SEKISHO, Installation
from tests.support.traffic import Road, load
from tests.support.wire import (
    SERVERS,
    begin,
    head,
    new_code,
    redemption,
    serving,
)

KEY_ROWS = METADATA.tables["signing_keys"]


# CR-19
@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_a_request_on_its_way_is_finished_when_the_server_is_told_to_stop(server: str) -> None:
    with serving(server) as found:
        installation = found.installation
        process = installation.process
        assert process is not None
        fields, body = redemption(found, new_code(found))
        fields += [f"Content-Length: {len(body)}"]
        with socket.create_connection(("127.0.0.1", installation.port), 20) as connection:
            connection.sendall(head(found, "POST /token HTTP/1.1", *fields) + body[:10])
            time.sleep(0.5)
            process.send(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(body[10:])
            received = b""
            while data := connection.recv(65536):
                received += data
        assert b'"id_token"' in received
        assert received.endswith(b"}")
        assert process.wait() == 0
        assert process.leftovers() == []


# CR-19
@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_a_stop_under_load_cuts_no_answer_and_leaves_the_port_free(server: str) -> None:
    with serving(server) as found:
        installation = found.installation
        process = installation.process
        assert process is not None
        cut: list[bytes] = []
        is_over = threading.Event()
        with ThreadPoolExecutor(8) as pool, load(found, threads=2) as tally:
            callers = [pool.submit(call_until, is_over, found, cut) for _ in range(8)]
            while len(tally.redeemed) < 20:
                time.sleep(0.05)
            assert installation.stop() == 0
            is_over.set()
            assert sum(caller.result() for caller in callers) > 0
        assert cut == []
        assert not tally.unexpected
        assert process.leftovers() == []
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", installation.port))


def call_until(is_over: threading.Event, road: Road, cut: list[bytes]) -> int:
    """Asks for pages on kept-alive connections; puts answers that break off into `cut`. How many
    were whole."""
    whole = 0
    sent = head(road, "GET /nothing HTTP/1.1")
    length = re.compile(rb"(?i)content-length: (\d+)")
    while not is_over.is_set():
        received = b""
        try:
            address = ("127.0.0.1", road.installation.port)
            with socket.create_connection(address, 20) as connection:
                while not is_over.is_set():
                    received = b""
                    connection.sendall(sent)
                    while not is_whole(received, length):
                        data = connection.recv(65536)
                        if not data:
                            raise ConnectionError
                        received += data
                    whole += 1
                    received = b""
        except OSError:
            if received:
                cut.append(received)
            is_over.wait(0.01)
    return whole


def is_whole(received: bytes, length: re.Pattern[bytes]) -> bool:
    top, mark, body = received.partition(b"\r\n\r\n")
    announced = length.search(top)
    return bool(mark and announced and len(body) == int(announced[1]))


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_a_stop_while_workers_still_start_leaves_no_process(server: str) -> None:
    with Installation(host="127.0.0.1") as installation:
        for _ in range(5):
            process = begin(server, installation, workers=2)
            while not process.descendants() and process.returncode is None:
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.6))
            process.send(signal.SIGTERM)
            # Before it listens to signals it just dies of them.
            assert process.wait() in (0, -signal.SIGTERM)
            deadline = time.monotonic() + 10
            while process.leftovers() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert process.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_four_processes_that_start_at_once_make_one_key_of_each_algorithm(server: str) -> None:
    with Installation(host="127.0.0.1") as installation:
        with installation.services() as built, built.database.transaction() as session:
            expected = session.scalar(select(func.count()).select_from(KEY_ROWS))
            session.execute(delete(KEY_ROWS))
        process = begin(server, installation, workers=4)
        process.wait_until(lambda: installation.is_ready() and len(process.descendants()) >= 4)
        time.sleep(1)
        with installation.services() as built, built.database.transaction() as session:
            made = session.scalars(select(KEY_ROWS.c.alg)).all()
        assert len(made) == len(set(made)) == expected
        assert installation.stop() == 0


def test_a_port_in_use_is_one_clear_line(faced: Road) -> None:
    done = subprocess.run(
        [str(SEKISHO), "serve"],
        env=faced.installation.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert str(faced.installation.port) in line


def test_no_worker_outlives_the_server_that_was_killed() -> None:
    with serving("sekisho") as found:
        process = found.installation.process
        assert process is not None
        assert len(process.descendants()) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while process.leftovers() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.leftovers() == []
