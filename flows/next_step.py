"""Which page comes next. Pure: an interaction and facts in, a step out.

The order is that of the product: choose the account, say who you are, prove it, do what is due,
agree. What is already satisfied is never asked, what is missing can never be skipped: the decision
looks at what has been shown, not at the way that the person came.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idp import assurance
from idp.assurance import Proof
from idp.oidc.requirements import Need
from idp.policy import Method


class Step(enum.Enum):
    """The value of a page is its path segment."""

    CHOOSE_ACCOUNT = "account"
    IDENTIFY = "identify"
    PASSWORD = "password"
    EMAIL_CODE = "email_code"
    TOTP = "totp"
    SMS = "sms"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"
    OTHER_WAY = "other_way"
    """Never next by itself: the choice between `Next.options`."""
    ENROL = "enrol"
    ENROL_PASSKEY = "enrol_passkey"
    ENROL_TOTP = "enrol_totp"
    ENROL_PHONE = "enrol_phone"
    VERIFY_ADDRESS = "verify_address"
    CHANGE_PASSWORD = "change_password"
    SAVE_RECOVERY_CODE = "save_recovery_code"
    TERMS = "terms"
    CONSENT = "consent"
    OPEN_SESSION = "open_session"
    """No page: the proofs suffice, the session is opened."""
    STRENGTHEN = "strengthen"
    """No page: the session that is there gets the new proofs."""
    DONE = "done"
    """No page: the relying party can be answered."""
    REFUSED = "refused"
    """No page: the relying party gets `Next.error`."""


PROVES: dict[str, Step] = {
    Method.PASSWORD: Step.PASSWORD,
    Method.EMAIL_CODE: Step.EMAIL_CODE,
    Method.TOTP: Step.TOTP,
    Method.SMS: Step.SMS,
    Method.PASSKEY: Step.PASSKEY,
    Method.RECOVERY_CODE: Step.RECOVERY_CODE,
}
"""Where each method is shown."""
ENROLS: dict[str, Step] = {
    Method.PASSKEY: Step.ENROL_PASSKEY,
    Method.TOTP: Step.ENROL_TOTP,
    Method.SMS: Step.ENROL_PHONE,
}
"""Where each method is set up. For a mailed code nobody has to."""
SETS_UP: dict[str, Step] = {**ENROLS, Method.RECOVERY_CODE: Step.SAVE_RECOVERY_CODE}
"""What somebody may come to set up by themselves."""
_DUE = (
    (Need.VERIFY_ADDRESS, Step.VERIFY_ADDRESS),
    (Need.CHANGE_PASSWORD, Step.CHANGE_PASSWORD),
    (Need.SAVE_RECOVERY_CODE, Step.SAVE_RECOVERY_CODE),
    (Need.TERMS, Step.TERMS),
)
_UNMET = "unmet_authentication_requirements"  # OpenID Connect Core Error Code …, 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision may know, besides the interaction itself."""

    needs: Sequence[Need]
    """What is missing, judged for the interaction's session."""
    has_accounts: bool
    """Whether somebody is signed in on this browser, or was before."""
    login_method: str = Method.PASSWORD
    """How the claimant signs in."""
    may_use_passkey: bool = False
    """Whether a passkey may stand in for it."""
    held: tuple[str, ...] = ()
    """The second factors that the person can show and policy accepts, the strongest first."""
    owned: tuple[str, ...] = ()
    """All that the person set up: who has something shows it before anything is changed."""
    has_recovery_code: bool = False
    enrollable: tuple[str, ...] = ()
    """The kinds that policy allows to be set up."""
    enrols: str = ""
    """The kind that the person came to set up, as long as it is not done."""
    asks_factor: bool = False
    """Whether this sign-in takes a second factor."""
    session_methods: tuple[str, ...] = ()
    """What the session has seen that goes on; empty while a sign-in is needed."""
    wants_multiple: bool = False
    """Whether the relying party's demand can be met by showing more."""


@dataclass(frozen=True, slots=True)
class Next:
    step: Step
    error: str = ""
    options: tuple[str, ...] = ()
    """The methods that would do at this point, the one of `step` among them."""


def next_step(
    *,
    identifier: str,
    opened: bool,
    proofs: Sequence[Proof],
    wanted: str,
    consent: str | None,
    facts: Facts,
) -> Next:
    """The next step of an interaction with these members (see `idp.interaction`)."""
    needs = facts.needs
    if consent == "deny":
        return Next(Step.REFUSED, "access_denied")
    if (
        Need.ACCOUNT in needs
        and facts.has_accounts
        and not (proofs and Need.LOGIN in needs)  # Signing in names an account as well.
    ):
        return Next(Step.CHOOSE_ACCOUNT)
    shown = [proof.method for proof in proofs]
    if Need.LOGIN in needs or Need.ACCOUNT in needs:
        return _login(identifier, opened, shown, wanted, facts)
    if Need.ELIGIBILITY in needs:
        return Next(Step.REFUSED, "access_denied")
    if Need.FACTOR in needs or Need.ASSURANCE in needs:
        return _step_up(shown, wanted, facts)
    for need, step in _DUE:
        if need in needs:
            return Next(step)
    if Need.CONSENT in needs:
        return Next(Step.CONSENT)
    if facts.enrols:
        return _set_up((*facts.session_methods, *shown), wanted, facts)
    return Next(Step.DONE)


def _login(identifier: str, opened: bool, shown: Sequence[str], wanted: str, facts: Facts) -> Next:
    if opened:
        # Signed in just now, and still not whom the application asked for.
        return Next(Step.REFUSED, "login_required")
    if not identifier:
        return Next(Step.IDENTIFY)
    if not shown:
        options = (facts.login_method, *([Method.PASSKEY] if facts.may_use_passkey else []))
        return _one_of(options, wanted)
    if facts.asks_factor and not assurance.has_second(shown):
        return _second(shown, wanted, facts, for_level=False)
    return Next(Step.OPEN_SESSION)


def _step_up(shown: Sequence[str], wanted: str, facts: Facts) -> Next:
    """A session is there and goes on; it lacks a factor."""
    methods = (*facts.session_methods, *shown)
    for_level = Need.ASSURANCE in facts.needs
    if for_level and not facts.wants_multiple:
        return Next(Step.REFUSED, _UNMET)
    lacks_factor = Need.FACTOR in facts.needs and not assurance.has_second(methods)
    if not lacks_factor and not (for_level and assurance.acr(methods) != assurance.MULTIPLE):
        return Next(Step.STRENGTHEN)
    return _second(methods, wanted, facts, for_level=for_level)


def _set_up(methods: Sequence[str], wanted: str, facts: Facts) -> Next:
    """What the person came to set up; who has a factor has shown one, or the recovery code."""
    if _is_guarded(methods, facts):
        return _guard(methods, wanted, facts)
    return Next(SETS_UP[facts.enrols], options=(facts.enrols,))


def _second(methods: Sequence[str], wanted: str, facts: Facts, *, for_level: bool) -> Next:
    """One more factor than `methods`; `for_level`: one that reaches the second level."""

    def helps(method: str) -> bool:
        if method in methods:
            return False
        return not for_level or assurance.acr([*methods, method]) == assurance.MULTIPLE

    options = [method for method in facts.held if helps(method)]
    if options:
        if facts.has_recovery_code and helps(Method.RECOVERY_CODE):
            options.append(Method.RECOVERY_CODE)
        return _one_of(options, wanted)
    if _is_guarded(methods, facts):
        return _guard(methods, wanted, facts)
    offered = tuple(method for method in facts.enrollable if helps(method))
    if not offered:
        return Next(Step.REFUSED, _UNMET if for_level else "access_denied")
    if wanted in offered or len(offered) == 1:
        return Next(ENROLS[wanted if wanted in offered else offered[0]], options=offered)
    return Next(Step.ENROL, options=offered)


def _is_guarded(methods: Sequence[str], facts: Facts) -> bool:
    """Whether something that was set up has yet to be shown before anything else is: otherwise it
    would protect nothing (BF-12)."""
    return bool(facts.owned) and not {*facts.owned, Method.RECOVERY_CODE}.intersection(methods)


def _guard(methods: Sequence[str], wanted: str, facts: Facts) -> Next:
    options = [method for method in facts.owned if method not in methods]
    if facts.has_recovery_code:
        options.append(Method.RECOVERY_CODE)
    return _one_of(options, wanted)


def _one_of(options: Iterable[str], wanted: str) -> Next:
    options = tuple(options)
    return Next(PROVES[wanted if wanted in options else options[0]], options=options)
