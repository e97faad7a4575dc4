"""The facts behind `next_step`: who is meant, what they can show, and what is asked of them.

Reads; decides nothing that is not a rule of `requirements` or `policy`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.next_step import ENROLS, Facts
from idp import assurance, policy, web
from idp.accounts import browsers, claimants, factors
from idp.accounts.claimants import Claimant
from idp.accounts.factors import Factors
from idp.interaction import Interaction
from idp.oidc import own
from idp.oidc.authorize import Asked, choose, signed_in
from idp.oidc.requirements import Need, demand, wanted_levels
from idp.policy import Method, Policy, SecondFactor
from idp.services import Services


class Reason(enum.Enum):
    """Why more is asked than the person may expect."""

    NEW_BROWSER = "new_browser"
    ORGANIZATION = "organization"
    APPLICATION = "application"
    CONFIRM = "confirm"
    OWN_ACCOUNT = "own_account"
    TOO_LONG_AGO = "too_long_ago"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known in one request to the pages."""

    facts: Facts
    claimant: Claimant | None
    """Who the visit is about; None as long as nobody was named."""
    is_remembered: bool = False
    """Whether this browser waives the claimant's second factor."""
    may_remember: bool = False
    """Whether this browser may be remembered for the claimant."""
    reason: Reason | None = None


def gather(
    services: Services,
    interaction: Interaction,
    asked: Asked,
    needs: Sequence[Need],
    now: datetime,
) -> Known:
    needs_login = Need.LOGIN in needs or Need.ACCOUNT in needs
    has_accounts = bool(asked.rows) or (Need.ACCOUNT in needs and _knows_accounts(services))
    claimant = _claimant(services, interaction, asked, needs_login)
    if claimant is None:
        return Known(Facts(needs=needs, has_accounts=has_accounts), None)
    rules = claimant.policy
    # Before anything is proven, nothing but the login method may show (EN-01).
    is_proven = bool(interaction.proofs) or not needs_login
    has = factors.of(services, claimant) if is_proven else Factors()
    is_remembered = is_proven and _is_remembered(services, claimant, now)
    asked_for = _demand(interaction, asked, claimant, has) if needs_login else SecondFactor.OFF
    enrollable = kinds_to_set_up(services, rules)
    facts = Facts(
        needs=needs,
        has_accounts=has_accounts,
        login_method=claimant.login_method,
        may_use_passkey=rules.passkeys,
        held=has.held,
        owned=has.owned,
        has_recovery_code=has.has_recovery_code,
        enrollable=enrollable,
        asks_factor=_asks_factor(asked_for, is_remembered=is_remembered),
        enrols=_enrols(interaction, enrollable),
        session_methods=() if needs_login else _session_methods(services, interaction, asked),
        wants_multiple=assurance.MULTIPLE in wanted_levels(asked.request, asked.client),
    )
    return Known(
        facts,
        claimant,
        is_remembered=is_remembered,
        may_remember=_may_remember(asked_for, claimant),
        reason=_reason(interaction, asked, needs, asked_for),
    )


def is_fresh(interaction: Interaction, asked: Asked, now: datetime) -> bool:
    """Whether somebody proved who they are in this visit, or a moment ago."""
    if interaction.proofs or interaction.opened:
        return True
    row = choose(asked, interaction.session_id)
    return row is not None and now - row.auth_time <= timedelta(seconds=own.FRESH_SECONDS)


def _session_methods(services: Services, interaction: Interaction, asked: Asked) -> tuple[str, ...]:
    session = signed_in(services, choose(asked, interaction.session_id))
    return session.methods if session is not None else ()


def _asks_factor(asked_for: SecondFactor, *, is_remembered: bool) -> bool:
    if asked_for is SecondFactor.NEW_BROWSER:
        return not is_remembered
    return asked_for is SecondFactor.ALWAYS


def _may_remember(asked_for: SecondFactor, claimant: Claimant) -> bool:
    role = claimant.user.role if claimant.user else ""
    return asked_for is SecondFactor.NEW_BROWSER and policy.remembers(claimant.policy, role)


def kinds_to_set_up(services: Services, rules: Policy) -> tuple[str, ...]:
    """The kinds of factor that may be set up here under these rules, the strongest first."""
    offered = set(ENROLS) & rules.factors
    if not services.settings.offers_sms:
        offered -= {Method.SMS}
    return tuple(method for method in policy.FACTORS if method in offered)


def _claimant(
    services: Services, interaction: Interaction, asked: Asked, needs_login: bool
) -> Claimant | None:
    if not needs_login:
        row = choose(asked, interaction.session_id)
        return claimants.named(services, row.user_id) if row is not None else None
    if interaction.user_id is not None and interaction.proofs:
        return claimants.named(services, interaction.user_id)
    return claimants.meet(services, interaction.identifier) if interaction.identifier else None


def _enrols(interaction: Interaction, enrollable: Sequence[str]) -> str:
    kind = interaction.parameters.get("enrols", "")
    if not own.is_own(interaction.parameters) or kind in interaction.enrolled:
        return ""
    return kind if kind in (*enrollable, Method.RECOVERY_CODE) else ""


def _knows_accounts(services: Services) -> bool:
    return bool(browsers.accounts(services.database.reader, web.cookie(web.DEVICE_COOKIE)))


def _is_remembered(services: Services, claimant: Claimant, now: datetime) -> bool:
    device = web.cookie(web.DEVICE_COOKIE)
    if device is None or claimant.user is None:
        return False
    row = browsers.KNOWN.one(
        services.database.reader,
        user_id=claimant.user.id,
        secret_hash=browsers.device_hash(device),
    )
    return browsers.is_remembered(row, claimant.policy, claimant.user.role, now)


def _demand(
    interaction: Interaction, asked: Asked, claimant: Claimant, has: Factors
) -> SecondFactor:
    """When this sign-in takes a second factor. Who has set one up wishes to be asked for it on new
    browsers, whatever the organisation says."""
    if not interaction.proofs:
        return SecondFactor.OFF
    own = SecondFactor.NEW_BROWSER if has.owned else None
    first = interaction.proofs[0].method
    return policy.strictest((demand(claimant.policy, first, asked.client), own))


def _reason(
    interaction: Interaction, asked: Asked, needs: Sequence[Need], asked_for: SecondFactor
) -> Reason | None:
    if own.is_own(interaction.parameters):
        return Reason.OWN_ACCOUNT if asked.rows else None
    if Need.ASSURANCE in needs:
        return Reason.APPLICATION
    if Need.FACTOR in needs or asked_for is SecondFactor.ALWAYS:
        return Reason.ORGANIZATION
    if interaction.proofs and asked_for is SecondFactor.NEW_BROWSER:
        return Reason.NEW_BROWSER
    if Need.LOGIN in needs and choose(asked) is not None:
        if "login" in asked.request.prompts:
            return Reason.CONFIRM
        if asked.request.max_age is not None:
            return Reason.TOO_LONG_AGO
    return None
