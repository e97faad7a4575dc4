"""Threads and processes that start and rotate at the same moment, on one SQLite file."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from keys.keyring import Keyring
from keys.signing_key import SigningKey, signing
from keys.store import METADATA, MemoryKeyStore, SqlKeyStore
from tests.keys.factories import HOUR, NOW, a_keyring, a_sealer

ALGORITHMS = ("ES256", "EdDSA")
PROCESSES = 4
THREADS = 8
SPAWN = multiprocessing.get_context("spawn")


def race(*runners: Callable[[], object]) -> None:
    """Runs all at once and raises what any of them raised."""
    barrier = threading.Barrier(len(runners))
    failures: list[BaseException] = []

    def run(runner: Callable[[], object]) -> None:
        barrier.wait()
        try:
            runner()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(runner,)) for runner in runners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def start_and_rotate(url: str, barrier: Barrier) -> None:
    """What each process does: start with the others, then announce with the others."""
    engine = create_engine(url)
    keyring = Keyring(SqlKeyStore(engine), a_sealer(), algorithms=ALGORITHMS)
    barrier.wait()
    keyring.ensure(NOW)
    barrier.wait()
    keyring.rotate("ES256", NOW + HOUR)
    keyring.maintain(NOW + HOUR)
    engine.dispose()


def generations(keys: list[SigningKey]) -> list[tuple[str, int]]:
    return [(key.alg, key.generation) for key in keys]


# ID-10
def test_processes_that_start_and_rotate_together_make_one_key_of_each_generation(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    engine = create_engine(url)
    METADATA.create_all(engine)
    barrier = SPAWN.Barrier(PROCESSES)
    started = [
        SPAWN.Process(target=start_and_rotate, args=(url, barrier)) for _ in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * PROCESSES
    stored = generations(SqlKeyStore(engine).load())
    assert stored == [("ES256", 1), ("ES256", 2), ("EdDSA", 1)]
    engine.dispose()


def test_threads_that_start_together_make_one_key_of_each_algorithm(engine: Engine) -> None:
    keyrings = [
        Keyring(SqlKeyStore(engine), a_sealer(), algorithms=ALGORITHMS) for _ in range(THREADS)
    ]
    race(*(lambda keyring=keyring: keyring.ensure(NOW) for keyring in keyrings))
    assert generations(SqlKeyStore(engine).load()) == [("ES256", 1), ("EdDSA", 1)]
    assert len({keyring.signer("ES256", NOW).kid for keyring in keyrings}) == 1


def test_threads_that_announce_together_announce_one_key(engine: Engine) -> None:
    keyrings = [a_keyring(SqlKeyStore(engine)) for _ in range(THREADS)]
    race(*(lambda keyring=keyring: keyring.rotate("ES256", NOW) for keyring in keyrings))
    assert generations(SqlKeyStore(engine).load()) == [("ES256", 1), ("ES256", 2)]
    assert len({keyring.jwks(NOW).etag for keyring in keyrings}) == 1


@pytest.mark.parametrize("attempt", range(5))
def test_keys_withdrawn_together_always_leave_one_that_signs(attempt: int) -> None:
    store = MemoryKeyStore()
    keyring, other = a_keyring(store), a_keyring(store)
    current, announced = keyring.signer("ES256", NOW).kid, keyring.rotate("ES256", NOW).kid
    race(lambda: keyring.withdraw(current, NOW), lambda: other.withdraw(announced, NOW))
    signer = signing(store.load(), "ES256", NOW)
    assert signer is not None
    assert signer.kid not in (current, announced)


def test_one_keyring_serves_many_threads_while_it_rotates() -> None:
    keyring = a_keyring()

    def sign() -> None:
        for second in range(200):
            now = NOW + second * HOUR
            signer = keyring.signer("ES256", now)
            assert keyring.public_key(signer.kid, now) is not None

    def rotate() -> None:
        for _ in range(20):
            keyring.rotate("ES256", NOW, immediately=True)

    race(sign, sign, sign, rotate)
