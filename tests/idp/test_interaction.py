"""The interaction: kept whole, bound to its browser, written by one tab at a time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idp import db, interaction
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.state import METADATA, SqlStateStore, StateStore

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
PARAMETERS = {"client_id": "c1", "state": "関所 \u2028\x7f\"'", "scope": "openid"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    engine = db.make_reader(f"sqlite:///{tmp_path / 'state.db'}")
    METADATA.create_all(engine)
    yield SqlStateStore(engine, unix_time=NOON.timestamp)
    engine.dispose()


def start(store: StateStore) -> Interaction:
    return interaction.start(
        store, browser="b1", parameters=PARAMETERS, now=NOON, lifetime=timedelta(minutes=30)
    )


def load(store: StateStore, started: Interaction, browser: str | None = "b1") -> Interaction | None:
    return interaction.load(store, started.id, browser=browser, now=NOON)


def test_it_is_read_as_it_was_written(store: StateStore) -> None:
    started = start(store)
    assert load(store, started) == started
    changed = replace(
        started,
        identifier="関所",
        session_id="s1",
        account_chosen=True,
        consent="allow",
        user_id="u1",
        proofs=(Proof("pwd", NOON), Proof("otp", NOON + timedelta(microseconds=5))),
    )
    assert interaction.save(store, changed) == changed
    assert load(store, started) == changed


def test_its_id_cannot_be_guessed(store: StateStore) -> None:
    assert len({start(store).id for _ in range(20)}) == 20
    assert len(start(store).id) == 43


# AZ-11
@pytest.mark.parametrize("browser", ["b2", "", None])
def test_another_browser_does_not_find_it(store: StateStore, browser: str | None) -> None:
    assert load(store, start(store), browser) is None


def test_it_ends_by_itself(store: StateStore) -> None:
    started = start(store)
    last = NOON + timedelta(minutes=30) - timedelta(seconds=1)
    assert interaction.load(store, started.id, browser="b1", now=last) is not None
    late = NOON + timedelta(minutes=30)
    assert interaction.load(store, started.id, browser="b1", now=late) is None


# AZ-13
def test_of_two_tabs_that_write_the_first_wins(store: StateStore) -> None:
    started = start(store)
    first, second = load(store, started), load(store, started)
    assert first is not None
    assert second is not None
    assert interaction.save(store, replace(first, identifier="alice")) is not None
    assert interaction.save(store, replace(second, identifier="bella")) is None
    left = load(store, started)
    assert left is not None
    assert left.identifier == "alice"


def test_it_can_be_finished_once(store: StateStore) -> None:
    started = start(store)
    assert interaction.finish(store, started)
    assert not interaction.finish(store, started)
    assert load(store, started) is None
    assert interaction.save(store, started) is None


def test_what_is_stored_is_not_in_the_representation(store: StateStore) -> None:
    assert "stored" not in repr(start(store))
