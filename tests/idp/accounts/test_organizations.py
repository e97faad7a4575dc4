"""Organisations: names that can be told apart and shown."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from idp.accounts import organizations
from idp.accounts.organizations import Organization
from idp.errors import NotFound, Refused
from tests.support.kit import NOW, Installation


def add(installation: Installation, name: str) -> Organization:
    with installation.database() as session:
        return organizations.add(session, name, now=NOW)


def test_a_new_one_is_found_by_name_and_id(installation: Installation) -> None:
    added = add(installation, " さくら商事   (Sakura) ")
    assert added.name == "さくら商事 (Sakura)"
    with installation.database() as session:
        for known_as in (
            added.id,
            "さくら商事 (Sakura)",
            "さくら商事（ＳＡＫＵＲＡ）".replace("（", " （"),
        ):
            assert organizations.find(session, known_as).id == added.id
        with pytest.raises(NotFound):
            organizations.find(session, "さくら")


@pytest.mark.parametrize("name", ["organisation a", "ORGANISATION A", "Ｏrganisation  Ａ"])
def test_a_name_is_taken_in_every_spelling(sqlite_installation: Installation, name: str) -> None:
    with pytest.raises(Refused, match="exists already"):
        add(sqlite_installation, name)


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb\0", "a\u202eb", "a\u200bb"])
def test_a_name_is_printable_and_short(sqlite_installation: Installation, name: str) -> None:
    with pytest.raises(Refused) as refused:
        add(sqlite_installation, name)
    assert refused.value.member == "name"


def test_the_longest_name_of_the_widest_characters_fits(installation: Installation) -> None:
    assert add(installation, "㌔" * 64).name == "㌔" * 64


# CR-16
def test_of_many_who_add_the_same_one_at_once_one_succeeds(installation: Installation) -> None:
    start = threading.Barrier(6)

    def add_one(_: int) -> bool:
        start.wait()
        try:
            add(installation, "Organisation C")
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(add_one, range(6))) == 1
