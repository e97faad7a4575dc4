"""What an interaction amounts to now: judged anew at every request to the pages.

Before `next_step` decides, what no longer counts is taken out: proofs of somebody whose credentials
were changed since, a session that has ended or grown old on the way. Nothing is written here; a
page that goes on from what was judged writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from flask import Response

from flows import facts
from flows.login.visit import Visit
from flows.next_step import SETS_UP, Next, Step, next_step
from idp import interaction as interactions
from idp import web
from idp.accounts.users import BY_ID
from idp.interaction import Interaction
from idp.oidc import respond, resume
from idp.oidc.authorize import Asked, Refusal, choose
from idp.oidc.request import Untrusted
from idp.oidc.requirements import Need

SETTING_UP = frozenset({Step.ENROL, *SETS_UP.values()})


def judge(interaction: Interaction) -> Visit | Response:
    """The interaction with all that decides about it; or the answer, where its application was
    changed in the meantime so that nothing can be decided any more."""
    now = web.services().clock.now()
    try:
        asked = resume.ask(interaction, now)
    except Untrusted as failure:
        return respond.untrusted(failure)
    except Refusal as refusal:
        return respond.error(refusal.to, refusal.failure, after_post=True)
    interaction = _still_proven(interaction)
    needs = resume.judge(interaction, asked, now)
    if Need.LOGIN in needs:
        # The session that this visit began with has ended, or has to be proven again: what was
        # shown beside it is no sign-in (AZ-07).
        interaction = _without_session(interaction, asked)
    visit = _decided(interaction, asked, needs, now)
    if visit.next.step in SETTING_UP and not facts.is_fresh(interaction, asked, now):
        # A session that was left open is not enough to add a credential (BF-20, SE-17).
        interaction = _without_session(interaction, asked)
        visit = _decided(interaction, asked, resume.judge(interaction, asked, now), now)
    return visit


def _still_proven(interaction: Interaction) -> Interaction:
    """Without proofs of somebody whose password, factor or address was changed elsewhere."""
    if not interaction.proofs:
        return interaction
    user = BY_ID.one(web.services().database.reader, user_id=interaction.user_id)
    if user is not None and user.security_stamp == interaction.stamp:
        return interaction
    return interactions.without_proofs(interaction)


def _without_session(interaction: Interaction, asked: Asked) -> Interaction:
    """The visit as one in which the person signs in, if it began with a session."""
    if interaction.session_id is None or interaction.opened:
        return interaction
    row = choose(asked, interaction.session_id)
    return interactions.anew(
        interaction, identifier=interaction.identifier or (row.email if row is not None else "")
    )


def _decided(interaction: Interaction, asked: Asked, needs: Sequence[Need], now: datetime) -> Visit:
    known = facts.gather(web.services(), interaction, asked, needs, now)
    upcoming = next_step(
        identifier=interaction.identifier,
        opened=interaction.opened,
        proofs=interaction.proofs,
        wanted=interaction.wanted,
        consent=interaction.consent,
        facts=known.facts,
    )
    visit = Visit(interaction, asked, upcoming, known, now)
    if interaction.proofs and not visit.claimant.is_able:
        # Switched off since (AZ-14).
        return replace(visit, next=Next(Step.REFUSED, "access_denied"))
    return visit
