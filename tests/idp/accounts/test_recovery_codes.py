"""Recovery codes: read however they were written down, used once, replaced, told."""

from __future__ import annotations

import hashlib
import math
import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from idp.accounts import claimants, recovery_codes
from idp.accounts.recovery_codes import grouped, normalized
from tests.idp.accounts.test_totp import mails
from tests.support.apps import row_of, set_up, somewhere
from tests.support.kit import ALICE, BELLA, DORA, Installation, Person

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODES = st.text(ALPHABET, min_size=24, max_size=24)
SEPARATORS = st.sampled_from(["", "-", " ", "\u3000", "–", "ー", "\n"])
FULL_WIDTH = str.maketrans(ALPHABET, "".join(chr(ord(c) + 0xFEE0) for c in ALPHABET))


def use(installation: Installation, person: Person | str, code: str, number: int = 1) -> bool:
    services = installation.services
    identifier = person if isinstance(person, str) else person.email
    return recovery_codes.use(
        services,
        claimants.meet(services, identifier),
        code,
        somewhere(number),
        now=installation.clock.now(),
    )


# BF-15
@given(CODES, st.data())
def test_a_code_is_read_in_any_grouping_case_and_width(code: str, data: st.DataObject) -> None:
    look_alikes = {"1": "1ILil", "0": "0Oo"}
    written = "".join(
        data.draw(st.sampled_from(look_alikes.get(character, character + character.lower())))
        + data.draw(SEPARATORS.filter(lambda text: text != "ー"))
        for character in code
    )
    assert normalized(written) == code
    assert normalized(grouped(code)) == code
    assert normalized(code.translate(FULL_WIDTH)) == code


@given(st.text(max_size=60))
def test_what_is_no_code_is_none(text: str) -> None:
    read = normalized(text)
    assert read == "" or (len(read) == 24 and set(read) <= set(ALPHABET))


def test_a_code_has_120_bits_and_six_groups(sqlite_installation: Installation) -> None:
    user = row_of(sqlite_installation, ALICE)
    codes = {
        recovery_codes.propose(sqlite_installation.services, user, f"visit {number}")
        for number in range(500)
    }
    assert len(codes) == 500
    assert {len(code) * math.log2(len(ALPHABET)) for code in codes} == {120}
    assert set("".join(codes)) == set(ALPHABET)
    assert grouped("ABCDEFGHJKMNPQRSTVWXYZ01") == "ABCD-EFGH-JKMN-PQRS-TVWX-YZ01"


# BF-15
def test_a_code_works_once_and_a_new_one_is_due(installation: Installation) -> None:
    code = set_up(installation, ALICE).recovery_code
    stored = installation.sql("SELECT code_hash FROM recovery_codes")
    assert [bytes(row["code_hash"]) for row in stored] == [hashlib.sha256(code.encode()).digest()]
    assert use(installation, ALICE, grouped(code).lower())
    assert installation.user(ALICE).required_actions == "save_recovery_code"
    assert not use(installation, ALICE, code)
    assert "recovery_code.used" in installation.events()
    told = mails(installation)[-1]
    assert "Your recovery code was used" in told["subject"]
    assert code not in told["text"] and grouped(code) not in told["text"]


# BF-15
def test_of_fifty_at_once_one_uses_the_code(installation: Installation) -> None:
    code, start = set_up(installation, ALICE).recovery_code, threading.Barrier(50)

    def attempt(number: int) -> bool:
        start.wait()
        return use(installation, ALICE, code, 200 * number)

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(attempt, range(50))) == 1
    assert installation.events().count("recovery_code.used") == 1


# BF-15
def test_guesses_are_slowed_down(sqlite_installation: Installation) -> None:
    code = set_up(sqlite_installation, ALICE).recovery_code
    for _ in range(5):
        assert not use(sqlite_installation, ALICE, "0" * 24)
    assert not use(sqlite_installation, ALICE, code)
    sqlite_installation.pass_time(minutes=15)
    assert use(sqlite_installation, ALICE, code)


def test_a_code_is_its_owners_alone(sqlite_installation: Installation) -> None:
    code = set_up(sqlite_installation, ALICE).recovery_code
    for other in (BELLA, "nobody@a.example"):
        assert not use(sqlite_installation, other, code)
    sqlite_installation.switch(DORA, on=True)
    of_dora = set_up(sqlite_installation, DORA).recovery_code
    sqlite_installation.switch(DORA, on=False)
    assert not use(sqlite_installation, DORA, of_dora)
    assert len(sqlite_installation.sql("SELECT * FROM recovery_codes")) == 2


def test_a_code_that_is_kept_replaces_the_one_before(installation: Installation) -> None:
    services = installation.services
    first = set_up(installation, ALICE).recovery_code
    user = row_of(installation, ALICE)
    second = recovery_codes.propose(services, user, "a visit")
    by = {"source": somewhere(), "now": installation.clock.now()}
    assert recovery_codes.keep(services, user, second, **by)  # type: ignore[arg-type]
    assert not recovery_codes.keep(services, user, "0" * 24, **by), "not begun anew"  # type: ignore[arg-type]
    assert not use(installation, ALICE, first)
    assert use(installation, ALICE, second)
