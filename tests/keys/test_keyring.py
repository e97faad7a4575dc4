from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from keys.keyring import Keyring, NoSigningKey
from keys.sealing import SealBroken, Sealer
from keys.signing_key import ALGORITHMS, SigningKey, generate
from keys.store import MemoryKeyStore, StoreUnavailable
from tests.keys.factories import (
    DAY,
    HOUR,
    NOW,
    SwitchedStore,
    a_keyring,
    a_sealer,
    a_token,
    verify,
)

INSTANT = timedelta(microseconds=1)
REFRESH = timedelta(seconds=10)


def test_the_first_start_makes_one_signing_key_of_each_algorithm() -> None:
    keyring = a_keyring(algorithms=ALGORITHMS)
    assert [key.alg for key in keyring.public_keys(NOW)] == list(ALGORITHMS)
    for alg in ALGORITHMS:
        assert keyring.signer(alg, NOW).alg == alg


def test_a_later_start_makes_no_key() -> None:
    store = MemoryKeyStore()
    first = a_keyring(store).public_keys(NOW)
    assert a_keyring(store).public_keys(NOW) == first


def test_an_algorithm_added_later_gets_its_key_and_the_others_keep_theirs() -> None:
    store = MemoryKeyStore()
    (first,) = a_keyring(store).public_keys(NOW)
    both = a_keyring(store, algorithms=("ES256", "EdDSA")).public_keys(NOW)
    assert both[0] == first
    assert both[1].alg == "EdDSA"


# ID-10
def test_a_wrong_master_key_refuses_to_start_and_makes_no_key() -> None:
    store = MemoryKeyStore()
    a_keyring(store)
    before = store.load()
    wrong = Keyring(store, Sealer(bytes(32)), algorithms=("ES256", "EdDSA"))
    with pytest.raises(SealBroken):
        wrong.ensure(NOW)
    assert store.load() == before


# ID-10
def test_a_wrong_master_key_is_refused_even_when_no_stored_key_can_sign_any_more() -> None:
    store = MemoryKeyStore()
    a_keyring(store)
    for key in store.load():
        store.withdraw(key.kid, NOW)
    with pytest.raises(SealBroken):
        Keyring(store, Sealer(bytes(32)), algorithms=("ES256",)).ensure(NOW)
    assert len(store.load()) == 1


# ID-10
def test_no_rotation_happens_under_a_wrong_master_key() -> None:
    store = MemoryKeyStore()
    a_keyring(store)
    before = store.load()
    wrong = Keyring(store, Sealer(bytes(32)), algorithms=("ES256",))
    with pytest.raises(SealBroken):
        wrong.rotate("ES256", NOW)
    with pytest.raises(SealBroken):
        wrong.withdraw(before[0].kid, NOW)
    assert store.load() == before


def test_keys_sealed_by_a_previous_master_key_still_sign() -> None:
    store = MemoryKeyStore()
    (old,) = a_keyring(store).public_keys(NOW)
    renewed = Sealer(bytes(32), previous=[bytes(range(32))])
    keyring = Keyring(store, renewed, algorithms=("ES256",))
    keyring.ensure(NOW)
    assert verify(a_token(keyring), keyring)["sub"] == "s-1"
    assert keyring.signer("ES256", NOW).kid == old.kid


def test_an_algorithm_without_a_key_is_refused() -> None:
    keyring = a_keyring()
    for alg in ("RS256", "none", "HS256", ""):
        with pytest.raises(NoSigningKey):
            keyring.signer(alg, NOW)
        with pytest.raises(NoSigningKey):
            keyring.rotate(alg, NOW)


def test_unsafe_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="HS256"):
        Keyring(MemoryKeyStore(), a_sealer(), algorithms=("HS256",))
    with pytest.raises(ValueError, match="announced"):
        Keyring(MemoryKeyStore(), a_sealer(), rotate_every=DAY, announce=DAY)


# ID-06
def test_the_key_set_shows_public_members_only_and_distinct_kids() -> None:
    keyring = a_keyring(algorithms=ALGORITHMS)
    keyring.rotate("ES256", NOW)
    members = json.loads(keyring.jwks(NOW).body)["keys"]
    assert len({member["kid"] for member in members}) == 4
    for member in members:
        assert set(member) <= {"kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"}


def test_the_key_set_is_the_same_bytes_until_a_key_comes_or_goes() -> None:
    keyring = a_keyring()
    first = keyring.jwks(NOW)
    assert first.etag in hashlib.sha256(first.body).hexdigest()
    assert keyring.jwks(NOW + HOUR) is first
    keyring.rotate("ES256", NOW + HOUR)
    second = keyring.jwks(NOW + HOUR)
    assert second.etag != first.etag
    assert keyring.jwks(NOW + 2 * DAY) is second


def test_two_processes_publish_the_same_bytes() -> None:
    store = MemoryKeyStore()
    one, other = (a_keyring(store, algorithms=("ES256", "EdDSA")) for _ in range(2))
    assert one.jwks(NOW) == other.jwks(NOW)


def test_the_store_is_read_once_in_a_refresh_time_however_often_keys_are_asked_for() -> None:
    store = SwitchedStore()
    keyring = a_keyring(store)
    before = store.reads
    for second in range(60):
        for _ in range(10):
            keyring.signer("ES256", NOW + timedelta(seconds=second))
            keyring.jwks(NOW + timedelta(seconds=second))
    assert store.reads - before == 5


def test_while_the_store_is_away_known_keys_go_on_and_begin_on_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SwitchedStore()
    keyring = a_keyring(store)
    old, new = keyring.signer("ES256", NOW).kid, keyring.rotate("ES256", NOW).kid
    store.away = True
    assert keyring.signer("ES256", NOW + HOUR).kid == old
    assert keyring.signer("ES256", NOW + DAY).kid == new
    assert len(json.loads(keyring.jwks(NOW + DAY).body)["keys"]) == 2
    assert "going on with those known" in caplog.text
    before = store.reads
    keyring.signer("ES256", NOW + DAY + REFRESH - INSTANT)
    assert store.reads == before


def test_when_the_store_comes_back_its_news_are_seen() -> None:
    store = SwitchedStore()
    keyring, other = a_keyring(store), a_keyring(store)
    store.away = True
    keyring.signer("ES256", NOW + HOUR)
    store.away = False
    new = other.rotate("ES256", NOW + HOUR, immediately=True)
    assert keyring.signer("ES256", NOW + HOUR + REFRESH).kid == new.kid


def test_a_start_without_the_store_fails() -> None:
    store = SwitchedStore()
    store.away = True
    with pytest.raises(StoreUnavailable):
        a_keyring(store)
    with pytest.raises(StoreUnavailable):
        Keyring(store, a_sealer()).jwks(NOW)


def test_readers_do_not_wait_for_a_store_that_hangs() -> None:
    class HangingStore(MemoryKeyStore):
        def __init__(self) -> None:
            super().__init__()
            self.entered, self.release = threading.Event(), threading.Event()
            self.release.set()

        def load(self) -> list[SigningKey]:
            self.entered.set()
            self.release.wait()
            return super().load()

    store = HangingStore()
    keyring = a_keyring(store)
    kid = keyring.signer("ES256", NOW).kid
    with _held(store.release, store.entered):
        waiting = threading.Thread(target=keyring.signer, args=("ES256", NOW + HOUR))
        waiting.start()
        store.entered.wait()
        assert keyring.signer("ES256", NOW + HOUR).kid == kid
        assert waiting.is_alive()
    waiting.join()


@contextmanager
def _held(release: threading.Event, entered: threading.Event) -> Iterator[None]:
    release.clear()
    entered.clear()
    try:
        yield
    finally:
        release.set()


def test_a_clock_that_is_set_back_does_not_confuse_the_keyring() -> None:
    keyring = a_keyring()
    kid = keyring.signer("ES256", NOW + 5 * HOUR).kid
    assert keyring.signer("ES256", NOW - 5 * HOUR).kid == kid


# ID-10
def test_a_key_added_under_another_master_key_never_signs_here() -> None:
    store = MemoryKeyStore()
    keyring = a_keyring(store)
    sealer = Sealer(bytes(32))
    store.add(generate("ES256", generation=2, now=NOW, signs_from=NOW, sealer=sealer))
    with pytest.raises(SealBroken):
        keyring.signer("ES256", NOW + HOUR).sign(b"data")
