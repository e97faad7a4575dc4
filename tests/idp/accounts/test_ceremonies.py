"""Whatever a browser sends is a passkey or is none: never a defect."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.accounts import ceremonies, passkeys
from idp.accounts.attempts import Source
from idp.accounts.challenges import Challenge, Purpose
from idp.accounts.passkeys import NewKey
from idp.errors import Refused
from tests.support.authenticator import Passkey, give, to_bytes, to_text
from tests.support.kit import ALICE, NOW, Installation, Template, copy_sqlite

REGISTER = Challenge(Purpose.REGISTER, "a visit")
AUTHENTICATE = Challenge(Purpose.AUTHENTICATE, "a visit")
PLACES = count(1)
SOURCE = Source("192.0.2.99", None, "", "test")
ORIGIN = "https://id.example.test"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=80) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers(-4, 4) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def lasting(
    sqlite_template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    installation = copy_sqlite(sqlite_template, tmp_path_factory.mktemp("ceremonies"))
    yield installation
    installation.close()


@pytest.fixture(scope="module")
def owned(lasting: Installation) -> Passkey:
    return give(lasting, ALICE)


def new_key() -> Passkey:
    return Passkey(b"a handle", "id.example.test", ORIGIN)


def registered(installation: Installation, **bent: Any) -> NewKey | None:
    key = new_key()
    asked = to_text(REGISTER.issue(installation.services, NOW))
    try:
        return ceremonies.read_registration(
            installation.services, json.dumps(key.made(asked, **bent)), REGISTER, NOW
        )
    except Refused:
        return None


def mutated(data: st.DataObject, good: bytes) -> bytes:
    made = bytearray(good)  # Of a length that differs from run to run, unlike the draws.
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)))):
        made[place % len(made)] = value
    cut = data.draw(st.integers(0, 999))
    return bytes(made[: -(cut % len(made)) or None])


# BF-20
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_mutated_attestation_object_is_never_a_defect(
    lasting: Installation, data: st.DataObject
) -> None:
    registered(lasting, attestation_object=mutated(data, new_key().attestation_object()))


# BF-20
@settings(max_examples=100, deadline=None)
@given(value=ANYTHING)
def test_a_public_key_of_any_shape_is_never_a_defect(lasting: Installation, value: Any) -> None:
    assert registered(lasting, public_key=cbor2.dumps(value)) is None


# BF-20
@settings(max_examples=100, deadline=None)
@given(
    members=st.dictionaries(st.sampled_from([1, 3, -1, -2, -3]), ANYTHING | st.integers(-300, 3))
)
def test_a_public_key_of_any_members_is_never_a_defect(
    lasting: Installation, members: dict[int, Any]
) -> None:
    registered(lasting, public_key=cbor2.dumps({1: 2, 3: -7, -1: 1} | members))


def shows(installation: Installation, sent: str) -> bool:
    """Each from somewhere else: a source that fails too often would be turned away."""
    source = replace(SOURCE, address=f"2001:db8:{next(PLACES):x}::1")
    return (
        ceremonies.authenticate(
            installation.services, sent, AUTHENTICATE, source, claimant=None, now=NOW
        )
        is not None
    )


# BF-19
@settings(max_examples=100, deadline=None)
@given(data=st.data(), part=st.sampled_from(["authenticatorData", "signature", "clientDataJSON"]))
def test_a_mutated_assertion_is_never_a_defect(
    lasting: Installation, owned: Passkey, data: st.DataObject, part: str
) -> None:
    asked = to_text(AUTHENTICATE.issue(lasting.services, NOW))
    credential = owned.shown(asked)
    good = to_bytes(credential["response"][part])
    bad = mutated(data, good)
    credential["response"][part] = to_text(bad)
    assert shows(lasting, json.dumps(credential)) == (bad == good)


# BF-19
@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(
        ["id", "rawId", "type", "response", *(f"response.{n}" for n in ("signature", "userHandle"))]
    ),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_an_answer_of_any_shape_is_never_a_defect(
    lasting: Installation, owned: Passkey, path: str, value: Any
) -> None:
    credential = owned.shown(to_text(AUTHENTICATE.issue(lasting.services, NOW)))
    inner, _, name = path.rpartition(".")
    (credential[inner] if inner else credential)[name] = value
    assert not shows(lasting, json.dumps(credential)) or value == "public-key"


@pytest.mark.parametrize(
    ("after", "matches"), [(-31, False), (-30, True), (0, True), (299, True), (300, False)]
)
def test_a_challenge_lives_five_minutes(lasting: Installation, after: int, matches: bool) -> None:
    given_ = AUTHENTICATE.issue(lasting.services, NOW)
    assert len(given_) == 32
    then = NOW + timedelta(seconds=after)
    assert AUTHENTICATE.matches(lasting.services, given_, then) is matches


def test_a_challenge_is_for_one_purpose_one_moment_and_one_installation(
    lasting: Installation,
) -> None:
    given_ = AUTHENTICATE.issue(lasting.services, NOW)
    later = AUTHENTICATE.issue(lasting.services, NOW + timedelta(seconds=1))
    assert later != given_
    assert not REGISTER.matches(lasting.services, given_, NOW)
    assert not Challenge(Purpose.AUTHENTICATE, "a visit:1").matches(lasting.services, given_, NOW)
    assert not AUTHENTICATE.matches(lasting.services, later[:8] + given_[8:], NOW)
    for short in (b"", b"\0" * 8, given_[:31], given_ + b"\0"):
        assert not AUTHENTICATE.matches(lasting.services, short, NOW)


def test_a_counter_is_taken_note_of_in_one_write(lasting: Installation) -> None:
    key = give(lasting, ALICE, is_synced=False)
    [row] = lasting.sql("SELECT id FROM passkeys WHERE credential_id = :id", id=key.credential_id)
    counts = [(3, True), (3, False), (2, False), (0, False), (4, True), (2**32 - 1, True)]
    for sign_count, is_good in counts:
        used = passkeys.use(lasting.services, row["id"], sign_count, is_synced=False, now=NOW)
        assert used is is_good, sign_count
    assert not passkeys.use(lasting.services, "gone", 1, is_synced=False, now=NOW)


def test_the_library_is_loaded_by_the_first_passkey_alone() -> None:
    program = (
        "import flows.login, idp.cli, sys;"
        "print([n for n in sys.modules if n.split('.')[0] in ('webauthn', 'cbor2', 'OpenSSL')])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
