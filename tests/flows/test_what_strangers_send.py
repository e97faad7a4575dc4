"""What strangers can send at will: bounded, and telling nothing."""

from __future__ import annotations

from idp.accounts import sign_in
from idp.errors import TooManyAttempts
from tests.support.apps import somewhere
from tests.support.kit import ALICE, C1, Installation, RelyingParty


def outcome(installation: Installation, identifiers: list[str], place: int) -> str:
    """What becomes of the last of these tries, all from one place."""
    now = installation.clock.now()
    for identifier in identifiers:
        try:
            sign_in.by_password(
                installation.services, identifier, "wrong", somewhere(place), now=now
            )
        except TooManyAttempts:
            return "turned away"
    return "answered"


# EN-01
def test_two_names_of_one_account_count_like_two_of_nobody(
    sqlite_installation: Installation,
) -> None:
    ghosts = [f"ghost{number}@nowhere.example" for number in range(8)]
    known = outcome(sqlite_installation, [*ghosts, ALICE.login_id, ALICE.email, "probe"], 1)
    unknown = outcome(sqlite_installation, [*ghosts, "zzz", "zzz@a.example", "probe"], 2)
    assert known == unknown == "turned away"


# DS-06
def test_answers_of_passkeys_of_nobody_are_kept_within_a_limit(
    sqlite_installation: Installation,
) -> None:
    browser = sqlite_installation.browser("203.0.113.201")
    page = browser.authorize(RelyingParty(sqlite_installation, C1).request())
    path = page.path.rpartition("/")[0] + "/passkey"
    before = len(sqlite_installation.events())
    fields = {"csrf": page.page.fields["csrf"], "credential": "x"}
    statuses = [browser.post(path, fields).status_code for _ in range(60)]
    assert statuses[-1] == 429
    assert len(sqlite_installation.events()) - before <= 25
