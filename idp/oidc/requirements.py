"""What is missing before a relying party may be answered. Pure: the decision of `/authorize`.

With `prompt=none` the first need is the error (OpenID Connect Core, 3.1.2.6). The same function
judges again when a person comes back from the pages, so nothing can be skipped on the way.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from idp import assurance, policy
from idp.oidc.client import Client
from idp.oidc.request import AuthorizationRequest
from idp.policy import Policy, SecondFactor, remembers, strictest


class Need(enum.Enum):
    """In the order in which they are met."""

    ACCOUNT = "account"
    LOGIN = "login"
    ELIGIBILITY = "eligibility"
    FACTOR = "factor"
    """A second factor, because a policy says so."""
    ASSURANCE = "assurance"
    """More than was shown, because the relying party says so."""
    VERIFY_ADDRESS = "verify_address"
    CHANGE_PASSWORD = "change_password"
    SAVE_RECOVERY_CODE = "save_recovery_code"
    TERMS = "terms"
    CONSENT = "consent"

    @property
    def error(self) -> str:
        """The error under `prompt=none` (Core, 3.1.2.6)."""
        return _ERRORS[self]


_ERRORS = {
    **dict.fromkeys(Need, "interaction_required"),
    Need.ACCOUNT: "account_selection_required",
    Need.LOGIN: "login_required",
    Need.CONSENT: "consent_required",
}
# Required of a user by name (`users.Action`), in the order in which they are met.
_ACTIONS = (Need.VERIFY_ADDRESS, Need.CHANGE_PASSWORD, Need.SAVE_RECOVERY_CODE)


class SignedIn(NamedTuple):
    """A live session, as far as this decision is concerned."""

    sid: str
    user_id: str
    organization_id: str
    auth_time: datetime
    methods: tuple[str, ...]
    granted_scopes: frozenset[str] = frozenset()
    role: str = "member"
    policy: Policy = policy.DEFAULT
    """What is in force in the user's organisation."""
    is_waived: bool = False
    """Whether the second factor was waived: the browser is remembered."""
    has_verified_address: bool = True
    required_actions: tuple[str, ...] = ()
    owes_terms: bool = False
    """Whether there are terms of use that the user has not agreed to."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What happened on the pages since the request came. None of it replaces a proof."""

    signed_in: bool = False
    """The session was opened in this visit. Said by the visit, not read off its times: clocks of
    several machines differ."""
    account_chosen: bool = False
    consented: bool = False


def unmet(
    request: AuthorizationRequest,
    session: SignedIn | None,
    client: Client,
    *,
    now: datetime,
    visit: Visit | None = None,
    hinted_sub: str | None = None,
) -> Sequence[Need]:
    """What is missing, in order; empty when the request may be answered with `session`.

    `hinted_sub`: the user of a valid `id_token_hint`. `visit`: None for a request that comes
    straight from the relying party.
    """
    needs: list[Need] = []
    if "select_account" in request.prompts and not _has_chosen(visit):
        needs.append(Need.ACCOUNT)
    if (
        session is None
        or _is_stale(request, session, now, visit)
        or _is_other(request, session, hinted_sub)
    ):
        needs.append(Need.LOGIN)
    if session is None:
        return needs
    if client.organization_id not in (None, session.organization_id):
        needs.append(Need.ELIGIBILITY)
    if needs_factor(session, client):
        needs.append(Need.FACTOR)
    if not _is_assured(request, session, client):
        needs.append(Need.ASSURANCE)
    if session.required_actions or not session.has_verified_address:
        needs += [need for need in _ACTIONS if _is_due(need, session)]
    if session.owes_terms:
        needs.append(Need.TERMS)
    if _needs_consent(request, session, client, visit):
        needs.append(Need.CONSENT)
    return needs


def _has_chosen(visit: Visit | None) -> bool:
    """Whether the account was picked, or named by signing in to it, since the request came."""
    return visit is not None and (visit.account_chosen or visit.signed_in)


def demand(rules: Policy, first: str, client: Client) -> SecondFactor:
    """When a second factor is asked for after the method `first`: of the organisation's rule and
    the client's the strictest."""
    own = rules.second_factor if first in rules.second_factor_after else SecondFactor.OFF
    return own if client.second_factor is None else strictest((own, client.second_factor))


def needs_factor(session: SignedIn, client: Client) -> bool:
    """Whether a policy asks for a second factor that this session has not seen."""
    asked_for = demand(session.policy, session.methods[0] if session.methods else "", client)
    if asked_for is SecondFactor.OFF or assurance.has_second(session.methods):
        return False
    waived = session.is_waived and remembers(session.policy, session.role)
    return asked_for is SecondFactor.ALWAYS or not waived


def _is_due(need: Need, session: SignedIn) -> bool:
    if need is Need.VERIFY_ADDRESS and session.policy.verify_address:
        return not session.has_verified_address or need.value in session.required_actions
    return need.value in session.required_actions


def wanted_levels(request: AuthorizationRequest, client: Client) -> tuple[str, ...]:
    """The `acr` values that the relying party asks for, one of which is to be reached."""
    return request.essential_acr or request.acr_values or client.default_acr_values


def _is_assured(request: AuthorizationRequest, session: SignedIn, client: Client) -> bool:
    """Whether the session reaches a wanted level. An essential `acr` is met or fails (Core,
    5.5.1.1); `acr_values` is a wish, in which what we do not know asks for nothing."""
    reached = assurance.acr(session.methods)
    if request.essential_acr:
        return assurance.meets(reached, request.essential_acr)
    return assurance.satisfies(reached, request.acr_values or client.default_acr_values)


def _is_stale(
    request: AuthorizationRequest, session: SignedIn, now: datetime, visit: Visit | None
) -> bool:
    """Whether the person must prove again who they are, although a session lives."""
    if visit is not None and visit.signed_in:
        return False
    if "login" in request.prompts:
        return True
    if request.max_age == 0:
        return True  # The same as prompt=login (Core, 3.1.2.1).
    return request.max_age is not None and now - session.auth_time > timedelta(
        seconds=request.max_age
    )


def _is_other(request: AuthorizationRequest, session: SignedIn, hinted_sub: str | None) -> bool:
    """Whether the relying party asked for somebody else (Core, 3.1.2.1 and 5.5.1)."""
    return any(
        sub is not None and sub != session.user_id for sub in (hinted_sub, request.claimed_sub)
    )


def _needs_consent(
    request: AuthorizationRequest, session: SignedIn, client: Client, visit: Visit | None
) -> bool:
    if visit is not None and visit.consented:
        return False
    if "consent" in request.prompts:
        return True
    return not client.is_first_party and not session.granted_scopes.issuperset(asked(request))


def asked(request: AuthorizationRequest) -> frozenset[str]:
    """What the person is asked to agree to: the scopes, and claims asked for by name."""
    # `name#ja-Kana-JP` is a name too (Core, 5.2).
    named = (*request.id_token_claims, *request.userinfo_claims)
    claims = {name.partition("#")[0] for name in named}
    return frozenset(request.scopes) | {
        scope for scope, names in SCOPE_CLAIMS.items() if claims.intersection(names)
    }


# OpenID Connect Core, 5.4; `org` is ours.
SCOPE_CLAIMS: dict[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
    "org": ("org_id", "org_name", "roles"),
}
