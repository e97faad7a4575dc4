from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, inspect

from keys.signing_key import SigningKey
from keys.store import KeyStore, MemoryKeyStore, SqlKeyStore, StoreUnavailable
from tests.keys.factories import DAY, HOUR, NOW, a_key


class KeyStoreContract:
    """What every store of signing keys does. Subclasses give the fixture `store`."""

    def test_a_new_store_is_empty(self, store: KeyStore) -> None:
        assert store.load() == []

    def test_a_key_comes_back_as_it_was_added(self, store: KeyStore) -> None:
        key = a_key(signs_from=NOW + timedelta(days=1, microseconds=1))
        assert store.add(key)
        (found,) = store.load()
        assert found == key
        assert found.sealed_private == key.sealed_private

    def test_keys_are_ordered_by_algorithm_and_generation(self, store: KeyStore) -> None:
        for key in (a_key(2), a_key(1, alg="EdDSA"), a_key(1), a_key(10)):
            assert store.add(key)
        found = [(key.alg, key.generation) for key in store.load()]
        assert found == [("ES256", 1), ("ES256", 2), ("ES256", 10), ("EdDSA", 1)]

    def test_a_generation_is_added_once_and_the_first_one_stays(self, store: KeyStore) -> None:
        first, second = a_key(1), a_key(1)
        assert store.add(first)
        assert not store.add(second)
        assert not store.add(first)
        assert store.load() == [first]

    def test_another_algorithm_may_have_the_same_generation(self, store: KeyStore) -> None:
        assert store.add(a_key(1))
        assert store.add(a_key(1, alg="EdDSA"))

    def test_a_key_may_begin_earlier_but_not_later(self, store: KeyStore) -> None:
        key = a_key(signs_from=NOW + DAY)
        store.add(key)
        assert store.hasten(key.kid, NOW + HOUR)
        assert not store.hasten(key.kid, NOW + HOUR)
        assert not store.hasten(key.kid, NOW + DAY)
        assert _only(store).signs_from == NOW + HOUR

    def test_a_withdrawn_key_does_not_begin_earlier(self, store: KeyStore) -> None:
        key = a_key(signs_from=NOW + DAY)
        store.add(key)
        store.withdraw(key.kid, NOW)
        assert not store.hasten(key.kid, NOW)
        assert _only(store).signs_from == NOW + DAY

    def test_a_key_is_withdrawn_once_and_the_first_time_stays(self, store: KeyStore) -> None:
        key = a_key()
        store.add(key)
        assert store.withdraw(key.kid, NOW + HOUR)
        assert not store.withdraw(key.kid, NOW + DAY)
        assert _only(store).withdrawn_at == NOW + HOUR

    def test_nothing_happens_to_a_key_that_is_not_there(self, store: KeyStore) -> None:
        key = a_key()
        store.add(key)
        assert not store.withdraw("unknown", NOW)
        assert not store.hasten("unknown", NOW - DAY)
        store.remove("unknown")
        assert store.load() == [key]

    def test_a_removed_key_is_gone_and_the_others_stay(self, store: KeyStore) -> None:
        one, other = a_key(1), a_key(2)
        store.add(one)
        store.add(other)
        store.remove(one.kid)
        assert store.load() == [other]


class TestMemoryKeyStore(KeyStoreContract):
    @pytest.fixture
    def store(self) -> KeyStore:
        return MemoryKeyStore()


class TestSqlKeyStore(KeyStoreContract):
    @pytest.fixture
    def store(self, engine: Engine) -> KeyStore:
        return SqlKeyStore(engine)

    def test_it_works_on_an_engine_in_autocommit(self, engine: Engine) -> None:
        store = SqlKeyStore(engine.execution_options(isolation_level="AUTOCOMMIT"))
        key = a_key()
        assert store.add(key)
        assert not store.add(a_key())
        assert store.withdraw(key.kid, NOW)
        assert len(store.load()) == 1

    def test_times_are_stored_as_integers(self, engine: Engine) -> None:
        columns = {c["name"]: c["type"] for c in inspect(engine).get_columns("signing_keys")}
        for name in ("created_at", "signs_from", "withdrawn_at"):
            assert str(columns[name]) == "BIGINT"


def test_a_database_that_does_not_answer_is_told_apart_from_an_empty_one() -> None:
    store = SqlKeyStore(create_engine("sqlite:////nowhere/at/all/keys.db"))
    with pytest.raises(StoreUnavailable):
        store.load()
    with pytest.raises(StoreUnavailable):
        store.add(a_key())


def _only(store: KeyStore) -> SigningKey:
    (key,) = store.load()
    return key
