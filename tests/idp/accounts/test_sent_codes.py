"""Codes that are sent: newest only, seldom, bound to one visit, redeemed once; alike for nobody."""

import hmac
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from idp import outbox
from idp.accounts import claimants, sent_codes, users
from idp.accounts.attempts import Source
from idp.accounts.sent_codes import SECOND, SIGN_IN, VERIFY, Sent
from idp.policy import Method
from tests.support.kit import ALICE, BELLA, C1, DORA, Installation, RelyingParty

EMAIL = Method.EMAIL_CODE
NOBODY = "nobody@a.example"
THREADS = 50


@dataclass
class Post:
    """Sends codes of one account and keeps what was sent."""

    installation: Installation
    identifier: str = ALICE.email
    method: Method = EMAIL
    codes: list[str] = field(default_factory=list)

    def source(self, number: int = 1, device: str | None = None) -> Source:
        return Source(f"198.51.{number // 200}.{number % 200}", device, "a browser", "r", "c1")

    def send(
        self,
        visit: str = "one",
        purpose: str = SIGN_IN,
        number: int = 1,
        device: str | None = None,
    ) -> Sent:
        services = self.installation.services

        def deliver(_: Session, code: str) -> None:
            self.codes.append(code)

        return sent_codes.send(
            services,
            claimants.meet(services, self.identifier),
            self.method,
            interaction_id=visit,
            purpose=purpose,
            deliver=deliver,
            source=self.source(number, device),
            now=services.clock.now(),
        )

    def check(
        self,
        typed: str,
        visit: str = "one",
        purpose: str = SIGN_IN,
        number: int = 1,
        device: str | None = None,
    ) -> bool:
        services = self.installation.services
        return sent_codes.check(
            services,
            claimants.meet(services, self.identifier),
            self.method,
            interaction_id=visit,
            purpose=purpose,
            typed=typed,
            source=self.source(number, device),
            now=services.clock.now(),
        )

    def resend_at(self, visit: str = "one", purpose: str = SIGN_IN) -> Any:
        services = self.installation.services
        return sent_codes.resend_at(
            services,
            claimants.meet(services, self.identifier),
            self.method,
            interaction_id=visit,
            purpose=purpose,
            source=self.source(),
            now=services.clock.now(),
        )

    @property
    def wrong(self) -> str:
        """A code of the right length that is not the newest."""
        newest = self.codes[-1]
        return newest[:-1] + ("1" if newest[-1] != "1" else "2")


@pytest.fixture
def post(sqlite_installation: Installation) -> Post:
    return Post(sqlite_installation)


def at_once(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    start = threading.Barrier(threads)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@pytest.mark.parametrize(
    ("method", "purpose", "shape"),
    [
        (EMAIL, SIGN_IN, r"\d{8}"),
        (EMAIL, SECOND, r"\d{6}"),
        (EMAIL, VERIFY, r"\d{6}"),
        (Method.SMS, SECOND, r"[346789A-Z]{6}"),
    ],
)
def test_a_code_looks_as_its_use_asks(method: Method, purpose: str, shape: str) -> None:
    made = {sent_codes.make(method, purpose) for _ in range(300)}
    assert all(re.fullmatch(shape, code) for code in made)
    assert not set("".join(made)) & set("AEIOUSLBZ")
    assert len(made) > 290
    assert all(len(code) == sent_codes.length(method, purpose) for code in made)
    assert all(sent_codes.normal(code) == code for code in made)


@pytest.mark.parametrize(
    "typed",
    [
        "12345678",
        " 1234 5678 ",
        "１２３４　５６７８",
        "1234-5678",
        "１２３４－５６７８",
        "1234ー5678",
        "1234\u20115678",
        "1234\u2212\u200b5678\r\n",
        "1234\u00a05678",
        "「1234 5678」",
    ],
    ids=ascii,
)
def test_a_code_may_be_typed_and_pasted_in_many_ways(typed: str) -> None:
    assert sent_codes.normal(typed) == "12345678"


def test_letters_may_be_small_and_wide() -> None:
    assert sent_codes.normal("ｋ7p-m 3x") == "K7PM3X"


@pytest.mark.parametrize("typed", ["", "\udc80", "\0", "😀" * 1000, "x" * 100_000])
def test_nothing_that_can_be_typed_breaks_the_check(post: Post, typed: str) -> None:
    post.send()
    assert post.check(typed) is False


def test_the_newest_code_is_right_once(installation: Installation) -> None:
    post = Post(installation)
    now = installation.services.clock.now()
    assert post.resend_at() is None
    assert post.send() == Sent(True, now + timedelta(seconds=30))
    assert post.resend_at() == now + timedelta(seconds=30)
    assert post.check(post.wrong) is False
    assert post.check(post.codes[0]) is True
    assert post.check(post.codes[0]) is False
    assert installation.sql("SELECT failures FROM failures WHERE bucket LIKE 'email:%' LIMIT 1")


# BF-08
def test_of_fifty_at_once_one_redeems_the_code(installation: Installation) -> None:
    post = Post(installation)
    post.send()
    won = at_once(lambda number: post.check(post.codes[0], number=number + 1))
    assert won.count(True) == 1


# BF-08
@pytest.mark.parametrize(
    ("visit", "purpose"), [("two", SIGN_IN), ("one", SECOND), ("one", VERIFY), ("", SIGN_IN)]
)
def test_a_code_is_good_in_its_own_visit_for_its_own_purpose(
    post: Post, visit: str, purpose: str
) -> None:
    post.send()
    assert post.check(post.codes[0], visit, purpose) is False
    assert post.check(post.codes[0]) is True


# BF-08
def test_a_code_is_good_for_its_own_account_and_method(
    sqlite_installation: Installation, post: Post
) -> None:
    post.send()
    assert Post(sqlite_installation, BELLA.email).check(post.codes[0]) is False
    assert Post(sqlite_installation, method=Method.SMS).check(post.codes[0]) is False


# BF-13
def test_a_code_dies_with_the_address_that_it_went_to(
    sqlite_installation: Installation, post: Post
) -> None:
    post.send()
    with sqlite_installation.database() as session:
        now = sqlite_installation.services.clock.now()
        users.change_stamp(session, sqlite_installation.sub(ALICE), now=now)
    assert post.check(post.codes[0]) is False


# BF-13
def test_a_code_for_an_address_of_its_own_is_good_for_that_alone(post: Post) -> None:
    services = post.installation.services
    kept: list[str] = []
    common: dict[str, Any] = {
        "interaction_id": "one",
        "purpose": VERIFY,
        "source": post.source(),
        "now": services.clock.now(),
    }
    claimant = claimants.meet(services, ALICE.email)
    sent_codes.send(
        services,
        claimant,
        Method.SMS,
        deliver=lambda _, code: kept.append(code),
        bound_to="+81312345678",
        **common,
    )
    for number, is_right in (("", False), ("+81387654321", False), ("+81312345678", True)):
        assert (
            sent_codes.check(
                services, claimant, Method.SMS, typed=kept[0], bound_to=number, **common
            )
            is is_right
        )


# BF-09
def test_a_code_works_for_ten_minutes(installation: Installation) -> None:
    post = Post(installation)
    post.send()
    post.send("other", SECOND)
    installation.pass_time(minutes=9, seconds=59)
    assert post.check(post.codes[0]) is True
    installation.pass_time(seconds=2)
    assert post.check(post.codes[1], "other", SECOND) is False
    assert post.resend_at("other", SECOND) is None


# BF-09
def test_a_new_code_ends_the_one_before(post: Post) -> None:
    post.send()
    post.installation.pass_time(seconds=30)
    assert post.send().is_sent
    assert post.check(post.codes[0]) is False
    assert post.check(post.codes[1]) is True


def test_a_new_code_can_be_had_after_half_a_minute(post: Post) -> None:
    post.send()
    due = post.resend_at()
    post.installation.pass_time(seconds=29)
    assert post.send() == Sent(False, due)
    post.installation.pass_time(seconds=1)
    assert post.send().is_sent
    assert len(post.codes) == 2


def test_another_visit_need_not_wait(post: Post) -> None:
    assert post.send("one").is_sent
    assert post.send("two").is_sent
    assert post.check(post.codes[0], "one") is False
    assert post.check(post.codes[1], "two") is True


def test_of_fifty_that_ask_at_once_one_is_sent_a_code(installation: Installation) -> None:
    post = Post(installation)
    sent = at_once(lambda number: post.send(number=number + 1).is_sent)
    assert sent.count(True) == 1
    assert len(post.codes) == 1
    assert post.check(post.codes[0]) is True


# EN-09
def test_five_codes_are_sent_in_an_hour_and_fifteen_in_a_day(post: Post) -> None:
    sent = []
    for hour in range(5):
        for minute in range(8):
            sent.append((hour, post.send(f"visit {hour} {minute}", number=hour + 1).is_sent))
            post.installation.pass_time(minutes=1)
        post.installation.pass_time(minutes=52)
    assert [sum(was for hour, was in sent if hour == number) for number in range(5)] == [
        5,
        5,
        5,
        0,
        0,
    ]
    post.installation.pass_time(hours=19)
    assert post.send("next day").is_sent


# EN-09
def test_the_limit_kills_no_code_and_looks_like_a_code_that_was_sent(post: Post) -> None:
    for _ in range(5):
        assert post.send().is_sent
        post.installation.pass_time(seconds=31)
    refused = post.send()
    assert refused == Sent(False, post.resend_at())
    assert refused.resend_at == post.installation.services.clock.now() + timedelta(seconds=30)
    assert post.check(post.codes[-1]) is True


# EN-09
def test_one_source_cannot_have_codes_sent_to_everybody(post: Post) -> None:
    others = [
        Post(post.installation, f"nobody{number}@a.example", codes=post.codes)
        for number in range(sent_codes.SOURCE_SENDS + 5)
    ]
    sent = [other.send(number=1).is_sent for other in others]
    assert sent.count(True) == sent_codes.SOURCE_SENDS
    assert Post(post.installation, BELLA.email).send(number=1).is_sent is False
    assert post.send(number=500).is_sent


# BF-06, BF-07
def test_five_wrong_tries_end_a_code(post: Post) -> None:
    post.send()
    for _ in range(5):
        assert post.check(post.wrong) is False
    assert post.check(post.codes[0]) is False
    post.installation.pass_time(seconds=30)
    assert post.send().is_sent
    assert post.check(post.codes[1]) is True


# BF-02, BF-07
def test_many_guesses_at_once_get_five_tries(installation: Installation) -> None:
    post = Post(installation)
    post.send()
    at_once(lambda number: post.check(post.wrong, number=number + 1), 20)
    assert post.check(post.codes[0], number=300) is False


# BF-07
def test_a_new_code_is_no_new_set_of_guesses(post: Post) -> None:
    for round_ in range(3):
        post.send()
        for number in range(4):
            post.check(post.wrong, number=10 * round_ + number + 1)
        post.installation.pass_time(seconds=31)
    # Twelve were wrong, ten of which were looked at; now the right one is not looked at either.
    assert post.check(post.codes[-1]) is False
    post.installation.pass_time(hours=1)
    post.send()
    assert post.check(post.codes[-1]) is True


# BF-06
def test_guesses_add_up_over_visits(installation: Installation) -> None:
    codes: list[list[str]] = [[] for _ in range(30)]

    def visit(number: int) -> list[bool]:
        mine, place = Post(installation, codes=codes[number]), 200 * (number + 1)
        mine.send(f"visit {number}", number=place)
        guesses = [str(number).zfill(8)] * 3
        return [mine.check(guess, f"visit {number}", number=place) for guess in guesses]

    assert not any(any(results) for results in at_once(visit, 30))
    failed = installation.sql("SELECT details FROM audit WHERE event = 'login.failed'")
    looked_at = [row for row in failed if re.search(r"evaluated.: 1", str(row["details"]))]
    assert (len(failed), len(looked_at)) == (90, 10)
    assert sum(len(sent) for sent in codes) <= 5


# BF-16
def test_a_success_clears_no_more_than_its_own_try(post: Post) -> None:
    for number in range(4):
        post.send()
        post.check(post.wrong, number=number + 1)
        if number % 2:
            assert post.check(post.codes[-1])
        post.installation.pass_time(seconds=31)
    counted = post.installation.sql(
        "SELECT failures FROM failures WHERE bucket LIKE 'email:%/3600'"
    )
    assert counted == [{"failures": 4}]


def known_device(installation: Installation) -> str:
    """The cookie of a browser that Alice has signed in from."""
    browser = installation.browser()
    browser.signed_in(ALICE, RelyingParty(installation, C1).request())
    return browser.cookies()["__Host-sekisho-device"]


# LK
def test_strangers_can_neither_end_nor_use_up_the_codes_of_a_known_browser(
    installation: Installation,
) -> None:
    post = Post(installation)
    device = known_device(installation)
    assert post.send("mine", device=device).is_sent
    own = post.codes[-1]
    for number in range(20):
        post.send(f"theirs {number}", number=number + 1)
        post.check(post.wrong, f"theirs {number}", number=number + 1)
    assert post.check(own, "mine", device=device) is True
    assert post.send("again", device=device).is_sent


# EN-04
@pytest.mark.parametrize("identifier", [NOBODY, DORA.email])
def test_who_may_not_sign_in_has_the_same_counters_and_gets_nothing(
    installation: Installation, identifier: str
) -> None:
    ghost, real = Post(installation, identifier), Post(installation)
    before = installation.counts()
    traces = []
    for post, network in ((real, 200), (ghost, 400)):
        trace: list[Any] = []
        for visit in ("one", "two"):
            trace += [post.send(visit, number=network), post.send(visit, number=network)]
            trace += [post.resend_at(visit)]
        trace += [post.check("00000000", "two", number=network + n) for n in range(12)]
        counts = installation.counts()
        traces.append((trace, {name: counts[name] - before[name] for name in counts}))
        before = counts
    (real_trace, real_rows), (ghost_trace, ghost_rows) = traces
    assert ghost_trace == real_trace
    assert ghost_rows == real_rows
    assert ghost.check(ghost.codes[-1], "two") is False
    sizes = {len(entry) for entry in installation.state_entries()}
    assert len(sizes) == 1


# EN-04
def test_what_is_written_for_nobody_is_undone(installation: Installation) -> None:
    services = installation.services
    now = services.clock.now()
    for identifier, rows in ((NOBODY, 0), (DORA.email, 0), (ALICE.email, 1)):

        def deliver(session: Session, code: str) -> None:
            outbox.enqueue(session, services.sealer, "mail", {"code": code}, now=now)

        sent_codes.send(
            services,
            claimants.meet(services, identifier),
            EMAIL,
            interaction_id="one",
            purpose=SIGN_IN,
            deliver=deliver,
            source=Source("198.51.100.1", None, "", "r"),
            now=now,
        )
        assert installation.counts()["outbox"] == rows


def test_a_copied_store_holds_neither_code_nor_visit(installation: Installation) -> None:
    post = Post(installation)
    post.send("the visit")
    [entry] = installation.state_entries()
    assert post.codes[0].encode() not in entry
    assert b"the visit" not in entry
    digests = re.findall(rb"[0-9a-f]{64}", entry)
    assert len(digests) == 1
    # A hash without a key would be found by trying all codes.
    for key in (b"", b"the visit"):
        guess = hmac.digest(key or b"\0", post.codes[0].encode(), "sha256").hex().encode()
        assert guess not in entry


def test_a_store_that_was_lost_only_makes_somebody_ask_again(installation: Installation) -> None:
    post = Post(installation)
    post.send()
    if installation.settings.redis_url:
        with redis.Redis.from_url(installation.settings.redis_url) as connection:
            connection.flushall()
    else:
        with installation.services.state._engine.connect() as connection:  # type: ignore[attr-defined]
            connection.execute(text("DELETE FROM state"))
    assert post.check(post.codes[0]) is False
    assert post.send().is_sent
    assert post.check(post.codes[1]) is True
