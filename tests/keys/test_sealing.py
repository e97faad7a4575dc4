from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.sealing import SealBroken, Sealer
from tests.keys.factories import MASTER_KEY, a_sealer

OTHER_KEY = bytes(reversed(MASTER_KEY))


@given(plaintext=st.binary(max_size=300), context=st.text(max_size=40))
def test_what_is_sealed_opens_in_its_own_place(plaintext: bytes, context: str) -> None:
    sealer = a_sealer()
    assert sealer.open(sealer.seal(plaintext, context=context), context=context) == plaintext


# ID-09
def test_a_secret_moved_to_another_row_does_not_open() -> None:
    sealer = a_sealer()
    sealed = sealer.seal(b"secret of alice", context="totp:alice")
    with pytest.raises(SealBroken):
        sealer.open(sealed, context="totp:bob")


@given(place=st.integers(min_value=0, max_value=42), bit=st.integers(min_value=0, max_value=7))
def test_no_bit_of_sealed_bytes_can_be_changed(place: int, bit: int) -> None:
    sealer = a_sealer()
    sealed = bytearray(sealer.seal(b"secret", context="row"))
    assert len(sealed) == 43
    sealed[place] ^= 1 << bit
    with pytest.raises(SealBroken):
        sealer.open(bytes(sealed), context="row")


@given(st.binary(max_size=80))
def test_bytes_that_were_never_sealed_do_not_open(found: bytes) -> None:
    with pytest.raises(SealBroken):
        a_sealer().open(found, context="row")


@pytest.mark.parametrize("length", range(43))
def test_sealed_bytes_cut_short_do_not_open(length: int) -> None:
    sealer = a_sealer()
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"secret", context="row")[:length], context="row")


# ID-10
def test_another_master_key_opens_nothing_and_the_message_names_both() -> None:
    other = Sealer(OTHER_KEY)
    with pytest.raises(SealBroken, match=rf"{a_sealer().key_id}.*{other.key_id}"):
        other.open(a_sealer().seal(b"secret", context="row"), context="row")


def test_a_previous_master_key_still_opens_but_the_current_one_seals() -> None:
    both = Sealer(OTHER_KEY, previous=[MASTER_KEY])
    assert both.open(a_sealer().seal(b"old", context="row"), context="row") == b"old"
    fresh = both.seal(b"new", context="row")
    assert Sealer(OTHER_KEY).open(fresh, context="row") == b"new"
    assert both.key_id == Sealer(OTHER_KEY).key_id
    assert both.derive("csrf") == Sealer(OTHER_KEY).derive("csrf")


def test_a_master_key_given_twice_seals_as_itself() -> None:
    twice = Sealer(MASTER_KEY, previous=[MASTER_KEY])
    assert a_sealer().open(twice.seal(b"x", context="row"), context="row") == b"x"


def test_sealing_the_same_secret_twice_gives_different_bytes() -> None:
    sealer = a_sealer()
    assert len({sealer.seal(b"secret", context="row") for _ in range(100)}) == 100


def test_sealed_bytes_do_not_contain_the_secret() -> None:
    assert b"a long enough secret" not in a_sealer().seal(b"a long enough secret", context="row")


def test_derived_keys_differ_by_purpose_and_master_key_and_are_stable() -> None:
    derived = {
        sealer.derive(purpose)
        for sealer in (a_sealer(), a_sealer(), Sealer(OTHER_KEY))
        for purpose in ("csrf", "pepper", "seal", "derive", "key id", "")
    }
    assert len(derived) == 12
    assert {len(key) for key in derived} == {32}


def test_the_key_id_tells_nothing_of_any_key_in_use() -> None:
    sealer = a_sealer()
    assert len(bytes.fromhex(sealer.key_id)) == 8
    assert not sealer.derive("key id").hex().startswith(sealer.key_id)
    assert sealer.key_id not in MASTER_KEY.hex()


@pytest.mark.parametrize(
    "text",
    [
        MASTER_KEY.hex(),
        MASTER_KEY.hex().upper(),
        f"  {MASTER_KEY.hex()}\n",
        base64.b64encode(bytes([251]) * 32).decode(),
        base64.urlsafe_b64encode(bytes([251]) * 32).decode(),
        base64.urlsafe_b64encode(bytes([251]) * 32).decode().rstrip("=") + "\r\n",
    ],
)
def test_a_master_key_is_read_from_hexadecimal_or_base64(text: str) -> None:
    expected = bytes([251]) * 32 if len(text) < 60 else MASTER_KEY
    assert Sealer.from_text(text).key_id == Sealer(expected).key_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "change-me",
        MASTER_KEY.hex()[:-2],
        MASTER_KEY.hex() + "00",
        "g" * 64,
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "é" * 43,
        "A" * 41,
    ],
)
def test_anything_else_is_refused_with_what_to_do_and_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"64 hexadecimal digits.*openssl rand") as refusal:
        Sealer.from_text(text)
    assert not text or text not in str(refusal.value)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_master_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(MASTER_KEY, previous=[bytes(length)])


def test_new_master_keys_are_readable_and_never_the_same() -> None:
    texts = {Sealer.new_master_key_text() for _ in range(20)}
    assert len({Sealer.from_text(text).key_id for text in texts}) == 20


def test_previous_master_keys_are_read_from_text_too() -> None:
    both = Sealer.from_text(OTHER_KEY.hex(), previous=[MASTER_KEY.hex()])
    assert both.open(a_sealer().seal(b"old", context="row"), context="row") == b"old"


def test_a_sealer_shows_its_key_id_and_no_key() -> None:
    shown = repr(a_sealer())
    assert a_sealer().key_id in shown
    assert MASTER_KEY.hex() not in shown
    assert repr(MASTER_KEY) not in shown
