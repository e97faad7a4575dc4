"""Claimants: whom somebody says to be, before anything is proven (NIST SP 800-63B-4: a subject
whose identity is to be verified).

An identifier that nobody has is answered like one that somebody has. It is taken for a neighbour:
a user of the same mail domain (of any, for a sign-in ID), picked by a keyed hash, lends its login
method and organisation. So methods and organisations are spread over unknown identifiers as they
are over real ones, and the same identifier is always answered alike (EN-01, EN-04, EN-05).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, select, union_all

from idp import policy
from idp.accounts.identifiers import comparable
from idp.accounts.organizations import Organization
from idp.accounts.users import BY_ID, CREDENTIALS, User
from idp.db import Prepared
from idp.policy import Method, Policy
from idp.services import Services

_LENT = (User.login_method, Organization.name.label("organization_name"), Organization.policy)


def _neighbour(*conditions: Any) -> Prepared:
    """The user after a place in the order of ids, else the first: one index look-up each."""
    base = (
        select(User.id, *_LENT)
        .join(Organization, Organization.id == User.organization_id)
        .where(*conditions)
        .order_by(User.id)
        .limit(1)
    )
    after = base.where(User.id >= bindparam("place")).subquery()
    return Prepared(union_all(select(after), select(base.subquery())))


_NEIGHBOUR = _neighbour()
_NEIGHBOUR_IN_DOMAIN = _neighbour(User.email_domain == bindparam("domain"))

_ORGANIZATION = Prepared(
    select(Organization.policy).where(Organization.id == bindparam("organization_id"))
)


@dataclass(frozen=True, slots=True)
class Claimant:
    account: str
    """Names the failure counters: a user's id, or for nobody a keyed hash of what was typed."""
    typed: str
    """A keyed hash of what was typed, or the account where nothing was: what a source is counted
    by, for two names of one account must not count as one (EN-01)."""
    user: Any | None = field(repr=False)
    """A row of `users.CREDENTIAL_COLUMNS`; None when nobody has the identifier."""
    login_method: str
    organization_name: str | None
    policy: Policy

    @property
    def is_able(self) -> bool:
        """Whether a right answer may sign them in."""
        return (
            self.user is not None
            and self.user.disabled_at is None
            and self.user.organization_disabled_at is None
        )


def meet(services: Services, identifier: str) -> Claimant:
    """Who this identifier says to be. Does the same work whether somebody has it."""
    key = comparable(identifier)
    user = CREDENTIALS.one(services.database.reader, key=key)
    ghost = hmac.digest(services.ghost_key, key.encode(), "sha256").hex()[:32]
    neighbour = _find_neighbour(services, key, ghost)
    if user is not None:
        return of(services, user, typed=ghost)
    if neighbour is None:
        return Claimant(ghost, ghost, None, Method.PASSWORD, None, installation_policy(services))
    return Claimant(
        ghost,
        ghost,
        None,
        neighbour.login_method,
        neighbour.organization_name,
        policy.of_organization(neighbour.policy, installation_policy(services).second_factor),
    )


def named(services: Services, user_id: str) -> Claimant | None:
    """The claimant of somebody whose id is known: from a session, a proof, a passkey."""
    user = BY_ID.one(services.database.reader, user_id=user_id)
    return None if user is None else of(services, user)


def of(services: Services, user: Any, *, typed: str = "") -> Claimant:
    """`user`: a row of `users.CREDENTIAL_COLUMNS`."""
    return Claimant(
        user.id,
        typed or user.id,
        user,
        user.login_method,
        user.organization_name,
        policy.of_organization(
            user.organization_policy, installation_policy(services).second_factor
        ),
    )


def installation_policy(services: Services) -> Policy:
    """What the installation asks of everybody."""
    return policy.of_organization("{}", services.settings.second_factor_floor)


def audience_policy(services: Services, organization_id: str | None) -> Policy:
    """What is asked before anybody was named: by the organisation for whose members alone an
    application is, else by the installation."""
    floor = installation_policy(services)
    if organization_id is None:
        return floor
    row = _ORGANIZATION.one(services.database.reader, organization_id=organization_id)
    return floor if row is None else policy.of_organization(row.policy, floor.second_factor)


def _find_neighbour(services: Services, key: str, place: str) -> Any | None:
    domain = key.rpartition("@")[2] if "@" in key else ""
    reader = services.database.reader
    if domain:
        # An address of a domain that nobody has is nobody's: no customer need be named for it.
        return _NEIGHBOUR_IN_DOMAIN.one(reader, place=place, domain=domain)
    return _NEIGHBOUR.one(reader, place=place)
