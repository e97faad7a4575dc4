"""Authenticator apps: each code once, of this step or the one before, and secrets that stay so."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pyotp
import pytest

from idp import outbox
from idp.accounts import claimants, totp
from idp.accounts.totp import PER_USER, Proposal
from idp.errors import NotFound, Refused
from idp.outbox import OutboxRow
from idp.services import Services
from keys.sealing import SealBroken
from tests.support.apps import App, row_of, set_up, somewhere
from tests.support.kit import ALICE, BELLA, DORA, NOW, Installation, Person


def shows(
    installation: Installation, person: Person | str, code: str, services: Services | None = None
) -> bool:
    services = services or installation.services
    identifier = person if isinstance(person, str) else person.email
    return totp.check(
        services,
        claimants.meet(services, identifier),
        code,
        somewhere(),
        now=installation.clock.now(),
    )


def mails(installation: Installation) -> list[Mapping[str, Any]]:
    with installation.database() as session:
        rows = session.query(OutboxRow).order_by(OutboxRow.created_at).all()
        return [outbox.open_payload(row, installation.services.sealer) for row in rows]


def propose(installation: Installation, person: Person, visit: str = "a visit") -> Proposal:
    return totp.propose(installation.services, row_of(installation, person), visit)


def add(installation: Installation, person: Person, proposal: Proposal, code: str) -> bool:
    return totp.add(
        installation.services,
        row_of(installation, person),
        proposal,
        code,
        name="My phone",
        source=somewhere(),
        now=installation.clock.now(),
    )


# BF-11
@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_the_code_of_this_step_and_of_the_one_before_passes(
    sqlite_installation: Installation, steps: int
) -> None:
    app = set_up(sqlite_installation, ALICE)
    sqlite_installation.pass_time(minutes=5)
    assert shows(sqlite_installation, ALICE, app.code(steps)) == (steps in (-1, 0))


# BF-10
def test_a_code_passes_once(installation: Installation) -> None:
    app = set_up(installation, ALICE)
    assert shows(installation, ALICE, app.code())
    assert not shows(installation, ALICE, app.code())
    installation.pass_time(seconds=30)
    assert not shows(installation, ALICE, app.code(-1))
    assert shows(installation, ALICE, app.code())


# BF-10
def test_an_older_code_does_not_pass_after_a_newer_one(sqlite_installation: Installation) -> None:
    app = set_up(sqlite_installation, ALICE)
    sqlite_installation.pass_time(minutes=5)
    assert shows(sqlite_installation, ALICE, app.code())
    assert not shows(sqlite_installation, ALICE, app.code(-1))


# BF-10
def test_the_code_that_set_the_app_up_does_not_sign_in(sqlite_installation: Installation) -> None:
    proposal = propose(sqlite_installation, ALICE)
    code = App(sqlite_installation, proposal.secret).code()
    assert add(sqlite_installation, ALICE, proposal, code)
    assert not shows(sqlite_installation, ALICE, code)


# BF-10
def test_of_many_at_once_one_passes_with_a_code(installation: Installation) -> None:
    app = set_up(installation, ALICE)
    code, start = app.code(), threading.Barrier(12)

    def guess(_: int) -> bool:
        start.wait()
        return shows(installation, ALICE, code)

    with ThreadPoolExecutor(12) as threads:
        assert sum(threads.map(guess, range(12))) == 1


# BF-10, CR-05
def test_a_spent_code_is_spent_for_other_processes_and_after_the_store_was_wiped(
    installation: Installation,
) -> None:
    from idp import services as parts

    app = set_up(installation, ALICE)
    assert shows(installation, ALICE, app.code())
    other = parts.build(installation.settings, clock=installation.clock)
    try:
        assert not shows(installation, ALICE, app.code(), other)
    finally:
        other.close()


# BF-10: a secret in two rows would make two of each code.
def test_one_proposal_becomes_one_app(installation: Installation) -> None:
    proposal, user = propose(installation, ALICE), row_of(installation, ALICE)
    code, start = App(installation, proposal.secret).code(), threading.Barrier(8)

    def confirm(_: int) -> bool:
        start.wait()
        return totp.add(
            installation.services,
            user,
            proposal,
            code,
            name="My phone",
            source=somewhere(),
            now=NOW,
        )

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(confirm, range(8))) == 1
    assert len(totp.listed(installation.services, user.id)) == 1
    assert len(mails(installation)) == 1


@pytest.mark.parametrize("shape", ["{}{}", " {} {} ", "{}-{}", "{}　{}"])
@pytest.mark.parametrize("width", [0, 0xFEE0], ids=["plain", "full width"])
def test_a_code_may_be_typed_in_full_width_and_in_groups(
    sqlite_installation: Installation, shape: str, width: int
) -> None:
    app = set_up(sqlite_installation, ALICE)
    code = "".join(chr(ord(digit) + width) for digit in app.code())
    assert shows(sqlite_installation, ALICE, shape.format(code[:3], code[3:]))


@pytest.mark.parametrize("typed", ["", "12345", "000000", "abcdef", "٠٠٠٠٠٠", "1" * 5000])
def test_other_codes_do_not_pass(sqlite_installation: Installation, typed: str) -> None:
    set_up(sqlite_installation, ALICE)
    assert not shows(sqlite_installation, ALICE, typed)


def test_any_of_several_apps_will_do_and_costs_one_attempt(
    sqlite_installation: Installation,
) -> None:
    first = set_up(sqlite_installation, ALICE)
    second = set_up(sqlite_installation, ALICE, "Tablet")
    assert first.secret != second.secret
    assert shows(sqlite_installation, ALICE, second.code())
    assert shows(sqlite_installation, ALICE, first.code())
    assert not shows(sqlite_installation, ALICE, "000000")
    counted = sqlite_installation.sql("SELECT failures FROM failures WHERE bucket LIKE 'otp:%'")
    assert [row["failures"] for row in counted] == [1, 1]


# BF-06
def test_guesses_add_up_and_then_even_the_right_code_is_refused(
    sqlite_installation: Installation,
) -> None:
    app = set_up(sqlite_installation, ALICE)
    for _ in range(5):
        assert not shows(sqlite_installation, ALICE, "000000")
    assert not shows(sqlite_installation, ALICE, app.code())
    sqlite_installation.pass_time(minutes=15)
    assert shows(sqlite_installation, ALICE, app.code())


# EN-02, EN-04
@pytest.mark.parametrize("who", [ALICE.email, BELLA.email, "nobody@a.example"])
def test_whoever_is_asked_computes_codes(
    sqlite_installation: Installation, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    set_up(sqlite_installation, ALICE)
    computed = []
    real = totp.step_of

    def counting(secret: str, code: str, now: datetime) -> int | None:
        computed.append(secret)
        return real(secret, code, now)

    monkeypatch.setattr(totp, "step_of", counting)
    assert not shows(sqlite_installation, who, "000000")
    assert len(computed) == 1


def test_the_app_of_somebody_who_is_switched_off_is_good_for_nothing(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.switch(DORA, on=True)
    app = set_up(sqlite_installation, DORA)
    sqlite_installation.switch(DORA, on=False)
    assert not shows(sqlite_installation, DORA, app.code())
    [row] = sqlite_installation.sql("SELECT last_step FROM authenticators")
    assert row["last_step"] < int(NOW.timestamp()) // 30


# ID-09
def test_secrets_are_sealed_and_open_only_in_their_own_row(installation: Installation) -> None:
    of_alice = set_up(installation, ALICE)
    of_bella = set_up(installation, BELLA)
    stored = str(installation.sql("SELECT * FROM authenticators"))
    for app in (of_alice, of_bella):
        assert app.secret not in stored
    rows = installation.sql("SELECT id, sealed_secret FROM authenticators ORDER BY id")
    for row, other in zip(rows, reversed(rows), strict=True):
        installation.sql(
            "UPDATE authenticators SET sealed_secret = :sealed WHERE id = :id",
            id=row["id"],
            sealed=other["sealed_secret"],
        )
    with pytest.raises(SealBroken):
        shows(installation, ALICE, of_bella.code())


# BF-12
@pytest.mark.parametrize("code", ["", "000000", "12345678"])
def test_an_app_is_not_set_up_without_its_code(
    sqlite_installation: Installation, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        add(sqlite_installation, ALICE, propose(sqlite_installation, ALICE), code)
    assert refused.value.member == "code"
    assert sqlite_installation.sql("SELECT * FROM authenticators") == []


# BF-12
def test_a_proposal_is_the_same_within_a_visit_and_gone_with_the_next_change(
    sqlite_installation: Installation,
) -> None:
    before = propose(sqlite_installation, ALICE)
    assert propose(sqlite_installation, ALICE) == before
    assert propose(sqlite_installation, ALICE, "another visit") != before
    assert propose(sqlite_installation, BELLA).secret != before.secret
    code = App(sqlite_installation, before.secret).code()
    assert add(sqlite_installation, ALICE, before, code)
    assert propose(sqlite_installation, ALICE).secret != before.secret


def test_setting_up_is_told_audited_and_forgets_remembered_browsers(
    installation: Installation,
) -> None:
    stamp = row_of(installation, ALICE).security_stamp
    set_up(installation, ALICE)
    assert row_of(installation, ALICE).security_stamp != stamp
    assert installation.events()[-2:] == ["factor.added", "recovery_code.made"]
    told = mails(installation)[0]
    assert told["to"] == ALICE.email
    assert "Authenticator app: My phone" in told["text"]
    assert "Organisation A" in told["subject"]


def test_who_sets_up_a_factor_is_due_a_recovery_code_unless_there_is_one(
    sqlite_installation: Installation,
) -> None:
    proposal = propose(sqlite_installation, ALICE)
    add(sqlite_installation, ALICE, proposal, App(sqlite_installation, proposal.secret).code())
    assert sqlite_installation.user(ALICE).required_actions == "save_recovery_code"
    set_up(sqlite_installation, BELLA)
    proposal = propose(sqlite_installation, BELLA)
    add(sqlite_installation, BELLA, proposal, App(sqlite_installation, proposal.secret).code())
    assert sqlite_installation.user(BELLA).required_actions == ""


def test_there_are_at_most_ten_apps(sqlite_installation: Installation) -> None:
    for number in range(PER_USER):
        set_up(sqlite_installation, ALICE, f"Phone {number}")
    with pytest.raises(Refused):
        set_up(sqlite_installation, ALICE, "One more")


def test_apps_are_listed_renamed_and_removed_by_their_owner_alone(
    installation: Installation,
) -> None:
    services = installation.services
    set_up(installation, ALICE)
    alice, bella = row_of(installation, ALICE), row_of(installation, BELLA)
    [app] = totp.listed(services, alice.id)
    assert (app.name, app.created_at) == ("My phone", NOW)
    assert totp.listed(services, bella.id) == []
    by = {"source": somewhere(), "now": NOW}
    with pytest.raises(NotFound):
        totp.rename(services, bella, app.id, "Mine", **by)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        totp.remove(services, bella, app.id, **by)  # type: ignore[arg-type]
    totp.rename(services, alice, app.id, " Work  phone ", **by)  # type: ignore[arg-type]
    assert totp.listed(services, alice.id)[0].name == "Work phone"
    assert totp.remove(services, alice, app.id, **by)  # type: ignore[arg-type]
    assert totp.listed(services, alice.id) == []
    assert installation.events()[-2:] == ["factor.changed", "factor.removed"]
    assert "was removed" in mails(installation)[-1]["subject"]
    assert row_of(installation, ALICE).security_stamp != alice.security_stamp


def test_who_signs_in_with_an_app_keeps_one(sqlite_installation: Installation) -> None:
    set_up(sqlite_installation, ALICE)
    sqlite_installation.sql("UPDATE users SET login_method = 'otp'")
    user = row_of(sqlite_installation, ALICE)
    [app] = totp.listed(sqlite_installation.services, user.id)
    with pytest.raises(Refused):
        totp.remove(sqlite_installation.services, user, app.id, source=somewhere(), now=NOW)


@pytest.mark.parametrize("issuer", ["Organisation A", "株式会社さくら: 東日本" * 9])
def test_the_picture_names_organisation_and_account(issuer: str) -> None:
    uri = Proposal("id", pyotp.random_base32()).uri(issuer=issuer, account=ALICE.email)
    parsed = pyotp.parse_uri(uri)
    assert parsed.name == ALICE.email
    assert parsed.issuer
    assert issuer.startswith(parsed.issuer[:7])
    assert ":" not in parsed.issuer
    assert len(uri) < 700
