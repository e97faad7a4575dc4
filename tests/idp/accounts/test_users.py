"""Users: one person, one row, never twice, never with somebody else's name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idp.accounts import organizations, users
from idp.accounts.users import Role, User
from idp.errors import NotFound, Refused
from tests.support.kit import ALICE, BELLA, NOW, Installation


def add(installation: Installation, email: str, **others: Any) -> User:
    with installation.database() as session:
        owner = organizations.find(session, "Organisation B")
        given: dict[str, Any] = {"organization": owner, "name": "Eve", "now": NOW} | others
        return users.add(session, email, **given)


def test_a_new_user_has_an_id_that_says_nothing(sqlite_installation: Installation) -> None:
    eve = add(sqlite_installation, "Eve@B.Example", login_id="Eve.7", name="  Eve   Stone ")
    assert len(eve.id) == 32
    assert "eve" not in eve.id
    assert (eve.email, eve.email_key) == ("Eve@B.Example", "eve@b.example")
    assert (eve.login_id, eve.login_id_key) == ("Eve.7", "eve.7")
    assert (eve.name, eve.role) == ("Eve Stone", Role.MEMBER)
    assert (eve.password_hash, eve.email_verified_at) == (None, None)
    assert eve.security_stamp


# CR-16, EN-06
@pytest.mark.parametrize("email", ["alice@a.example", "ALICE@A.EXAMPLE", " alice@a.example "])
def test_an_address_is_taken_in_every_spelling_and_everywhere(
    installation: Installation, email: str
) -> None:
    with pytest.raises(Refused, match="taken") as refused:
        add(installation, email)
    assert "Organisation" not in str(refused.value)


def test_a_sign_in_id_is_taken_in_every_spelling(sqlite_installation: Installation) -> None:
    with pytest.raises(Refused, match="taken"):
        add(sqlite_installation, "eve@b.example", login_id="ALICE")


# CR-16
def test_of_many_who_add_the_same_person_at_once_one_succeeds(installation: Installation) -> None:
    start = threading.Barrier(8)

    def add_eve(number: int) -> bool:
        start.wait()
        try:
            add(installation, "eve@b.example" if number % 2 else "EVE@b.example")
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(add_eve, range(8))) == 1


# ID-03
def test_a_person_who_comes_back_is_another_subject(sqlite_installation: Installation) -> None:
    first = add(sqlite_installation, "eve@b.example")
    sqlite_installation.sql("DELETE FROM users WHERE id = :id", id=first.id)
    assert add(sqlite_installation, "eve@b.example").id != first.id


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\0b", "a\u202eb", "a\x1b[31m"])
def test_a_name_is_printable_and_short(sqlite_installation: Installation, name: str) -> None:
    with pytest.raises(Refused):
        add(sqlite_installation, "eve@b.example", name=name)


# EN-11
@pytest.mark.parametrize("login_id", ["bella@b.example", "", "a b"])
def test_a_sign_in_id_cannot_be_somebodys_address(
    sqlite_installation: Installation, login_id: str
) -> None:
    with pytest.raises(Refused):
        add(sqlite_installation, "eve@b.example", login_id=login_id)


# ID-02
@pytest.mark.parametrize("name", ["iss", "sub", "email_verified", "roles", "org_id", "amr"])
def test_a_profile_cannot_hold_what_we_say_about_somebody(
    sqlite_installation: Installation, name: str
) -> None:
    with pytest.raises(Refused):
        add(sqlite_installation, "eve@b.example", profile={name: "x"})


def test_a_role_is_one_of_ours(sqlite_installation: Installation) -> None:
    with pytest.raises(ValueError, match="emperor"):
        add(sqlite_installation, "eve@b.example", role="emperor")


@pytest.mark.parametrize("identifier", ["alice", "ALICE", "alice@a.example", "Ａlice@a.example"])
def test_a_user_is_found_by_any_spelling(
    sqlite_installation: Installation, identifier: str
) -> None:
    with sqlite_installation.database() as session:
        found = users.find(session, identifier)
        assert found.email == ALICE.email
        assert users.find(session, found.id) is found


@pytest.mark.parametrize("identifier", ["", "nobody", "%", "alice@", "' OR 1=1 --"])
def test_nobody_is_found_by_anything_else(
    sqlite_installation: Installation, identifier: str
) -> None:
    with sqlite_installation.database() as session, pytest.raises(NotFound):
        users.find(session, identifier)


def test_credentials_are_read_in_one_statement(installation: Installation) -> None:
    reader = installation.services.database.reader
    [row] = users.CREDENTIALS.all(reader, key="bella")
    assert (row.id, row.email) == (installation.sub(BELLA), BELLA.email)
    assert row.organization_name == "Organisation B"
    assert row.organization_disabled_at is row.disabled_at is None
    assert users.CREDENTIALS.all(reader, key="nobody") == []
