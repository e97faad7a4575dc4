"""Policies: what may be set, and whose wins."""

from itertools import product
from typing import Any

import pytest

from idp import policy
from idp.errors import Refused
from idp.policy import DEFAULT, Policy, SecondFactor


def test_an_organisation_that_sets_nothing_has_the_defaults() -> None:
    assert policy.of_organization("{}") == DEFAULT


def test_the_strictest_of_installation_and_organisation_wins() -> None:
    order = list(SecondFactor)
    for own, floor in product(order, order):
        in_force = policy.of_organization(f'{{"second_factor": "{own}"}}', floor)
        assert order.index(in_force.second_factor) == max(order.index(own), order.index(floor))


@pytest.mark.parametrize(
    "members",
    [
        {"second_factor": "sometimes"},
        {"second_factor": None},
        {"login_methods": []},
        {"login_methods": ["pwd", "sms"]},
        {"login_methods": "pwd"},
        {"factors": ["recovery"]},
        {"remember_days": 31},
        {"remember_days": -1},
        {"remember_days": True},
        {"remember_days": "7"},
        {"unlock_minutes": 59},
        {"unlock_minutes": 20161},
        {"passkeys": 1},
        {"no_such_thing": True},
    ],
    ids=str,
)
def test_what_cannot_be_set_is_refused_by_name(members: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        policy.check(members)
    assert refusal.value.member == next(iter(members))


def test_what_was_set_is_in_force() -> None:
    checked = policy.check({"factors": ["sms", "otp", "otp"], "remember_days": 7})
    assert checked == {"factors": ["otp", "sms"], "remember_days": 7}


# SE-14
@pytest.mark.parametrize("role", ["helpdesk", "admin", "owner", "operator"])
def test_browsers_of_those_with_a_role_are_remembered_only_where_it_is_allowed(role: str) -> None:
    assert policy.remembers(DEFAULT, "member")
    assert not policy.remembers(DEFAULT, role)
    assert policy.remembers(Policy(remember_privileged=True), role)
    assert not policy.remembers(Policy(remember_privileged=True, remember_days=0), role)
