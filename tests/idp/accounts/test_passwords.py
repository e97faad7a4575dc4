"""Passwords: exact, peppered, and hashed a few at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from idp.accounts.passwords import Gate, Passwords, check_acceptable
from idp.errors import Refused, Unavailable
from idp.settings import Settings

PEPPER = b"p" * 32


def passwords(**settings: Any) -> Passwords:
    cheap = {"argon2_memory_kib": 8, "argon2_passes": 1, "threads": 8} | settings
    return Passwords(Settings(data_dir=Path("none"), **cheap), PEPPER, "k1")


@pytest.fixture
def checker() -> Passwords:
    return passwords()


# BF-21
@pytest.mark.parametrize(
    ("stored", "typed", "matches"),
    [
        ("x" * 127 + "a", "x" * 127 + "a", True),
        ("x" * 127 + "a", "x" * 127 + "b", False),
        ("x" * 1023 + "a", "x" * 1023 + "b", False),
        ("pass\0word", "pass\0word", True),
        ("pass\0word", "pass\0other", False),
        ("pass\0word", "pass", False),
        (" spaces ", " spaces ", True),
        (" spaces ", "spaces", False),
        ("Case", "case", False),
        ("がぎぐげご", "か\u3099き\u3099く\u3099け\u3099こ\u3099", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("caf\u00e9", "cafe", False),
        ("🦊🦊🦊🦊", "🦊🦊🦊🦊", True),
        ("🦊🦊🦊🦊", "🦊🦊🦊🐺", False),
        ("ＡＢＣ" * 21, "ＡＢＣ" * 21, True),
        ("ＡＢＣ" * 21, "ABC" * 21, False),
        ("\udc80\udc81", "\udc80\udc81", True),
        ("\udc80\udc81", "\udc80\udc82", False),
        ("", "", True),
    ],
    ids=ascii,
)
def test_every_character_counts(checker: Passwords, stored: str, typed: str, matches: bool) -> None:
    assert checker.compare(checker.hash(stored), typed) == matches


def test_the_same_password_is_stored_differently_each_time(checker: Passwords) -> None:
    first, second = checker.hash("lantern"), checker.hash("lantern")
    assert first != second
    assert first.startswith("k1$argon2id$v=19$m=8,t=1,p=1$")
    assert "lantern" not in first


def test_a_stolen_hash_is_worthless_without_the_pepper(checker: Passwords) -> None:
    stored = checker.hash("lantern")
    other = Passwords(
        Settings(argon2_memory_kib=8, argon2_passes=1, data_dir=Path("none")), b"q" * 32, "k1"
    )
    assert not other.compare(stored, "lantern")
    renamed = "k2" + stored.removeprefix("k1")
    assert not checker.compare(renamed, "lantern")


# EN-02
@pytest.mark.parametrize(
    "stored", [None, "", "k1", "k1$argon2id$", "k1$argon2id$v=19$m=8$x", "$2b$12$x", "k1$nothing"]
)
def test_what_cannot_be_verified_is_wrong_and_never_an_error(
    checker: Passwords, stored: str | None
) -> None:
    before = checker.computed
    assert not checker.compare(stored, "lantern")
    assert checker.computed == before + 1


def test_nobody_has_the_password_of_the_dummy(checker: Passwords) -> None:
    assert not checker.compare(None, "nobody has this")


def test_a_hash_of_other_parameters_is_outdated_but_still_good(checker: Passwords) -> None:
    stored = passwords(argon2_passes=2).hash("lantern")
    assert checker.compare(stored, "lantern")
    assert checker.is_outdated(stored)
    assert not checker.is_outdated(checker.hash("lantern"))


class Crowd:
    """Threads that stand in a gate until they are let out."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.out = threading.Event()
        self.entered = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def stand(self, _: int) -> bool:
        try:
            with self.gate.enter():
                with self.lock:
                    self.inside += 1
                    self.most = max(self.most, self.inside)
                self.entered.release()
                self.out.wait()
                with self.lock:
                    self.inside -= 1
        except Unavailable:
            return False
        return True


# DS-01
def test_a_full_gate_turns_away_at_once_what_is_too_much() -> None:
    crowd = Crowd(Gate(2, queue=1))
    with ThreadPoolExecutor(3) as threads:
        inside = [threads.submit(crowd.stand, number) for number in range(2)]
        for _ in inside:
            crowd.entered.acquire()
        waiting = threads.submit(crowd.stand, 2)
        while crowd.gate._waiting._value:
            assert not waiting.done()
        with pytest.raises(Unavailable) as refused, crowd.gate.enter():
            pass
        assert refused.value.retry_after == 2
        crowd.out.set()
        assert all(one.result() for one in [*inside, waiting])
    assert crowd.most == 2


# DS-01
def test_the_gate_is_free_again_after_errors_and_refusals() -> None:
    gate = Gate(1, queue=0)
    for _ in range(5):
        with pytest.raises(ValueError, match="inside"), gate.enter():
            with pytest.raises(Unavailable), gate.enter():
                pass
            raise ValueError("inside")
    with gate.enter():
        pass


# DS-01
def test_a_flood_is_hashed_by_no_more_than_the_slots_and_the_rest_is_told_to_wait() -> None:
    checker = passwords(hash_slots=1, threads=4)
    stored = checker.hash("lantern")
    start = threading.Barrier(40)

    def guess(_: int) -> bool | None:
        start.wait()
        try:
            with checker.gate.enter():
                return checker.compare(stored, "wrong")
        except Unavailable:
            return None

    with ThreadPoolExecutor(40) as threads:
        outcomes = list(threads.map(guess, range(40)))
    assert True not in outcomes
    assert checker.computed == 1 + outcomes.count(False)


def test_some_threads_are_always_left_for_everything_else() -> None:
    for threads in range(3, 17):
        checker = passwords(hash_slots=1, threads=threads)
        waiting = checker.gate._waiting._value
        assert waiting < threads


@pytest.mark.parametrize(
    "password", ["12345678", "関所関所を通る人", "x y z w 1", "🦊🐺🐻🐼🦁🐯🐨🐸", "ab" * 63 + "cd"]
)
def test_eight_characters_of_any_kind_may_be_set(password: str) -> None:
    check_acceptable(password)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", "at least 8"),
        ("1234567", "at least 8"),
        ("か\u3099" * 7, "at least 8"),
        ("abcd" * 32 + "a", "at most 128"),
        ("🦊🐺🐻🐼" * 33, "at most 128"),
        ("aaaaaaaa", "different characters"),
        ("abcabcabc", "different characters"),
    ],
    ids=ascii,
)
def test_a_refused_password_is_told_its_rule(password: str, rule: str) -> None:
    with pytest.raises(Refused, match=rule) as refused:
        check_acceptable(password)
    assert refused.value.member == "password"
    assert not password or password not in str(refused.value)
