"""What is missing before a relying party may be answered: walked exhaustively."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, combinations, product
from typing import Any

import pytest

from idp import assurance
from idp.oidc.client import Client
from idp.oidc.request import PROMPTS, AuthorizationRequest
from idp.oidc.requirements import Need, SignedIn, Visit, asked, unmet
from tests.idp.oidc.values import a_client, a_request, a_session
from tests.support.world import NOW

INSTANT = timedelta(microseconds=1)
NOT_ALONE = sorted(PROMPTS - {"none"})
PROMPT_SETS = [
    frozenset(chosen)
    for chosen in chain(
        [("none",)], chain.from_iterable(combinations(NOT_ALONE, n) for n in range(4))
    )
]
SESSIONS = [
    None,
    *(
        a_session(age, methods=methods, granted_scopes=frozenset(granted))
        for age, methods, granted in product(
            [5, 300, 301], [("pwd",), ("pwd", "otp")], [("openid",), ("openid", "email")]
        )
    ),
]
CLIENTS = [
    a_client(first_party=first_party, organization_id=organization)
    for first_party, organization in [(True, None), (False, None), (True, "A"), (False, "B")]
]
ASSURANCES: list[dict[str, Any]] = [
    {},
    {"acr_values": (assurance.MULTIPLE,)},
    {"essential_acr": (assurance.MULTIPLE,), "acr_values": ("urn:elsewhere",)},
]
VISITS = [None, *(Visit(*members) for members in product([False, True], repeat=3))]


@dataclass(frozen=True, slots=True)
class Case:
    request: AuthorizationRequest
    session: SignedIn | None
    client: Client
    visit: Visit | None
    hinted_sub: str | None

    @property
    def needs(self) -> list[Need]:
        return list(
            unmet(
                self.request,
                self.session,
                self.client,
                now=NOW,
                visit=self.visit,
                hinted_sub=self.hinted_sub,
            )
        )

    def has_reason(self, need: Need) -> bool:
        return bool(getattr(self, f"_{need.value}"))

    @property
    def _account(self) -> bool:
        chosen = self.visit is not None and (self.visit.account_chosen or self.visit.signed_in)
        return "select_account" in self.request.prompts and not chosen

    @property
    def _login(self) -> bool:
        if self.session is None or self.hinted_sub == "bella":
            return True
        if self.visit is not None and self.visit.signed_in:
            return False
        age = (NOW - self.session.auth_time).total_seconds()
        return "login" in self.request.prompts or self.request.max_age in range(int(age))

    @property
    def _eligibility(self) -> bool:
        return self.session is not None and self.client.organization_id == "B"

    @property
    def _assurance(self) -> bool:
        wanted = (*self.request.essential_acr, *self.request.acr_values)
        return (
            self.session is not None
            and assurance.acr(self.session.methods) == assurance.SINGLE
            and assurance.MULTIPLE in wanted
        )

    # No policy asks for anything here; tests/idp/oidc/test_required.py walks policies.
    _factor = _verify_address = _change_password = _save_recovery_code = _terms = False

    @property
    def _consent(self) -> bool:
        if self.session is None or (self.visit is not None and self.visit.consented):
            return False
        granted = {"openid", "email"} <= self.session.granted_scopes
        third_party = not self.client.is_first_party
        return "consent" in self.request.prompts or (third_party and not granted)


def cases() -> Iterator[Case]:
    for prompts, max_age, acr in product(PROMPT_SETS, [None, 0, 300], ASSURANCES):
        request = a_request(prompts=prompts, max_age=max_age, scopes=("openid", "email"), **acr)
        for session, client, visit, hinted in product(
            SESSIONS, CLIENTS, VISITS, [None, "alice", "bella"]
        ):
            yield Case(request, session, client, visit, hinted)


def test_each_need_is_there_exactly_when_there_is_a_reason_for_it() -> None:
    walked = 0
    for case in cases():
        expected = [need for need in Need if case.has_reason(need)]
        assert case.needs == expected, case
        walked += 1
    assert walked == len(PROMPT_SETS) * 3 * 3 * len(SESSIONS) * len(CLIENTS) * len(VISITS) * 3


def test_without_a_session_nothing_but_choosing_and_signing_in_is_judged() -> None:
    for case in cases():
        if case.session is None:
            assert set(case.needs) <= {Need.ACCOUNT, Need.LOGIN}


def test_every_need_has_the_error_of_the_specification() -> None:
    named = {
        Need.ACCOUNT: "account_selection_required",
        Need.LOGIN: "login_required",
        Need.CONSENT: "consent_required",
    }
    for need in Need:
        assert need.error == named.get(need, "interaction_required")


@pytest.mark.parametrize(("age", "is_stale"), [(0, False), (299, False), (300, False), (301, True)])
def test_a_proof_is_too_old_after_max_age_and_not_before(age: int, is_stale: bool) -> None:
    needs = unmet(a_request(max_age=300), a_session(age), a_client(), now=NOW)
    assert (Need.LOGIN in needs) == is_stale


def test_a_proof_is_too_old_an_instant_after_max_age() -> None:
    session = a_session(300)
    assert not unmet(a_request(max_age=300), session, a_client(), now=NOW)
    assert unmet(a_request(max_age=300), session, a_client(), now=NOW + INSTANT) == [Need.LOGIN]


# AZ-07; OpenID Connect Core, 3.1.2.1: max_age=0 asks for the same as prompt=login.
def test_max_age_zero_asks_even_in_the_very_instant_of_the_last_proof() -> None:
    assert list(unmet(a_request(max_age=0), a_session(0), a_client(), now=NOW)) == [Need.LOGIN]


# AZ-07
@pytest.mark.parametrize("age", [0, 1, 10_000])
@pytest.mark.parametrize(
    "demand", [{"prompts": frozenset({"login"})}, {"max_age": 0}], ids=["prompt", "max_age"]
)
def test_only_signing_in_during_the_visit_answers_a_demand_for_it(
    demand: dict[str, Any], age: int
) -> None:
    for visit, expected in [
        (None, [Need.LOGIN]),
        (Visit(account_chosen=True, consented=True), [Need.LOGIN]),
        (Visit(signed_in=True), []),
    ]:
        needs = unmet(a_request(**demand), a_session(age), a_client(), now=NOW, visit=visit)
        assert list(needs) == expected


# AZ-08
def test_an_essential_acr_that_nothing_here_can_reach_is_not_answered_with_a_lower_one() -> None:
    # OpenID Connect Core, 5.5.1.1: to be met, or treated as a failed authentication.
    for wanted in [("urn:elsewhere",), ("urn:elsewhere", assurance.MULTIPLE)]:
        request = a_request(essential_acr=wanted)
        assert list(unmet(request, a_session(), a_client(), now=NOW)) == [Need.ASSURANCE], wanted


def test_one_reachable_value_of_an_essential_acr_is_enough() -> None:
    request = a_request(essential_acr=("urn:elsewhere", assurance.SINGLE))
    assert not unmet(request, a_session(), a_client(), now=NOW)


def test_the_default_acr_of_a_client_counts_when_the_request_names_none() -> None:
    client = a_client(default_acr_values=[assurance.MULTIPLE])
    assert list(unmet(a_request(), a_session(), client, now=NOW)) == [Need.ASSURANCE]
    asked_for_less = a_request(acr_values=(assurance.SINGLE,))
    assert not unmet(asked_for_less, a_session(), client, now=NOW)


def test_a_demanded_subject_is_that_subject_or_a_login() -> None:
    for sub, expected in [("alice", []), ("bella", [Need.LOGIN])]:
        request = a_request(claimed_sub=sub)
        assert list(unmet(request, a_session(), a_client(), now=NOW)) == expected


def test_consent_is_asked_for_claims_asked_for_by_name() -> None:
    request = a_request(userinfo_claims=("email",), id_token_claims=("org_name",))
    assert asked(request) == {"openid", "email", "org"}
    by_script = a_request(userinfo_claims=("name#ja-Kana-JP",))
    assert asked(by_script) == {"openid", "profile"}
    session = a_session(granted_scopes=frozenset({"openid", "email"}))
    client = a_client(first_party=False)
    assert list(unmet(request, session, client, now=NOW)) == [Need.CONSENT]


def test_consent_once_given_covers_less_but_not_more() -> None:
    client = a_client(first_party=False)
    session = a_session(granted_scopes=frozenset({"openid", "email"}))
    assert not unmet(a_request(scopes=("openid",)), session, client, now=NOW)
    more = a_request(scopes=("openid", "email", "phone"))
    assert list(unmet(more, session, client, now=NOW)) == [Need.CONSENT]
