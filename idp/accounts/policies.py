"""Changing what an organisation asks of its people.

Owns the change: checked, written, audited. What may be asked, and whose demand wins, is `policy`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp import audit, policy
from idp.accounts.organizations import Organization
from idp.accounts.users import User
from idp.audit import Event
from idp.errors import Refused


def change(
    session: Session,
    organization: Organization,
    changes: Mapping[str, Any],
    *,
    actor: str,
    now: datetime,
) -> dict[str, Any]:
    """Changes members of an organisation's policy; those that are now set. None takes a member
    back to its default. Raises Refused with the member's name, also where somebody could no longer
    sign in."""
    given = json.loads(organization.policy) | dict(changes)
    checked = policy.check({name: value for name, value in given.items() if value is not None})
    members = json.dumps(checked, sort_keys=True)
    _check_nobody_is_left_out(session, organization, policy.of_organization(members))
    organization.policy = members
    session.flush()
    audit.record(
        session,
        Event.POLICY_CHANGED,
        at=now,
        actor=actor,
        organization_id=organization.id,
        members=sorted(changes),
    )
    return checked


def _check_nobody_is_left_out(
    session: Session, organization: Organization, rules: policy.Policy
) -> None:
    left_out = session.scalar(
        select(func.count())
        .select_from(User)
        .where(User.organization_id == organization.id)
        .where(User.login_method.not_in(rules.login_methods))
    )
    if left_out:
        raise Refused(
            f"{left_out} people sign in by another method: change theirs first",
            member="login_methods",
        )
