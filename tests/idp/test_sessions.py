"""Sessions: rows that are read fresh, secrets that change, limits in time and number."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from idp import sessions
from idp.assurance import Proof
from tests.support.kit import ADAM, ALICE, BELLA, C1, Installation, Person, RelyingParty

PASSWORD_PROOF = "pwd"


def open_one(
    installation: Installation,
    person: Person,
    *,
    secret: str | None = None,
    renews: str | None = None,
    methods: Iterable[str] = (PASSWORD_PROOF,),
) -> tuple[str, str]:
    now = installation.clock.now()
    user_id = installation.sub(person)
    with installation.database() as session:
        return sessions.open_session(
            session,
            user_id=user_id,
            secret=secret,
            proofs=[Proof(method, now) for method in methods],
            now=now,
            address="192.0.2.1",
            user_agent="a browser",
            renews=renews,
        )


def people(installation: Installation, secret: str | None) -> list[str]:
    """Who is signed in in the browser with this secret, the most recently used first."""
    services = installation.services
    rows = sessions.in_browser(
        services.database.reader, secret, services.settings, services.clock.now()
    )
    return [row.email for row in rows]


def test_a_new_session_is_found_by_its_browser_and_by_no_other(installation: Installation) -> None:
    _, secret = open_one(installation, ALICE)
    assert people(installation, secret) == [ALICE.email]
    for other in (None, "", "guess", secret[:-1]):
        assert people(installation, other) == []


def test_the_secret_of_a_browser_is_not_stored(sqlite_installation: Installation) -> None:
    _, secret = open_one(sqlite_installation, ALICE)
    assert secret not in str(sqlite_installation.sql("SELECT * FROM sessions"))


# SE-01
def test_every_sign_in_changes_the_secret_and_the_old_one_is_dead(
    installation: Installation,
) -> None:
    sid, first = open_one(installation, ALICE)
    again, second = open_one(installation, ALICE, secret=first, renews=sid)
    assert again == sid
    assert second != first
    assert people(installation, first) == []
    assert people(installation, second) == [ALICE.email]


# SE-01
def test_a_planted_secret_is_never_signed_in(sqlite_installation: Installation) -> None:
    _, secret = open_one(sqlite_installation, ALICE, secret="planted by somebody else")
    assert secret != "planted by somebody else"
    assert people(sqlite_installation, "planted by somebody else") == []


def test_several_accounts_of_one_browser_move_to_its_new_secret(
    installation: Installation,
) -> None:
    alice, first = open_one(installation, ALICE)
    installation.pass_time(seconds=1)
    bella, second = open_one(installation, BELLA, secret=first)
    assert alice != bella
    assert people(installation, first) == []
    assert people(installation, second) == [BELLA.email, ALICE.email]


def test_a_renewed_session_has_the_new_proofs_and_times(sqlite_installation: Installation) -> None:
    sid, secret = open_one(sqlite_installation, ALICE)
    sqlite_installation.pass_time(minutes=5)
    open_one(sqlite_installation, ALICE, secret=secret, renews=sid, methods=["pwd", "otp"])
    [row] = sqlite_installation.sql("SELECT methods, auth_time, last_seen_at FROM sessions")
    assert row["methods"] == "pwd otp"
    assert row["auth_time"] == row["last_seen_at"]


def test_an_ended_session_does_not_come_back(sqlite_installation: Installation) -> None:
    sid, secret = open_one(sqlite_installation, ALICE)
    with sqlite_installation.database() as session:
        assert sessions.end(session, [sid], now=sqlite_installation.clock.now()) == 1
        assert sessions.end(session, [sid], now=sqlite_installation.clock.now()) == 0
        assert sessions.end(session, [], now=sqlite_installation.clock.now()) == 0
    assert people(sqlite_installation, secret) == []
    again, new_secret = open_one(sqlite_installation, ALICE, secret=secret, renews=sid)
    assert again != sid
    assert people(sqlite_installation, new_secret) == [ALICE.email]


def test_a_session_of_somebody_else_is_not_renewed(sqlite_installation: Installation) -> None:
    sid, secret = open_one(sqlite_installation, ALICE)
    bella, _ = open_one(sqlite_installation, BELLA, secret=secret, renews=sid)
    assert bella != sid


# SE-03
def test_an_unused_session_ends_after_an_hour(installation: Installation) -> None:
    _, secret = open_one(installation, ALICE)
    installation.pass_time(minutes=59, seconds=59)
    assert people(installation, secret) == [ALICE.email]
    installation.pass_time(seconds=1)
    assert people(installation, secret) == []


# SE-03
def test_a_session_in_constant_use_ends_at_its_absolute_limit(
    sqlite_installation: Installation,
) -> None:
    installation = sqlite_installation
    application = RelyingParty(installation, C1)
    browser = installation.browser()
    application.code(browser, ALICE)
    for _ in range(23):
        installation.pass_time(minutes=30)
        assert browser.authorize(application.request()).answer["code"]
    installation.pass_time(minutes=30)
    assert browser.authorize(application.request()).step == "identify"


# SE-03
def test_silent_polling_does_not_keep_a_session_alive(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    application.code(browser, ALICE)
    for _ in range(3):
        sqlite_installation.pass_time(minutes=15)
        assert browser.authorize(application.request(prompt="none")).answer["code"]
    sqlite_installation.pass_time(minutes=15)
    assert browser.authorize(application.request(prompt="none")).error == "login_required"


def test_using_a_session_writes_at_most_once_a_minute(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    application.code(browser, ALICE)

    def seen_after(seconds: int) -> int:
        sqlite_installation.pass_time(seconds=seconds)
        assert browser.authorize(application.request()).answer["code"]
        [row] = sqlite_installation.sql("SELECT last_seen_at FROM sessions")
        return int(row["last_seen_at"])

    first = seen_after(0)
    assert seen_after(59) == first
    assert seen_after(1) == first + 60_000_000


# SE-04
@pytest.mark.parametrize(
    "switch_off",
    [
        "UPDATE sessions SET ended_at = 1",
        "UPDATE users SET disabled_at = 1",
        "UPDATE organizations SET disabled_at = 1",
        "DELETE FROM sessions",
    ],
)
def test_what_is_switched_off_is_off_at_the_next_request(
    installation: Installation, switch_off: str
) -> None:
    application = RelyingParty(installation, C1)
    browser = installation.browser()
    code = application.code(browser, ALICE)
    installation.sql(switch_off)
    assert browser.authorize(application.request(prompt="none")).error == "login_required"
    assert application.redeem(code).get_json()["error"] == "invalid_grant"


# SE-05
def test_the_next_person_at_a_shared_browser_gets_a_session_of_her_own(
    sqlite_installation: Installation,
) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    alice = application.claims(browser, ALICE)
    sqlite_installation.sql("DELETE FROM sessions")
    page = browser.authorize(application.request())
    # The list of accounts that were here names Alice; nothing else of hers is left.
    assert page.step == "identify"
    page = browser.submit(page, identifier=BELLA.email)
    assert "Alice" not in page.page.html
    answer = browser.sign_in(page, BELLA)
    bella = application.verify(application.redeem(answer.code).get_json()["id_token"])
    assert bella["sub"] == sqlite_installation.sub(BELLA)
    assert bella["sid"] != alice["sid"]


# SE-13
def test_the_fifty_first_session_ends_the_oldest(installation: Installation) -> None:
    secrets = []
    for _ in range(sessions.PER_USER + 2):
        secrets.append(open_one(installation, ALICE)[1])
        installation.pass_time(seconds=1)
    _, adams = open_one(installation, ADAM)
    assert [people(installation, secret) for secret in secrets[:2]] == [[], []]
    assert all(people(installation, secret) for secret in secrets[2:])
    assert people(installation, adams) == [ADAM.email]


# SE-15
def test_a_session_cookie_that_comes_twice_counts_as_none(
    sqlite_installation: Installation,
) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    application.code(browser, ALICE)
    name = "__Host-sekisho-session"
    value = browser.cookies()[name]
    stranger = sqlite_installation.browser()
    stranger.client = sqlite_installation.app.test_client(use_cookies=False)

    def error_with(cookie: str) -> str:
        query = application.request(prompt="none")
        answer = stranger.get("/authorize", query, headers={"Cookie": cookie})
        return stranger.follow(answer).error

    assert error_with(f"{name}={value}") == ""
    for cookie in (
        f"{name}={value}; {name}={value}",
        f"{name}=tossed; {name}={value}",
        f"{name}={value}; {name}=tossed",
        f"sekisho-session={value}",
        f"session={value}",
        f"__host-sekisho-session={value}",
        f"{name}={value}" + "x" * 8000,
        f"{name}=",
        "=; ;;",
    ):
        assert error_with(cookie) == "login_required"


def test_two_sessions_opened_for_one_user_within_the_limit_both_live(
    sqlite_installation: Installation,
) -> None:
    _, first = open_one(sqlite_installation, ALICE)
    _, second = open_one(sqlite_installation, ALICE)
    assert people(sqlite_installation, first) == people(sqlite_installation, second)


def test_the_clock_of_a_session_is_the_one_it_was_opened_by(
    sqlite_installation: Installation,
) -> None:
    open_one(sqlite_installation, ALICE)
    now = sqlite_installation.clock.now()
    with sqlite_installation.database() as session:
        row = session.query(sessions.SessionRow).one()
    assert row.auth_time == row.created_at == row.last_seen_at == now
    assert row.auth_time.utcoffset() == timedelta(0)
