"""Audit: written with the change, from a closed list of events, without secrets or tricks."""

import re
from pathlib import Path

import pytest

from idp import audit
from idp.audit import AuditRow, Event
from tests.support.kit import (
    ALICE,
    C1,
    C3,
    DORA,
    NOW,
    PASSWORD,
    Installation,
    RelyingParty,
)

ROOT = Path(__file__).parents[2]


def rows(installation: Installation) -> list[AuditRow]:
    with installation.database() as session:
        return session.query(AuditRow).order_by(AuditRow.id).all()


def test_a_sign_in_says_who_how_from_where_and_for_what(installation: Installation) -> None:
    RelyingParty(installation, C1).code(installation.browser("192.0.2.77"), ALICE)
    row = rows(installation)[-1]
    assert row.event == "login.succeeded"
    assert row.user_id == row.actor == installation.sub(ALICE)
    assert (row.at, row.address, row.client_id) == (NOW, "192.0.2.77", "c1")
    assert row.details == {"methods": ["pwd"]}
    assert row.request_id


@pytest.mark.parametrize("email", [ALICE.email, DORA.email, "nobody@a.example"])
def test_a_failed_sign_in_is_recorded_whoever_was_meant(
    sqlite_installation: Installation, email: str
) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    page = browser.submit(browser.authorize(application.request()), identifier=email)
    browser.submit(page, password="wrong, and not to be recorded")
    row = rows(sqlite_installation)[-1]
    assert (row.event, row.actor) == ("login.failed", "anonymous")
    assert (row.user_id is None) == email.startswith("nobody")
    assert "recorded" not in str(vars(row))


def test_consent_and_its_refusal_are_recorded(sqlite_installation: Installation) -> None:
    application = RelyingParty(sqlite_installation, C3)
    for decision, event in (("deny", "consent.denied"), ("allow", "consent.granted")):
        browser = sqlite_installation.browser()
        page = browser.signed_in(ALICE, application.request(scope="openid email"))
        browser.submit(page, decision=decision)
        row = rows(sqlite_installation)[-1]
        assert (row.event, row.client_id) == (event, "c3")
        assert row.details == {"scopes": ["email", "openid"]}


def test_a_rolled_back_change_leaves_no_trace_of_having_happened(
    sqlite_installation: Installation,
) -> None:
    before = len(rows(sqlite_installation))

    def change_and_fail() -> None:
        with sqlite_installation.database() as session:
            audit.record(session, Event.USER_ADDED, at=NOW, actor="cli")
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        change_and_fail()
    assert len(rows(sqlite_installation)) == before


# OR-13
def test_what_strangers_write_is_cut_and_made_harmless(sqlite_installation: Installation) -> None:
    with sqlite_installation.database() as session:
        audit.record(
            session,
            Event.CLIENT_ADDED,
            at=NOW,
            actor="client:" + "x" * 500,
            name="a\r\nb\x1b[31mc\0d\u2028e" + "x" * 1000,
        )
    row = rows(sqlite_installation)[-1]
    assert len(row.actor) == 64
    assert row.details["name"].startswith("a\ufffd\ufffdb\ufffd[31mc\ufffdd\ufffdex")
    assert len(row.details["name"]) == 200


# OR-13
def test_what_strangers_write_in_a_list_is_made_harmless_too(
    sqlite_installation: Installation,
) -> None:
    with sqlite_installation.database() as session:
        audit.record(
            session, Event.CONSENT_GRANTED, at=NOW, actor="a", scopes=["a\r\nb", "x" * 1000]
        )
    assert rows(sqlite_installation)[-1].details["scopes"] == ["a\ufffd\ufffdb", "x" * 200]


def test_only_events_of_the_closed_list_can_be_recorded(sqlite_installation: Installation) -> None:
    with sqlite_installation.database() as session, pytest.raises(ValueError, match=r"made\.up"):
        audit.record(session, "made.up", at=NOW, actor="a")  # type: ignore[arg-type]


def test_every_event_is_recorded_somewhere() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("idp", "federation", "flows")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert [event.name for event in Event if not re.search(rf"Event\.{event.name}\b", code)] == []


def test_nothing_in_a_whole_sign_in_is_recorded_that_opens_a_door(
    sqlite_installation: Installation,
) -> None:
    application = RelyingParty(sqlite_installation, C1)
    browser = sqlite_installation.browser()
    code = application.code(browser, ALICE)
    answer = application.redeem(code).get_json()
    application.redeem(code)
    secrets = {
        PASSWORD,
        code,
        answer["access_token"],
        answer["id_token"],
        *browser.cookies().values(),
    }
    written = str([vars(row) for row in rows(sqlite_installation)])
    assert [secret for secret in secrets if secret in written] == []
