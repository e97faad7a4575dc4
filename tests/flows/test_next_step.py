"""Which page comes next: walked exhaustively."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

from flows.next_step import Facts, Next, Step, next_step
from idp.assurance import Proof
from idp.oidc.requirements import Need
from tests.support.world import NOW

PASSWORD = (Proof("pwd", NOW),)
NEEDS = [chosen for n in range(len(Need) + 1) for chosen in combinations(Need, n)]


@dataclass(frozen=True, slots=True)
class Case:
    needs: tuple[Need, ...]
    has_accounts: bool
    identifier: str
    opened: bool
    proofs: tuple[Proof, ...]
    consent: str | None

    @property
    def next(self) -> Next:
        return next_step(
            identifier=self.identifier,
            opened=self.opened,
            proofs=self.proofs,
            consent=self.consent,
            facts=Facts(needs=self.needs, has_accounts=self.has_accounts),
        )


def cases() -> Iterator[Case]:
    dimensions = (
        NEEDS,
        [False, True],
        ["", "alice"],
        [False, True],
        [(), PASSWORD],
        [None, "allow", "deny"],
    )
    for members in product(*dimensions):
        case = Case(*members)
        # Whoever need not sign in has a session, so this browser has an account.
        if Need.LOGIN in case.needs or case.has_accounts:
            yield case


def steps(step: Step) -> Iterator[Case]:
    yield from (case for case in cases() if case.next.step is step)


# AZ-12
def test_whenever_the_application_is_answered_nothing_is_missing() -> None:
    for case in steps(Step.DONE):
        assert not case.needs, case
        assert case.consent != "deny", case


def test_when_nothing_is_missing_the_application_is_answered() -> None:
    for case in cases():
        if not case.needs and case.consent != "deny":
            assert case.next == Next(Step.DONE), case


# AZ-12
def test_a_session_is_opened_only_for_a_proof_that_has_not_opened_one() -> None:
    for case in steps(Step.OPEN_SESSION):
        assert Need.LOGIN in case.needs and case.proofs and not case.opened, case


def test_a_password_is_asked_only_of_somebody_who_said_who_they_are() -> None:
    for case in steps(Step.PASSWORD):
        assert Need.LOGIN in case.needs and case.identifier and not case.proofs, case


def test_an_identifier_is_asked_once() -> None:
    for case in steps(Step.IDENTIFY):
        assert {Need.LOGIN, Need.ACCOUNT} & set(case.needs) and not case.identifier, case


def test_an_account_is_chosen_only_where_there_are_several_ways_to_go_on() -> None:
    for case in steps(Step.CHOOSE_ACCOUNT):
        assert Need.ACCOUNT in case.needs and case.has_accounts, case


# AZ-16
def test_consent_is_asked_last_and_never_of_somebody_not_signed_in() -> None:
    for case in steps(Step.CONSENT):
        assert case.needs == (Need.CONSENT,), case
        assert case.consent != "deny", case


def test_a_refusal_says_why() -> None:
    reasons: dict[str, Callable[[Case], bool]] = {
        "access_denied": lambda case: Need.ELIGIBILITY in case.needs or case.consent == "deny",
        "unmet_authentication_requirements": lambda case: Need.ASSURANCE in case.needs,
        "login_required": lambda case: Need.LOGIN in case.needs and case.opened,
    }
    for case in steps(Step.REFUSED):
        assert reasons[case.next.error](case), case


def test_nobody_who_is_refused_for_another_reason_is_asked_to_agree() -> None:
    for case in cases():
        if {Need.ELIGIBILITY, Need.ASSURANCE} & set(case.needs):
            assert case.next.step not in (Step.CONSENT, Step.DONE), case


def test_every_step_is_reached() -> None:
    assert {case.next.step for case in cases()} == set(Step)
