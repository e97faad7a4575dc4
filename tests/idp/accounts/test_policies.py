"""Changing what an organisation asks of its people."""

import json

import pytest

from idp.accounts import organizations, policies, users
from idp.errors import Refused
from idp.policy import Method
from tests.support.kit import ALICE, NOW, Installation


def change(installation: Installation, **changes: object) -> dict[str, object]:
    with installation.database() as session:
        owner = organizations.find(session, "Organisation A")
        return policies.change(session, owner, changes, actor="test", now=NOW)


def test_a_change_is_kept_and_audited_by_name(installation: Installation) -> None:
    assert change(installation, remember_days=7) == {"remember_days": 7}
    assert change(installation, passkeys=False) == {"passkeys": False, "remember_days": 7}
    assert change(installation, remember_days=None) == {"passkeys": False}
    details = installation.sql(
        "SELECT details FROM audit WHERE event = 'policy.changed' ORDER BY id"
    )
    first = details[0]["details"]
    assert (json.loads(first) if isinstance(first, str) else first) == {
        "members": ["remember_days"]
    }


def test_what_is_refused_changes_nothing(installation: Installation) -> None:
    change(installation, remember_days=7)
    with pytest.raises(Refused):
        change(installation, passkeys=False, remember_days=99)
    assert change(installation) == {"remember_days": 7}


def test_a_login_method_that_somebody_uses_cannot_be_taken_away(
    installation: Installation,
) -> None:
    with pytest.raises(Refused) as refusal:
        change(installation, login_methods=["email"])
    assert refusal.value.member == "login_methods"
    assert change(installation, login_methods=["pwd"]) == {"login_methods": ["pwd"]}


# BF-22
def test_nobody_is_added_with_a_method_that_their_organisation_does_not_allow(
    installation: Installation,
) -> None:
    change(installation, login_methods=["pwd"])
    with installation.database() as session, pytest.raises(Refused) as refusal:
        owner = organizations.find(session, "Organisation A")
        users.add(
            session,
            "new@a.example",
            organization=owner,
            name="New",
            now=NOW,
            login_method=Method.EMAIL_CODE,
        )
    assert refusal.value.member == "login_method"
    assert installation.user(ALICE).login_method == Method.PASSWORD
    assert not installation.sql("SELECT id FROM users WHERE email = 'new@a.example'")
