"""Phones: where codes go, how many are sent, and that caps open nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from idp.accounts import claimants, factors, phones
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.phones import PER_NUMBER, PER_PREFIX, PER_SOURCE, PER_USER, Texted
from idp.accounts.sent_codes import SECOND, VERIFY
from idp.errors import NotFound
from idp.policy import Method
from tests.conftest import Install
from tests.support.apps import row_of, somewhere
from tests.support.kit import ALICE, BELLA, Installation, Person
from tests.support.texts import NUMBER, give_phone, texts


def claimant_of(installation: Installation, person: Person) -> Claimant:
    return claimants.meet(installation.services, person.email)


def send(
    installation: Installation,
    person: Person = ALICE,
    *,
    number: str = NUMBER,
    visit: str = "a visit",
    source: Source | None = None,
) -> Texted:
    return phones.send(
        installation.services,
        claimant_of(installation, person),
        number,
        interaction_id=visit,
        purpose=VERIFY,
        source=source or somewhere(),
        now=installation.clock.now(),
    )


def check(
    installation: Installation,
    typed: str,
    *,
    number: str = NUMBER,
    interaction_id: str = "a visit",
    purpose: str = VERIFY,
) -> bool:
    return phones.check(
        installation.services,
        claimant_of(installation, ALICE),
        number,
        interaction_id=interaction_id,
        purpose=purpose,
        typed=typed,
        source=somewhere(),
        now=installation.clock.now(),
    )


def counters(installation: Installation) -> str:
    return " ".join(row["bucket"] for row in installation.sql("SELECT bucket FROM failures"))


def other(number: int) -> str:
    """Another number, in a block of its own."""
    return f"+8190{number:04d}5678"


def test_a_code_goes_to_the_number_and_comes_back_once(installation: Installation) -> None:
    sent = send(installation)
    assert (sent.is_sent, sent.is_available) == (True, True)
    [message] = texts(installation)
    assert message.to == NUMBER
    assert "Organisation A" in message.text
    assert message.text.endswith(f"\n@id.example.test #{message.code}")
    assert check(installation, message.code.lower())
    assert not check(installation, message.code)


def test_the_text_is_in_the_language_of_the_person(installation: Installation) -> None:
    user_id = installation.sub(ALICE)
    installation.sql(
        "UPDATE users SET profile = :profile WHERE id = :id", profile='{"locale":"ja"}', id=user_id
    )
    send(installation)
    [message] = texts(installation)
    assert message.text.startswith("【Organisation A】確認コード")


# BF-08, BF-13
@pytest.mark.parametrize(
    "changed",
    [
        {"number": "+818012345678"},
        {"interaction_id": "another visit"},
        {"purpose": SECOND},
    ],
    ids=["number", "visit", "purpose"],
)
def test_a_code_is_bound_to_number_visit_and_purpose(
    installation: Installation, changed: dict[str, str]
) -> None:
    send(installation)
    code = texts(installation)[0].code
    assert not check(installation, code, **changed)
    assert check(installation, code)


# BF-09
def test_a_code_is_valid_for_ten_minutes_and_only_the_newest(installation: Installation) -> None:
    send(installation)
    installation.pass_time(seconds=30)
    send(installation)
    old, new = texts(installation)
    assert not check(installation, old.code)
    installation.pass_time(minutes=9, seconds=59)
    assert check(installation, new.code)
    send(installation)
    installation.pass_time(minutes=10, seconds=1)
    assert not check(installation, texts(installation)[2].code)


def test_too_soon_is_no_message_and_uses_up_nothing(installation: Installation) -> None:
    first = send(installation)
    before = counters(installation)
    again = send(installation)
    assert again == Texted(False, True, first.resend_at)
    assert counters(installation) == before
    assert len(texts(installation)) == 1


# BF-07, BF-09
def test_at_most_five_an_hour_go_to_one_person(installation: Installation) -> None:
    results = []
    for number in range(7):
        results.append(send(installation, visit=f"visit {number}").is_sent)
        installation.pass_time(minutes=1)
    assert results == [True] * 5 + [False] * 2
    refused = send(installation, visit="one more")
    assert not refused.is_available


# BF-14
def test_one_number_gets_few_whoever_asks(sqlite_installation: Installation) -> None:
    limit = PER_NUMBER[0].count
    for number in range(limit):
        person = ALICE if number % 2 else BELLA
        assert send(sqlite_installation, person, visit=f"visit {number}").is_sent
    refused = send(sqlite_installation, visit="one more")
    assert (refused.is_sent, refused.is_available) == (False, False)
    assert send(sqlite_installation, number=other(1), visit="another number").is_sent
    assert NUMBER[1:] not in counters(sqlite_installation)


# BF-14
def test_one_person_gets_few_whatever_the_number(sqlite_installation: Installation) -> None:
    sent = 0
    for number in range(PER_USER[0].count + 5):
        # A known browser, so that neither the source nor the sends of an hour are in the way.
        sqlite_installation.sql("DELETE FROM failures WHERE bucket LIKE 'send:%'")
        sent += send(sqlite_installation, number=other(number), visit=f"visit {number}").is_sent
    assert sent == PER_USER[0].count


# BF-14
@pytest.mark.parametrize(
    ("kept", "limit"),
    [
        ("sms:prefix:%", PER_PREFIX[0].count),
        ("sms:source:198.51.0.1/32/3600", PER_SOURCE[0].count),
        ("sms:organization:%", 10),
        ("sms:installation%", 20),
    ],
)
def test_what_is_shared_is_capped_as_well(install: Install, kept: str, limit: int) -> None:
    installation = install(sms_per_day=20 if limit <= 20 else 1000)
    people = (ALICE, BELLA)
    is_one_organization = "organization" in kept
    has_one_prefix = "prefix" in kept
    sent = 0
    for number in range(limit + 3):
        person = ALICE if is_one_organization else people[number % 2]
        to = f"+8190123{number:05d}" if has_one_prefix else other(number)
        source = somewhere(1 if "source" in kept else 200 * number)
        result = send(installation, person, number=to, visit=f"visit {number}", source=source)
        sent += result.is_sent
        assert result.is_available == result.is_sent
        installation.sql("DELETE FROM failures WHERE bucket NOT LIKE :kept", kept=kept)
    assert sent == limit
    installation.pass_time(days=1)
    assert send(installation, visit="tomorrow").is_sent


# BF-14
def test_who_reached_a_cap_of_their_own_uses_up_nothing_of_others(
    sqlite_installation: Installation,
) -> None:
    for number in range(20):
        send(sqlite_installation, visit=f"visit {number}")
    [row] = sqlite_installation.sql(
        "SELECT failures FROM failures WHERE bucket LIKE 'sms:installation%'"
    )
    assert row["failures"] == PER_NUMBER[0].count


# BF-14
def test_callers_at_once_cannot_overshoot_a_cap(installation: Installation) -> None:
    start = threading.Barrier(8)

    def one(number: int) -> bool:
        start.wait()
        return send(installation, (ALICE, BELLA)[number % 2], visit=f"visit {number}").is_sent

    with ThreadPoolExecutor(8) as threads:
        sent = list(threads.map(one, range(8)))
    assert 1 <= sum(sent) <= PER_NUMBER[0].count
    assert len(texts(installation)) == sum(sent)


def test_caps_are_told_to_the_operator(
    sqlite_installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(PER_NUMBER[0].count + 1):
        send(sqlite_installation, visit=f"visit {number}")
    [record] = [r for r in caplog.records if r.message == "text messages are capped"]
    assert record.__dict__["cap"] == "number"
    assert NUMBER not in caplog.text


def test_without_a_gateway_nothing_is_sent_and_a_phone_stays_a_factor(install: Install) -> None:
    installation = install(sms_url="")
    give_phone(installation, ALICE)
    assert send(installation) == Texted(False, False, None)
    assert texts(installation) == []
    # Else its owner could set up another one with the password alone.
    claimant = claimant_of(installation, ALICE)
    assert factors.of(installation.services, claimant).held == (Method.SMS,)


def test_a_phone_that_is_set_up_is_told_and_everything_older_ends(
    installation: Installation,
) -> None:
    before = row_of(installation, ALICE)
    give_phone(installation, ALICE)
    after = row_of(installation, ALICE)
    assert phones.number_of(installation.services, after.id) == NUMBER
    assert before.security_stamp != after.security_stamp
    assert "factor.added" in installation.events()
    [user] = installation.sql("SELECT required_actions FROM users WHERE id = :id", id=after.id)
    assert user["required_actions"] == "save_recovery_code"
    assert len(installation.sql("SELECT id FROM outbox WHERE kind = 'mail'")) == 1
    # Whoever began under the old stamp is too late.
    services, now = installation.services, installation.clock.now()
    assert not phones.add(services, before, other(1), source=somewhere(), now=now)
    assert phones.add(services, after, other(1), source=somewhere(), now=now)
    assert phones.number_of(services, after.id) == other(1)


def test_of_two_numbers_set_up_at_once_one_is_kept(installation: Installation) -> None:
    user = row_of(installation, ALICE)
    services, now, start = installation.services, installation.clock.now(), threading.Barrier(4)

    def one(number: int) -> bool:
        start.wait()
        return phones.add(services, user, other(number), source=somewhere(), now=now)

    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(one, range(4)))
    assert sum(added) == 1
    assert phones.number_of(services, user.id) == other(added.index(True))


def test_a_phone_is_listed_masked_and_removed_once(installation: Installation) -> None:
    services, now, start = installation.services, installation.clock.now(), threading.Barrier(4)
    give_phone(installation, ALICE)
    user = row_of(installation, ALICE)
    [listed] = phones.listed(services, user.id)
    assert NUMBER not in listed.name
    with pytest.raises(NotFound):
        phones.remove(services, user, "0" * 32, source=somewhere(), now=now)
    assert row_of(installation, ALICE).security_stamp == user.security_stamp

    def one(_: int) -> bool:
        start.wait()
        return phones.remove(services, user, listed.id, source=somewhere(), now=now)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(one, range(4))) == 1
    assert phones.listed(services, user.id) == []
    assert installation.events().count("factor.removed") == 1
    with pytest.raises(NotFound):
        phones.remove(services, row_of(installation, ALICE), listed.id, source=somewhere(), now=now)
