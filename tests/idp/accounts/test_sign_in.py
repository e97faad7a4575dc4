"""Checking a password: counted before it is compared, told apart by nobody, locked for a while."""

import re
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from idp import outbox
from idp.accounts import sign_in
from idp.accounts.attempts import Source
from idp.accounts.sign_in import Proven
from idp.accounts.users import User
from idp.errors import TooManyAttempts
from idp.limits import UNKNOWN_STEPS
from idp.outbox import OutboxRow
from tests.support.kit import (
    ADAM,
    ALICE,
    BELLA,
    C1,
    DORA,
    FRED,
    NOW,
    PASSWORD,
    Installation,
    Person,
    RelyingParty,
)

THRESHOLD = UNKNOWN_STEPS[0][0]
NOBODY = "nobody@a.example"
# Identifier, password, and whether the account was locked by strangers before.
CASES = {
    "unknown": (NOBODY, PASSWORD, False),
    "unknown and tried often": (NOBODY, PASSWORD, True),
    "wrong": (ALICE.email, "wrong", False),
    "locked": (ALICE.email, PASSWORD, True),
    "locked and wrong": (ALICE.email, "wrong", True),
    "disabled": (DORA.email, PASSWORD, False),
    "disabled and wrong": (DORA.email, "wrong", False),
    "no password": (FRED.email, PASSWORD, False),
    "no password, empty": (FRED.email, "nobody has this", False),
    "an address that is none": ("' OR 1=1 --", PASSWORD, False),
}


def source(number: int = 1, device: str | None = None) -> Source:
    """Somewhere that nobody else comes from."""
    address = f"198.51.{number // 200}.{number % 200}"
    return Source(address, device, "a browser", "request", "c1")


def attempt(
    installation: Installation,
    identifier: str,
    password: str,
    number: int = 1,
    device: str | None = None,
) -> Proven | None:
    services = installation.services
    return sign_in.by_password(
        services, identifier, password, source(number, device), now=services.clock.now()
    )


def lock(installation: Installation, identifier: str = ALICE.email) -> None:
    """As many wrong passwords as lock it, each from a network of its own."""
    for number in range(THRESHOLD):
        assert attempt(installation, identifier, "wrong", 1000 + 200 * number) is None


def mails(installation: Installation) -> list[Mapping[str, Any]]:
    with installation.database() as session:
        rows = session.query(OutboxRow).order_by(OutboxRow.created_at).all()
        return [outbox.open_payload(row, installation.services.sealer) for row in rows]


def test_the_right_password_proves_the_person(installation: Installation) -> None:
    proven = attempt(installation, ALICE.email, PASSWORD)
    assert proven is not None
    assert proven.user_id == installation.sub(ALICE)
    assert (proven.proof.method, proven.proof.at) == ("pwd", NOW)


# BF-04
@pytest.mark.parametrize(
    "typed", ["alice", "ALICE", " Alice@A.example ", "ａｌｉｃｅ", "alice＠a．example"]
)
def test_a_person_may_type_the_identifier_in_many_ways(
    sqlite_installation: Installation, typed: str
) -> None:
    assert attempt(sqlite_installation, typed, PASSWORD) is not None


# BF-01
def test_after_ten_wrong_passwords_the_right_one_is_refused_for_a_while(
    installation: Installation,
) -> None:
    lock(installation)
    assert attempt(installation, ALICE.email, PASSWORD) is None
    installation.pass_time(minutes=14, seconds=59)
    assert attempt(installation, ALICE.email, PASSWORD) is None
    installation.pass_time(seconds=1)
    assert attempt(installation, ALICE.email, PASSWORD) is not None


# BF-01
def test_nine_wrong_passwords_do_no_harm(sqlite_installation: Installation) -> None:
    for number in range(THRESHOLD - 1):
        attempt(sqlite_installation, ALICE.email, "wrong", 1000 + 200 * number)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is not None
    assert mails(sqlite_installation) == []


# BF-01
def test_a_lock_is_told_by_one_mail_in_the_persons_language(
    sqlite_installation: Installation,
) -> None:
    lock(sqlite_installation)
    for number in range(5):
        attempt(sqlite_installation, ALICE.email, "wrong", 5000 + 200 * number)
    [mail] = mails(sqlite_installation)
    assert (mail["to"], mail["name"]) == (ALICE.email, ALICE.name)
    assert "Organisation A" in mail["subject"]
    assert "Dear Alice Hart," in mail["text"]
    assert "login.locked" in sqlite_installation.events()


# EN-08, EN-09
def test_a_day_of_attacks_brings_one_mail(sqlite_installation: Installation) -> None:
    for round_number in range(12):
        for number in range(THRESHOLD):
            attempt(sqlite_installation, ALICE.email, "wrong", 2000 * round_number + 200 * number)
        sqlite_installation.pass_time(minutes=65)
    assert len(mails(sqlite_installation)) == 1


def test_nobody_is_told_of_a_lock_on_an_account_that_is_off(
    sqlite_installation: Installation,
) -> None:
    lock(sqlite_installation, DORA.email)
    lock(sqlite_installation, NOBODY)
    assert mails(sqlite_installation) == []


# BF-02
def test_fifty_guesses_at_once_compare_no_more_than_ten(installation: Installation) -> None:
    start = threading.Barrier(50)

    def guess(number: int) -> bool:
        start.wait()
        try:
            return attempt(installation, ALICE.email, "wrong", 200 * number) is not None
        except Exception as error:
            if type(error).__name__ == "Unavailable":
                return False
            raise

    with ThreadPoolExecutor(50) as threads:
        assert not any(threads.map(guess, range(50)))
    [row] = installation.sql(
        "SELECT total FROM failures WHERE bucket = :bucket",
        bucket=f"password:{installation.sub(ALICE)}",
    )
    assert row["total"] <= THRESHOLD
    told = installation.sql("SELECT details FROM audit WHERE event LIKE 'login.%'")
    assert sum("1" in str(row["details"]) for row in told) <= THRESHOLD


# BF-03
def test_a_failure_is_counted_even_if_what_follows_it_fails(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.sql("ALTER TABLE audit RENAME TO elsewhere")
    for number in range(THRESHOLD):
        with pytest.raises(Exception, match="audit"):
            attempt(sqlite_installation, ALICE.email, "wrong", 1000 + 200 * number)
    sqlite_installation.sql("ALTER TABLE elsewhere RENAME TO audit")
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is None


# BF-03
def test_the_lock_holds_although_its_mail_cannot_be_written(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.sql("ALTER TABLE outbox RENAME TO elsewhere")
    for number in range(THRESHOLD):
        if number < THRESHOLD - 1:
            attempt(sqlite_installation, ALICE.email, "wrong", 1000 + 200 * number)
        else:
            with pytest.raises(Exception, match="outbox"):
                attempt(sqlite_installation, ALICE.email, "wrong", 1000 + 200 * number)
    sqlite_installation.sql("ALTER TABLE elsewhere RENAME TO outbox")
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is None


# BF-04
def test_all_spellings_of_one_person_share_one_counter(sqlite_installation: Installation) -> None:
    spellings = ["alice", "ALICE", "alice@a.example", "Alice@A.EXAMPLE", " alice ", "ａlice"]
    for number in range(THRESHOLD):
        spelling = spellings[number % len(spellings)]
        attempt(sqlite_installation, spelling, "wrong", 1000 + 200 * number)
    for spelling in spellings:
        assert attempt(sqlite_installation, spelling, PASSWORD) is None
    assert attempt(sqlite_installation, ADAM.email, PASSWORD) is not None


# EN-01, EN-04
def test_a_ghost_is_locked_like_anybody_and_its_name_is_not_stored(
    sqlite_installation: Installation,
) -> None:
    lock(sqlite_installation, NOBODY)
    rows = sqlite_installation.sql("SELECT * FROM failures WHERE bucket LIKE 'password:%'")
    assert [(row["total"], row["level"]) for row in rows] == [(THRESHOLD, 1)]
    assert "nobody" not in str(sqlite_installation.sql("SELECT * FROM failures"))


# EN-02
@pytest.mark.parametrize("case", CASES)
def test_every_refusal_costs_exactly_one_hash(sqlite_installation: Installation, case: str) -> None:
    identifier, password, is_locked = CASES[case]
    if is_locked:
        lock(sqlite_installation, identifier)
    before = sqlite_installation.services.passwords.computed
    assert attempt(sqlite_installation, identifier, password) is None
    assert sqlite_installation.services.passwords.computed == before + 1


# EN-01
def test_every_refusal_looks_the_same(install: Any) -> None:
    seen = {}
    for case, (identifier, password, is_locked) in CASES.items():
        installation: Installation = install()
        if is_locked:
            lock(installation, identifier)
        browser = installation.browser("203.0.113.9")
        page = browser.authorize(RelyingParty(installation, C1).request())
        asked = browser.submit(page, identifier=identifier)
        told = browser.submit(asked, password=password)
        answers = []
        for answer in (page, asked, told):
            text = answer.response.text
            for changing in (
                *answer.page.fields.values(),
                answer.path.split("/")[2],
                answer.response.headers["Content-Security-Policy"].split("'nonce-")[1][:22],
                identifier.replace("'", "&#39;"),
            ):
                text = text.replace(changing, "•") if changing else text
            text = re.sub(r'"challenge": "[\w-]+"', "", text)
            headers = sorted(
                (name, "" if name in ("Content-Security-Policy", "Content-Length") else value)
                for name, value in answer.response.headers
                if name != "Set-Cookie"
            )
            names = sorted(browser.cookies())
            answers.append((answer.status, answer.step, text, headers, names))
        assert told.page.is_alert
        seen[case] = answers
    first = seen.pop("wrong")
    for case, answers in seen.items():
        assert answers == first, case


# BF-05, AZ-14
@pytest.mark.parametrize("person", [ALICE, BELLA, ADAM], ids=lambda person: person.login_id)
def test_a_person_whose_organisation_is_off_is_refused(
    sqlite_installation: Installation, person: Person
) -> None:
    sqlite_installation.sql("UPDATE organizations SET disabled_at = 1 WHERE name LIKE '%A'")
    proven = attempt(sqlite_installation, person.email, PASSWORD)
    assert (proven is not None) == (person is BELLA)


def known_device(installation: Installation, person: Person) -> str:
    browser = installation.browser()
    browser.signed_in(person, RelyingParty(installation, C1).request())
    return browser.cookies()["__Host-sekisho-device"]


# EN-08
def test_a_browser_of_the_person_is_not_locked_out_by_strangers(
    installation: Installation,
) -> None:
    device = known_device(installation, ALICE)
    lock(installation)
    assert attempt(installation, ALICE.email, PASSWORD) is None
    assert attempt(installation, ALICE.email, PASSWORD, device=device) is not None
    assert attempt(installation, ALICE.email, PASSWORD) is None, "it freed the strangers"


# EN-08
def test_a_known_browser_has_a_limit_of_its_own(sqlite_installation: Installation) -> None:
    device = known_device(sqlite_installation, ALICE)
    for _ in range(10):
        attempt(sqlite_installation, ALICE.email, "wrong", device=device)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=device) is None
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is not None
    sqlite_installation.pass_time(minutes=1)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=device) is not None


# SE-14
def test_a_browser_of_somebody_else_is_a_stranger(sqlite_installation: Installation) -> None:
    device = known_device(sqlite_installation, BELLA)
    lock(sqlite_installation)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=device) is None
    for made_up in ("", "x" * 43):
        assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=made_up) is None


# BF-16
def test_ones_own_sign_ins_do_not_clear_the_counters_of_others(
    sqlite_installation: Installation,
) -> None:
    for number in range(THRESHOLD - 1):
        attempt(sqlite_installation, ALICE.email, "wrong", 1000 + 200 * number)
        assert attempt(sqlite_installation, BELLA.email, PASSWORD, 1000 + 200 * number)
    attempt(sqlite_installation, ALICE.email, "wrong", 9000)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is None


# BF-17
def test_one_password_tried_on_many_accounts_locks_the_source(
    sqlite_installation: Installation,
) -> None:
    tried = 0
    with pytest.raises(TooManyAttempts) as refused:
        for number in range(100):
            attempt(sqlite_installation, f"person{number}@a.example", PASSWORD)
            tried += 1
    assert tried == 10
    assert refused.value.retry_after == 600


# BF-17, EN-08
def test_a_known_browser_works_although_its_neighbours_guess(
    sqlite_installation: Installation,
) -> None:
    device = known_device(sqlite_installation, ALICE)
    with pytest.raises(TooManyAttempts):
        for number in range(100):
            attempt(sqlite_installation, f"person{number}@a.example", PASSWORD)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=device) is not None


# BF-18
def test_a_hundred_failures_in_a_row_end_guessing_until_somebody_resets(
    sqlite_installation: Installation,
) -> None:
    device = known_device(sqlite_installation, ALICE)
    bucket = f"password:{sqlite_installation.sub(ALICE)}"
    attempt(sqlite_installation, ALICE.email, "wrong")
    sqlite_installation.sql("UPDATE failures SET total = 100 WHERE bucket = :b", b=bucket)
    sqlite_installation.pass_time(days=365)
    assert attempt(sqlite_installation, ALICE.email, PASSWORD) is None
    assert attempt(sqlite_installation, ALICE.email, PASSWORD, device=device) is not None


def test_a_hash_of_yesterday_is_made_anew_at_sign_in(install: Any) -> None:
    installation: Installation = install(argon2_passes=2)
    before = installation.user(ALICE).password_hash
    assert attempt(installation, ALICE.email, "wrong") is None
    assert installation.user(ALICE).password_hash == before
    assert attempt(installation, ALICE.email, PASSWORD) is not None
    after = installation.user(ALICE).password_hash
    assert after is not None
    assert "t=2" in after
    assert attempt(installation, ALICE.email, PASSWORD) is not None


def test_a_password_changed_in_that_very_moment_is_not_changed_back(install: Any) -> None:
    installation: Installation = install(argon2_passes=2)
    services = installation.services
    hashing = services.passwords.hash

    def change_meanwhile(password: str) -> str:
        with installation.database() as session:
            session.execute(
                update(User).where(User.email == ALICE.email).values(password_hash="k$changed")
            )
        return hashing(password)

    services.passwords.hash = change_meanwhile  # type: ignore[method-assign]
    assert attempt(installation, ALICE.email, PASSWORD) is not None
    assert installation.user(ALICE).password_hash == "k$changed"


# DS-01
def test_a_flood_is_told_to_wait_and_locks_nobody_out(sqlite_installation: Installation) -> None:
    browser = sqlite_installation.browser()
    page = browser.submit(
        browser.authorize(RelyingParty(sqlite_installation, C1).request()), identifier=ALICE.email
    )
    gate = sqlite_installation.services.passwords.gate
    taken = 0
    while gate._waiting.acquire(blocking=False):
        taken += 1
    for _ in range(THRESHOLD):
        answer = browser.submit(page, password=PASSWORD)
        assert answer.status == 503
        assert answer.response.headers["Retry-After"] == "2"
    gate._waiting.release(taken)
    assert browser.submit(page, password=PASSWORD).code
