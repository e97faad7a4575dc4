"""Which page comes next: walked exhaustively."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product

from flows.next_step import ENROLS, PROVES, SETS_UP, Facts, Next, Step, next_step
from idp import assurance
from idp.assurance import Proof
from idp.oidc.requirements import Need
from idp.policy import FACTORS, Method
from tests.support.world import NOW

PWD, EMAIL, OTP, SMS, PASSKEY = (
    Method.PASSWORD,
    Method.EMAIL_CODE,
    Method.TOTP,
    Method.SMS,
    Method.PASSKEY,
)
# What is judged before anybody signs in cannot be together with what is judged of a session.
NEEDS = [chosen for n in range(len(Need) + 1) for chosen in combinations(Need, n)]
FEW_NEEDS: list[tuple[Need, ...]] = [
    (),
    (Need.LOGIN,),
    (Need.ACCOUNT,),
    (Need.FACTOR,),
    (Need.ASSURANCE,),
    (Need.FACTOR, Need.ASSURANCE),
    (Need.FACTOR, Need.TERMS),
]
PROOFS: list[tuple[str, ...]] = [
    (),
    (PWD,),
    (EMAIL,),
    (OTP,),
    (PASSKEY,),
    (PWD, OTP),
    (PWD, EMAIL),
    (EMAIL, OTP),
]
HELD: list[tuple[str, ...]] = [(), (EMAIL,), (OTP,), (PASSKEY, OTP, SMS, EMAIL), (SMS,)]
ENROLLABLE: list[tuple[str, ...]] = [(), (OTP,), (PASSKEY, OTP, SMS)]


@dataclass(frozen=True, slots=True)
class Case:
    facts: Facts
    identifier: str = "alice"
    opened: bool = False
    shown: tuple[str, ...] = ()
    wanted: str = ""
    consent: str | None = None

    @property
    def next(self) -> Next:
        return next_step(
            identifier=self.identifier,
            opened=self.opened,
            proofs=[Proof(method, NOW) for method in self.shown],
            wanted=self.wanted,
            consent=self.consent,
            facts=self.facts,
        )

    @property
    def needs(self) -> set[Need]:
        return set(self.facts.needs)

    @property
    def signs_in(self) -> bool:
        return bool({Need.LOGIN, Need.ACCOUNT} & self.needs)

    @property
    def methods(self) -> tuple[str, ...]:
        """All that counts for the session that would be opened or strengthened."""
        return self.shown if self.signs_in else (*self.facts.session_methods, *self.shown)


def whole_visits() -> Iterator[Case]:
    """All needs, with a person who shows a password and has no factor."""
    for needs, has_accounts, identifier, opened, shown, consent, enrols in product(
        NEEDS,
        [False, True],
        ["", "alice"],
        [False, True],
        [(), (PWD,)],
        [None, "allow", "deny"],
        ["", Method.RECOVERY_CODE],
    ):
        # Whoever need not sign in has a session, so this browser has an account.
        if Need.LOGIN in needs or has_accounts:
            facts = Facts(
                needs=needs, has_accounts=has_accounts, session_methods=(PWD,), enrols=enrols
            )
            yield Case(facts, identifier, opened, shown, "", consent)


def factor_visits() -> Iterator[Case]:
    """All that concerns factors, with the needs that concern them."""
    dimensions = product(
        FEW_NEEDS,
        [PWD, EMAIL, OTP],
        PROOFS,
        HELD,
        ENROLLABLE,
        [False, True],
        [(), (PWD,), (EMAIL,), (PWD, EMAIL), (OTP,)],
        ["", OTP, SMS, PASSKEY, Method.RECOVERY_CODE, "made up"],
        # What was set up and is not accepted any more.
        [(), (SMS,)],
    )
    for needs, login, shown, held, enrollable, flag, before, wanted, owned in dimensions:
        facts = Facts(
            needs=needs,
            has_accounts=True,
            login_method=login,
            may_use_passkey=flag,
            held=held,
            owned=tuple(method for method in held if method != EMAIL) or owned,
            has_recovery_code=flag and bool(held),
            enrollable=enrollable,
            asks_factor=flag or EMAIL in held,
            session_methods=before,
            wants_multiple=flag or SMS in held,
        )
        # A session that goes on was opened by something.
        if before or {Need.LOGIN, Need.ACCOUNT} & set(needs):
            yield Case(facts, shown=shown, wanted=wanted)


def visits_to_set_up() -> Iterator[Case]:
    """Somebody whose session lacks nothing came to set up a factor."""
    dimensions = product(
        HELD,
        [(), (OTP,), (OTP, PASSKEY)],
        [(PWD,), (EMAIL,), (PWD, OTP), (PWD, Method.RECOVERY_CODE), (PWD, EMAIL), (PASSKEY,)],
        [*SETS_UP],
        ["", SMS, "made up"],
    )
    for held, shown, before, enrols, wanted in dimensions:
        facts = Facts(
            needs=(),
            has_accounts=True,
            held=held,
            owned=tuple(method for method in held if method != EMAIL),
            enrollable=tuple(ENROLS),
            session_methods=before,
            enrols=enrols,
        )
        yield Case(facts, shown=shown, wanted=wanted)


@cache
def cases() -> list[tuple[Case, Next]]:
    every = [*whole_visits(), *factor_visits(), *visits_to_set_up()]
    return [(case, case.next) for case in every]


def steps(*wanted: Step) -> Iterator[tuple[Case, Next]]:
    found = [(case, upcoming) for case, upcoming in cases() if upcoming.step in wanted]
    assert found
    yield from found


# AZ-12
def test_whenever_the_application_is_answered_nothing_is_missing() -> None:
    for case, _ in steps(Step.DONE):
        assert not case.needs, case
        assert case.consent != "deny", case


def test_when_nothing_is_missing_the_application_is_answered() -> None:
    for case, upcoming in cases():
        if not case.needs and case.consent != "deny" and not case.facts.enrols:
            assert upcoming == Next(Step.DONE), case


def test_what_somebody_came_to_set_up_comes_after_all_that_is_missing() -> None:
    for case, upcoming in cases():
        if case.facts.enrols and (case.needs or case.consent == "deny"):
            assert replace(case, facts=replace(case.facts, enrols="")).next == upcoming, case


# BF-12
def test_who_has_a_factor_has_shown_one_before_setting_up_another() -> None:
    for case, upcoming in steps(*SETS_UP.values()):
        if case.facts.enrols and not case.needs:
            guards = set(case.facts.owned)
            assert not guards or {*guards, Method.RECOVERY_CODE} & set(case.methods), case
            assert upcoming == Next(SETS_UP[case.facts.enrols], options=(case.facts.enrols,))


# AZ-12
def test_a_session_is_opened_only_for_proofs_that_suffice_and_have_not_opened_one() -> None:
    for case, _ in steps(Step.OPEN_SESSION):
        assert case.signs_in and case.shown and not case.opened, case
        assert not case.facts.asks_factor or assurance.has_second(case.shown), case


# AZ-08
def test_a_session_is_strengthened_only_by_what_meets_every_demand() -> None:
    for case, _ in steps(Step.STRENGTHEN):
        assert not case.signs_in, case
        if Need.FACTOR in case.needs:
            assert assurance.has_second(case.methods), case
        if Need.ASSURANCE in case.needs:
            assert assurance.acr(case.methods) == assurance.MULTIPLE, case


def test_nothing_that_is_enough_is_asked_again() -> None:
    for case, upcoming in steps(*PROVES.values()):
        methods = {step: method for method, step in PROVES.items()}
        assert methods[upcoming.step] not in case.methods, case
        if case.signs_in and case.shown:
            assert not assurance.has_second(case.shown), case


# BF-22
def test_only_what_the_person_has_and_policy_allows_is_accepted() -> None:
    methods = {step: method for method, step in PROVES.items()}
    for case, upcoming in steps(*PROVES.values()):
        method, facts = methods[upcoming.step], case.facts
        if case.signs_in and not case.shown:
            allowed = {facts.login_method, *([PASSKEY] if facts.may_use_passkey else [])}
        else:
            # What policy does not accept any more is asked for only as a guard, when nothing else
            # would do.
            accepted = facts.held if set(upcoming.options) & set(facts.held) else facts.owned
            allowed = {*accepted, *([Method.RECOVERY_CODE] if facts.has_recovery_code else [])}
        assert method in allowed, case
        assert set(upcoming.options) <= allowed, case


def test_the_persons_choice_is_honoured_where_it_is_offered() -> None:
    for case, upcoming in steps(*PROVES.values(), *ENROLS.values()):
        if case.wanted in upcoming.options:
            assert upcoming.step in (PROVES.get(case.wanted), ENROLS.get(case.wanted)), case


def test_what_is_asked_for_a_level_reaches_it_or_guards_what_will() -> None:
    def reaches(case: Case, method: str) -> bool:
        return assurance.acr([*case.methods, method]) == assurance.MULTIPLE

    for case, upcoming in steps(*PROVES.values()):
        if not case.signs_in and Need.ASSURANCE in case.needs:
            reaching = [m for m in case.facts.held if m not in case.methods and reaches(case, m)]
            if reaching:
                assert all(reaches(case, method) for method in upcoming.options), case
            else:
                guards = {*case.facts.owned, Method.RECOVERY_CODE}
                assert set(upcoming.options) <= guards - set(case.methods), case


# BF-12
def test_a_factor_is_set_up_only_by_who_has_shown_those_they_have_or_has_none() -> None:
    for case, upcoming in steps(Step.ENROL, *ENROLS.values()):
        if not case.needs:
            continue  # Whoever came to set one up: see above.
        assert case.shown or case.facts.session_methods, case
        owned = set(case.facts.owned)
        assert not owned or {*owned, Method.RECOVERY_CODE} & set(case.methods), case
        assert set(upcoming.options) <= set(case.facts.enrollable), case


def test_a_recovery_code_is_never_asked_for_but_chosen() -> None:
    for case, _ in steps(Step.RECOVERY_CODE):
        assert case.wanted == Method.RECOVERY_CODE, case


def test_a_first_factor_is_asked_only_of_somebody_who_said_who_they_are() -> None:
    for case, _ in steps(Step.PASSWORD):
        assert case.signs_in and case.identifier and not case.shown, case


def test_an_identifier_is_asked_once() -> None:
    for case, _ in steps(Step.IDENTIFY):
        assert case.signs_in and not case.identifier, case


def test_an_account_is_chosen_only_where_there_are_several_ways_to_go_on() -> None:
    for case, _ in steps(Step.CHOOSE_ACCOUNT):
        assert Need.ACCOUNT in case.needs and case.facts.has_accounts, case


def test_what_is_due_is_done_in_its_order() -> None:
    order = [
        Need.VERIFY_ADDRESS,
        Need.CHANGE_PASSWORD,
        Need.SAVE_RECOVERY_CODE,
        Need.TERMS,
        Need.CONSENT,
    ]
    for case, upcoming in steps(*(Step(need.value) for need in order)):
        due = [need for need in order if need in case.needs]
        if not due:
            assert case.facts.enrols == Method.RECOVERY_CODE, case
            continue
        assert upcoming.step.value == due[0].value, case
        assert not {Need.ELIGIBILITY, Need.FACTOR, Need.ASSURANCE} & case.needs, case


# AZ-16
def test_consent_is_asked_last_and_never_of_somebody_not_signed_in() -> None:
    for case, _ in steps(Step.CONSENT):
        assert case.needs == {Need.CONSENT}, case
        assert case.consent != "deny", case


def test_a_refusal_says_why() -> None:
    lacks = {Need.FACTOR, Need.ASSURANCE}
    reasons: dict[str, Callable[[Case], bool]] = {
        "access_denied": lambda case: (
            Need.ELIGIBILITY in case.needs
            or case.consent == "deny"
            or Need.FACTOR in case.needs
            or case.facts.asks_factor
        ),
        "unmet_authentication_requirements": lambda case: bool(lacks & case.needs),
        "login_required": lambda case: case.signs_in and case.opened,
    }
    for case, upcoming in steps(Step.REFUSED):
        assert reasons[upcoming.error](case), case


def test_nobody_is_refused_who_has_a_factor_that_would_do() -> None:
    for case, upcoming in steps(Step.REFUSED):
        if not case.signs_in and Need.ASSURANCE in case.needs and case.facts.wants_multiple:
            for method in case.facts.held:
                enough = assurance.acr([*case.methods, method]) == assurance.MULTIPLE
                assert method in case.methods or not enough, (case, upcoming)


def test_nobody_who_is_refused_for_another_reason_is_asked_to_agree() -> None:
    for case, upcoming in cases():
        if {Need.ELIGIBILITY, Need.ASSURANCE, Need.FACTOR} & case.needs and not case.signs_in:
            assert upcoming.step not in (Step.CONSENT, Step.DONE), case


def test_every_step_is_reached() -> None:
    # OTHER_WAY is the choice between the options of another step.
    reached = {upcoming.step for _, upcoming in cases()}
    assert reached == set(Step) - {Step.OTHER_WAY}


def test_every_factor_has_its_pages() -> None:
    assert set(PROVES) == set(Method)
    assert set(FACTORS) - set(ENROLS) == {EMAIL}
