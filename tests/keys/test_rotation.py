"""Announcing, handing over, withdrawing and upkeep, in one process and in two."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from keys import jwt
from keys.keyring import UnknownKey
from keys.signing_key import SigningKey, signing
from keys.store import MemoryKeyStore
from tests.keys.factories import (
    DAY,
    HOUR,
    NOW,
    SwitchedStore,
    a_keyring,
    a_token,
    verify,
)

INSTANT = timedelta(microseconds=1)
REFRESH = timedelta(seconds=10)


def test_an_announced_key_is_published_at_once_and_signs_at_its_instant_without_a_read() -> None:
    store = SwitchedStore()
    keyring = a_keyring(store, refresh=90 * DAY)
    old = keyring.signer("ES256", NOW)
    new = keyring.rotate("ES256", NOW)
    assert new.signs_from == NOW + DAY
    assert keyring.public_key(new.kid, NOW) == new
    reads = store.reads
    assert keyring.signer("ES256", NOW + DAY - INSTANT) is old
    assert keyring.signer("ES256", NOW + DAY).kid == new.kid
    assert keyring.signer("ES256", NOW + DAY - INSTANT).kid == old.kid
    assert store.reads == reads


def test_rotating_twice_announces_one_key() -> None:
    keyring = a_keyring()
    assert keyring.rotate("ES256", NOW) == keyring.rotate("ES256", NOW + HOUR)
    assert len(keyring.public_keys(NOW)) == 2


def test_rotating_immediately_lets_the_announced_key_sign_now() -> None:
    keyring = a_keyring()
    announced = keyring.rotate("ES256", NOW)
    hastened = keyring.rotate("ES256", NOW + HOUR, immediately=True)
    assert (hastened.kid, hastened.signs_from) == (announced.kid, NOW + HOUR)
    assert keyring.signer("ES256", NOW + HOUR).kid == announced.kid


def test_rotating_immediately_keeps_what_the_old_key_signed_valid() -> None:
    keyring = a_keyring()
    token = a_token(keyring)
    keyring.rotate("ES256", NOW, immediately=True)
    assert a_token(keyring).split(".")[0] != token.split(".")[0]
    assert verify(token, keyring)["sub"] == "s-1"


# ID-08
def test_withdrawing_the_signing_key_hands_over_at_once_and_its_tokens_are_refused() -> None:
    keyring = a_keyring()
    token, old = a_token(keyring), keyring.signer("ES256", NOW).kid
    keyring.withdraw(old, NOW)
    assert keyring.signer("ES256", NOW).kid != old
    assert old not in keyring.jwks(NOW).body.decode()
    with pytest.raises(jwt.InvalidToken):
        verify(token, keyring)
    assert verify(a_token(keyring), keyring)


# ID-08
def test_withdrawing_the_signing_key_takes_the_announced_one_first() -> None:
    keyring = a_keyring()
    announced = keyring.rotate("ES256", NOW)
    keyring.withdraw(keyring.signer("ES256", NOW).kid, NOW + HOUR)
    (only,) = keyring.public_keys(NOW + HOUR)
    assert (only.kid, only.signs_from) == (announced.kid, NOW + HOUR)
    assert keyring.signer("ES256", NOW + HOUR).kid == announced.kid


def test_withdrawing_an_announced_or_an_old_key_leaves_the_signing_key() -> None:
    keyring = a_keyring()
    old = keyring.signer("ES256", NOW).kid
    current = keyring.rotate("ES256", NOW, immediately=True)
    announced = keyring.rotate("ES256", NOW)
    keyring.withdraw(announced.kid, NOW)
    keyring.withdraw(old, NOW)
    assert keyring.public_keys(NOW) == [current]
    assert keyring.signer("ES256", NOW + 2 * DAY).kid == current.kid


def test_withdrawing_twice_changes_nothing_and_an_unknown_key_is_refused() -> None:
    store = MemoryKeyStore()
    keyring = a_keyring(store)
    old = keyring.signer("ES256", NOW).kid
    keyring.withdraw(old, NOW)
    after = store.load()
    keyring.withdraw(old, NOW + HOUR)
    assert store.load() == after
    with pytest.raises(UnknownKey):
        keyring.withdraw("unknown", NOW)


# ID-08
def test_another_process_sees_a_withdrawal_within_the_refresh_time() -> None:
    store = MemoryKeyStore()
    one, other = a_keyring(store), a_keyring(store)
    token, old = a_token(one), one.signer("ES256", NOW).kid
    one.withdraw(old, NOW)
    assert other.signer("ES256", NOW + REFRESH).kid == one.signer("ES256", NOW).kid
    assert other.jwks(NOW + REFRESH) == one.jwks(NOW)
    with pytest.raises(jwt.InvalidToken):
        verify(token, other, now=NOW + REFRESH)


# ID-08
def test_another_process_whose_clock_is_behind_does_not_stop_signing() -> None:
    store = MemoryKeyStore()
    one, behind = a_keyring(store), a_keyring(store)
    one.withdraw(one.signer("ES256", NOW).kid, NOW + HOUR)
    assert behind.signer("ES256", NOW + REFRESH).kid == one.signer("ES256", NOW + HOUR).kid


# ID-10
@pytest.mark.parametrize("dying_call", ["add", "withdraw"])
def test_a_crash_within_a_withdrawal_never_leaves_no_signing_key(dying_call: str) -> None:
    class DyingStore(MemoryKeyStore):
        dying = False

        def add(self, key: SigningKey) -> bool:
            self._die("add")
            return super().add(key)

        def withdraw(self, kid: str, now: datetime) -> bool:
            self._die("withdraw")
            return super().withdraw(kid, now)

        def _die(self, call: str) -> None:
            if self.dying and call == dying_call:
                raise ConnectionAbortedError

    store = DyingStore()
    keyring = a_keyring(store)
    store.dying = True
    with pytest.raises(ConnectionAbortedError):
        keyring.withdraw(keyring.signer("ES256", NOW).kid, NOW)
    assert signing(store.load(), "ES256", NOW) is not None
    restarted = a_keyring(store)
    assert verify(a_token(restarted), restarted)


def test_when_every_key_was_withdrawn_behind_our_back_upkeep_makes_a_new_one() -> None:
    store = MemoryKeyStore()
    keyring = a_keyring(store)
    for key in store.load():
        store.withdraw(key.kid, NOW)
    keyring.maintain(NOW + HOUR)
    assert [key.generation for key in keyring.public_keys(NOW + HOUR)] == [2]


def test_upkeep_announces_when_due_and_deletes_what_is_gone() -> None:
    store = MemoryKeyStore()
    keyring = a_keyring(store)
    keyring.maintain(NOW + 89 * DAY - INSTANT)
    assert len(store.load()) == 1
    keyring.maintain(NOW + 89 * DAY)
    keyring.maintain(NOW + 89 * DAY)
    assert [key.signs_from for key in store.load()] == [NOW, NOW + 90 * DAY]
    keyring.maintain(NOW + 120 * DAY - INSTANT)
    assert len(store.load()) == 2
    keyring.maintain(NOW + 120 * DAY)
    assert [key.generation for key in store.load()] == [2]


def test_upkeep_after_long_standstill_still_announces_before_signing() -> None:
    keyring = a_keyring()
    old = keyring.signer("ES256", NOW).kid
    late = NOW + 400 * DAY
    keyring.maintain(late)
    assert len(keyring.public_keys(late)) == 2
    assert keyring.signer("ES256", late + DAY - INSTANT).kid == old
    assert keyring.signer("ES256", late + DAY).kid != old
