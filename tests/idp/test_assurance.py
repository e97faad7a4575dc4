"""What proofs are worth."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp import assurance
from idp.assurance import KINDS, MULTIPLE, SINGLE, acr, amr, has_second
from idp.policy import Method

METHODS = st.lists(st.sampled_from([*Method]), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("methods", "values", "level"),
    [
        (["pwd"], ["pwd"], SINGLE),
        (["email"], ["email"], SINGLE),
        (["otp"], ["otp"], SINGLE),
        (["pwd", "email"], ["pwd", "email"], SINGLE),
        (["email", "otp"], ["email", "otp"], SINGLE),
        (["pwd", "otp"], ["pwd", "otp", "mfa"], MULTIPLE),
        (["pwd", "sms"], ["pwd", "sms", "mfa"], MULTIPLE),
        (["pwd", "recovery"], ["pwd", "recovery", "mfa"], MULTIPLE),
    ],
)
def test_the_published_table(methods: list[str], values: list[str], level: str) -> None:
    assert amr(methods) == values
    assert acr(methods) == level


def test_a_passkey_is_several_factors_by_itself() -> None:
    assert acr(["passkey"]) == MULTIPLE
    assert amr(["passkey"])[-1] == "mfa"
    assert has_second(["passkey"])


# AZ-08, TN-06
@given(METHODS)
def test_mfa_is_said_exactly_when_two_kinds_of_factor_were_shown(methods: list[str]) -> None:
    kinds = set().union(*(KINDS[method] for method in methods))
    assert ("mfa" in amr(methods)) == (len(kinds) > 1) == (acr(methods) == MULTIPLE)


@given(METHODS)
def test_the_order_of_proofs_changes_no_level_and_repeating_one_adds_nothing(
    methods: list[str],
) -> None:
    assert {acr(order) for order in permutations(methods[:4])} == {acr(methods[:4])}
    assert acr([*methods, methods[0]]) == acr(methods)
    assert has_second([methods[0], methods[0]]) == has_second([methods[0]])


def test_a_mailed_code_never_raises_a_level() -> None:
    for method in Method:
        assert acr([method, "email"]) == acr([method])


def test_a_method_of_another_release_is_worth_nothing_and_breaks_nothing() -> None:
    assert acr(["pwd", "from-the-future"]) == SINGLE
    assert amr(["pwd", "from-the-future"]) == ["pwd", "from-the-future"]


def test_every_method_has_a_line_in_both_tables() -> None:
    assert set(assurance.AMR) == set(KINDS) == set(Method)
