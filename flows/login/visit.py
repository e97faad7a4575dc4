"""What a page is given, and what all pages share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import request

from flows.facts import Known, Reason
from flows.next_step import ENROLS, PROVES, Next, Step
from idp import interaction as interactions
from idp import web
from idp.accounts.attempts import Source
from idp.accounts.claimants import Claimant
from idp.accounts.users import BY_ID
from idp.assurance import Proof
from idp.interaction import Interaction
from idp.oidc import own
from idp.oidc.authorize import Asked
from idp.policy import Method
from idp.web import gettext


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the sign-in pages: the interaction and everything that decides about it."""

    interaction: Interaction
    asked: Asked
    next: Next
    known: Known
    now: datetime

    @property
    def csrf(self) -> str:
        return web.csrf_token(self.interaction.id)

    @property
    def claimant(self) -> Claimant:
        """Who this is about, on pages that come after somebody was named."""
        if self.known.claimant is None:
            raise AssertionError("a page before anybody was named")
        return self.known.claimant

    @property
    def user(self) -> Any:
        """A row of `users.CREDENTIAL_COLUMNS`, on pages that come after a proof or a session."""
        if self.claimant.user is None:
            raise AssertionError("a proof of nobody")
        return self.claimant.user

    @property
    def is_second(self) -> bool:
        """Whether something was proven before, now or in the session that goes on."""
        return bool(self.interaction.proofs or self.known.facts.session_methods)

    @property
    def source(self) -> Source:
        return Source(
            address=web.remote_address(),
            device=web.cookie(web.DEVICE_COOKIE),
            user_agent=request.headers.get("User-Agent", ""),
            request_id=web.request_id(),
            client_id=self.asked.client.id,
            after_password=Method.PASSWORD in (p.method for p in self.interaction.proofs),
        )

    @property
    def organization(self) -> str | None:
        """Whose page this is, once somebody was named."""
        return self.known.claimant.organization_name if self.known.claimant else None

    def url(self, step: Step) -> str:
        return f"/login/{self.interaction.id}/{step.value}"


@dataclass(frozen=True, slots=True)
class Question:
    """What all pages that ask a person to prove something show around their one question."""

    action: str
    csrf: str
    application: str
    identifier: str
    not_you_url: str | None
    """Only as long as somebody was named and nothing proven."""
    other_way_url: str | None
    why: str | None
    may_remember: bool
    remember_days: int
    error: str | None = None
    lost_device_url: str | None = None
    """Where `method=recovery` is to be sent, when the recovery code would do."""
    leave_url: str | None = None
    """Where `leave=yes` is to be sent by who will not set up what the application asks for."""
    account_url: str | None = None
    """Where somebody goes back to who came from the account pages."""


def question(visit: Visit, step: Step, error: str | None = None) -> Question:
    interaction, claimant = visit.interaction, visit.known.claimant
    is_second = visit.is_second
    is_own = own.is_own(interaction.parameters)
    may_recover = Method.RECOVERY_CODE in visit.next.options and step is not Step.RECOVERY_CODE
    return Question(
        action=visit.url(step),
        csrf=visit.csrf,
        application=visit.asked.client.name,
        identifier=interaction.identifier or (visit.user.email if is_second else ""),
        not_you_url=None if is_second or claimant is None else visit.url(Step.IDENTIFY),
        other_way_url=visit.url(Step.OTHER_WAY) if len(visit.next.options) > 1 else None,
        why=why(visit),
        may_remember=is_second and visit.known.may_remember,
        remember_days=claimant.policy.remember_days if claimant else 0,
        error=error,
        lost_device_url=visit.url(Step.OTHER_WAY) if may_recover else None,
        leave_url=None if is_own else visit.url(Step.OTHER_WAY),
        account_url=interaction.parameters["redirect_uri"] if is_own else None,
    )


def why(visit: Visit) -> str | None:
    """Why this is asked, in one line: only where somebody may wonder."""
    reason = visit.known.reason
    if reason is Reason.NEW_BROWSER and visit.next.step in (Step.ENROL, *ENROLS.values()):
        reason = Reason.ORGANIZATION  # A rule has it set up, whatever the browser.
    if reason is Reason.OWN_ACCOUNT and visit.next.step not in PROVES.values():
        return None  # It was confirmed; this is what they came for.
    match reason:
        case Reason.NEW_BROWSER:
            return gettext("You are new on this browser, so we ask once more.")
        case Reason.ORGANIZATION:
            return gettext("Your organisation asks for a second confirmation.")
        case Reason.APPLICATION:
            return gettext("This application asks for a second confirmation.")
        case Reason.CONFIRM:
            return gettext("The application asks you to confirm that it is you.")
        case Reason.OWN_ACCOUNT:
            return gettext("Before you change how your account is protected, confirm it is you.")
        case Reason.TOO_LONG_AGO:
            return gettext("Your last sign-in was too long ago for this application.")
        case _:
            return None


def proven(visit: Visit, user_id: str, proof: Proof) -> Interaction:
    """The interaction with one more proof of this user, saved. The choice of a method was for this
    proof; the next is asked anew. A tick at "remember this browser" is kept."""
    before = visit.interaction
    changes = visit.next.step in (*ENROLS.values(), Step.RECOVERY_CODE)
    stamp = _stamp(user_id)
    if visit.known.claimant is not None and not changes:
        user = visit.known.claimant.user
        if user is not None and user.id == user_id:
            stamp = user.security_stamp  # As it was when the proof was judged.

    def more(interaction: Interaction) -> Interaction:
        if visit.next.step in ENROLS.values():
            interaction = interactions.has_enrolled(interaction, proof.method)
        return replace(
            interaction,
            user_id=user_id,
            stamp=stamp,
            proofs=(*interaction.proofs, proof),
            wanted="",
            remembers=interaction.remembers or "remember" in request.form,
        )

    saved = save(more(before))
    if saved.proofs == before.proofs and _is_about(saved, before):
        # Another tab only looked at a page; a code that can be used once must not be lost to it.
        saved = save(more(saved))
    return saved


def restamped(interaction: Interaction) -> Interaction:
    """The interaction after a change of a credential that was made in it: its proofs go on."""
    if not interaction.proofs or interaction.user_id is None:
        return interaction
    return replace(interaction, stamp=_stamp(interaction.user_id))


def _stamp(user_id: str) -> str:
    user = BY_ID.one(web.services().database.reader, user_id=user_id)
    return "" if user is None else str(user.security_stamp)


def _is_about(one: Interaction, other: Interaction) -> bool:
    return (one.user_id, one.session_id, one.identifier) == (
        other.user_id,
        other.session_id,
        other.identifier,
    )


def save(interaction: Interaction) -> Interaction:
    """Writes the interaction. When another tab was faster, that tab's record is what counts, and
    the caller's `forward` judges it."""
    services = web.services()
    saved = interactions.save(services.state, interaction)
    if saved is not None:
        return saved
    current = interactions.load(
        services.state, interaction.id, browser=interaction.browser, now=services.clock.now()
    )
    return current if current is not None else interaction
