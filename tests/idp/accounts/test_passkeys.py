"""Rows of passkeys: adding, naming and removing them, by their owner alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from idp.accounts import passkeys, users
from idp.accounts.attempts import Source
from idp.accounts.passkeys import PER_USER, NewKey
from idp.errors import Refused
from idp.outbox import OutboxRow, open_payload
from tests.support.authenticator import give
from tests.support.kit import ALICE, BELLA, NOW, Installation, Person

SOURCE = Source("192.0.2.99", None, "Mozilla/5.0 (Windows) Firefox/130", "a request", "c1")


def row(installation: Installation, person: Person) -> Any:
    reader = installation.services.database.reader
    return users.BY_ID.all(reader, user_id=installation.sub(person))[0]


def add(installation: Installation, person: Person, number: int, user: Any = None) -> None:
    passkeys.add(
        installation.services,
        user or row(installation, person),
        NewKey(f"key {number}".encode(), b"public", 0, "", "", True),
        name=f"Key {number}",
        source=SOURCE,
        now=NOW,
    )


def listed(installation: Installation, person: Person) -> list[passkeys.Listed]:
    return passkeys.listed(installation.services, installation.sub(person))


def last_mail(installation: Installation) -> dict[str, Any]:
    with installation.database() as session:
        rows = session.scalars(select(OutboxRow).order_by(OutboxRow.created_at.desc())).all()
        return open_payload(rows[0], installation.services.sealer)


# BF-20
def test_a_user_has_so_many_passkeys_and_no_more(installation: Installation) -> None:
    for number in range(PER_USER):
        add(installation, ALICE, number)
    with pytest.raises(Refused) as refused:
        add(installation, ALICE, PER_USER)
    assert refused.value.member == "passkeys"
    add(installation, BELLA, PER_USER)
    assert len(listed(installation, ALICE)) == PER_USER


# BF-20
def test_parallel_additions_cannot_overshoot(installation: Installation) -> None:
    for number in range(PER_USER - 1):
        add(installation, ALICE, number)
    user = row(installation, ALICE)
    start = threading.Barrier(4)

    def one(number: int) -> bool:
        start.wait()
        try:
            add(installation, ALICE, 100 + number, user)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == [False, False, False, True]
    assert len(listed(installation, ALICE)) == PER_USER


# BF-20
def test_a_credential_id_belongs_to_one_account(installation: Installation) -> None:
    add(installation, ALICE, 1)
    stamp = installation.user(BELLA).security_stamp
    with pytest.raises(Refused) as refused:
        add(installation, BELLA, 1)
    assert refused.value.member == "credential"
    assert listed(installation, BELLA) == []
    assert installation.user(BELLA).security_stamp == stamp


def test_a_recovery_code_is_due_unless_there_is_one(sqlite_installation: Installation) -> None:
    add(sqlite_installation, ALICE, 1)
    assert sqlite_installation.user(ALICE).required_actions == "save_recovery_code"
    sqlite_installation.sql(
        "INSERT INTO recovery_codes (user_id, code_hash, created_at) VALUES (:id, :hash, 0)",
        id=sqlite_installation.sub(BELLA),
        hash=b"0" * 32,
    )
    add(sqlite_installation, BELLA, 2)
    assert sqlite_installation.user(BELLA).required_actions == ""


def test_the_owner_sees_names_and_times(sqlite_installation: Installation) -> None:
    add(sqlite_installation, ALICE, 1)
    [one] = listed(sqlite_installation, ALICE)
    assert (one.name, one.is_synced, one.created_at, one.last_used_at) == ("Key 1", True, NOW, None)
    assert listed(sqlite_installation, BELLA) == []


def test_a_passkey_is_renamed_by_its_owner_alone(sqlite_installation: Installation) -> None:
    add(sqlite_installation, ALICE, 1)
    [one] = listed(sqlite_installation, ALICE)

    def rename(person: Person, name: str) -> bool:
        return passkeys.rename(
            sqlite_installation.services,
            row(sqlite_installation, person),
            one.id,
            name,
            source=SOURCE,
            now=NOW,
        )

    assert not rename(BELLA, "Mine")
    assert rename(ALICE, "  青い 鍵 ")
    for bad in ("", "x" * 65, "a\0b"):
        with pytest.raises(Refused):
            rename(ALICE, bad)
    assert listed(sqlite_installation, ALICE)[0].name == "青い 鍵"
    assert sqlite_installation.events()[-1] == "factor.changed"


def test_a_passkey_is_removed_by_its_owner_alone_who_is_told(installation: Installation) -> None:
    add(installation, ALICE, 1)
    [one] = listed(installation, ALICE)
    installation.sql("DELETE FROM outbox")
    stamp = installation.user(ALICE).security_stamp
    services = installation.services

    def remove(person: Person) -> bool:
        user = row(installation, person)
        return passkeys.remove(services, user, one.id, source=SOURCE, now=NOW)

    assert not remove(BELLA)
    assert installation.user(ALICE).security_stamp == stamp
    assert remove(ALICE)
    assert not remove(ALICE)
    assert listed(installation, ALICE) == []
    assert installation.user(ALICE).security_stamp != stamp
    assert installation.events()[-1] == "factor.removed"
    mail = last_mail(installation)
    assert mail["to"] == ALICE.email
    assert "Passkey: Key 1" in mail["text"]
    assert "Firefox (Windows)" in mail["text"]


def test_a_change_that_was_begun_before_another_is_not_made(
    sqlite_installation: Installation,
) -> None:
    user = row(sqlite_installation, ALICE)
    give(sqlite_installation, ALICE)
    with pytest.raises(Refused) as refused:
        add(sqlite_installation, ALICE, 1, user)
    assert refused.value.member == "user"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  My\tkey ", "My key"),
        ("a\0b\u202ec", "a b c"),
        ("鍵" * 70, "鍵" * 64),
        ("\n", ""),
        ("", ""),
    ],
)
def test_what_was_typed_becomes_a_name_as_far_as_it_can(typed: str, name: str) -> None:
    assert passkeys.printable(typed) == name
