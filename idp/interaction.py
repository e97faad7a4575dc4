"""The interaction: one visit to the sign-in pages, from the authorization request to its answer.

Kept in the StateStore, its id in the path, bound to the browser by the hash of a cookie. It holds
the authorization request and the proofs shown so far, so no step can be skipped: what has been
shown is in the record, not in the URL. Nothing about a sign-in lives anywhere else.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from idp.assurance import Proof
from idp.state import Kind, StateStore

STEP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Interaction:
    id: str
    browser: str
    """Hash of the browser cookie that it belongs to, hexadecimal."""
    expires_at: datetime
    parameters: dict[str, str]
    """The authorization request as received; judged again whenever it is answered."""
    identifier: str = ""
    """Who the person says to be, as typed. Proves nothing."""
    session_id: str | None = None
    """The session that the answer will speak of, once known."""
    opened: bool = False
    """Whether that session was opened by the proofs of this very visit."""
    account_chosen: bool = False
    consent: str | None = None
    """`allow` or `deny`, said in this interaction."""
    proofs: tuple[Proof, ...] = ()
    user_id: str | None = None
    """Whom the proofs prove."""
    stamp: str = ""
    """That user's security stamp when the last of them was shown: a credential that is changed
    elsewhere takes them away."""
    wanted: str = ""
    """The method that the person chose among those offered; empty: what comes first."""
    remembers: bool = False
    """Whether the person wishes this browser to be remembered."""
    enrolled: tuple[str, ...] = ()
    """The kinds of factor that were set up in this very visit."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What one page has to know when its form comes back, by page: the challenge of a passkey, the
    sealed secret of an app that is being set up. No decision looks at it."""
    stored: bytes = field(default=b"", repr=False, compare=False)
    """The bytes this was read from: the next write replaces exactly these."""


def start(
    store: StateStore,
    *,
    browser: str,
    parameters: dict[str, str],
    now: datetime,
    lifetime: timedelta,
    session_id: str | None = None,
    identifier: str = "",
) -> Interaction:
    interaction = Interaction(
        id=secrets.token_urlsafe(32),
        browser=browser,
        expires_at=now + lifetime,
        parameters=parameters,
        session_id=session_id,
        identifier=identifier,
    )
    written = _encode(interaction)
    store.put(Kind.INTERACTION, interaction.id, written, STEP_SECONDS)
    return replace(interaction, stored=written)


def load(
    store: StateStore, interaction_id: str, *, browser: str | None, now: datetime
) -> Interaction | None:
    """The interaction, or None when it is over, unknown, or another browser's (AZ-11)."""
    return _decode(interaction_id, store.get(Kind.INTERACTION, interaction_id), browser, now)


def save(store: StateStore, interaction: Interaction) -> Interaction | None:
    """Replaces what was read; None when another tab was faster: this step must be judged anew."""
    written = _encode(interaction)
    swapped = store.swap(
        Kind.INTERACTION, interaction.id, interaction.stored, written, STEP_SECONDS
    )
    return replace(interaction, stored=written) if swapped else None


def anew(
    interaction: Interaction, *, identifier: str, session_id: str | None = None
) -> Interaction:
    """The visit as it is when it is said anew who it is about: nothing that was shown, chosen or
    agreed to until then counts."""
    return replace(
        without_proofs(interaction),
        identifier=identifier,
        session_id=session_id,
        opened=False,
        consent=None,
        wanted="",
        enrolled=(),
    )


def without_proofs(interaction: Interaction) -> Interaction:
    return replace(interaction, proofs=(), user_id=None, stamp="", remembers=False)


def noted(interaction: Interaction, page: str, note: str | None) -> Interaction:
    """The interaction with a page's note changed; None takes it away."""
    notes = {name: text for name, text in interaction.notes.items() if name != page}
    return replace(interaction, notes=notes if note is None else {**notes, page: note})


def has_enrolled(interaction: Interaction, kind: str) -> Interaction:
    """The interaction of who has just set up a factor of this kind."""
    return replace(interaction, enrolled=(*interaction.enrolled, kind))


def finish(store: StateStore, interaction: Interaction) -> bool:
    """Ends it. Of several callers one gets True and may answer the relying party."""
    return store.take(Kind.INTERACTION, interaction.id) is not None


def _encode(interaction: Interaction) -> bytes:
    record: dict[str, Any] = {
        "b": interaction.browser,
        "x": interaction.expires_at.timestamp(),
        "p": interaction.parameters,
        "i": interaction.identifier,
        "sid": interaction.session_id,
        "o": interaction.opened,
        "a": interaction.account_chosen,
        "c": interaction.consent,
        "u": interaction.user_id,
        "s": interaction.stamp,
        "w": interaction.wanted,
        "r": interaction.remembers,
        "e": list(interaction.enrolled),
        "n": dict(interaction.notes),
        "f": [[proof.method, proof.at.timestamp()] for proof in interaction.proofs],
    }
    return json.dumps(record, separators=(",", ":")).encode()


def _decode(
    interaction_id: str, stored: bytes | None, browser: str | None, now: datetime
) -> Interaction | None:
    if stored is None or browser is None:
        return None
    record = json.loads(stored)
    expires_at = datetime.fromtimestamp(record["x"], tz=now.tzinfo)
    if not secrets.compare_digest(record["b"], browser) or now >= expires_at:
        return None
    return Interaction(
        id=interaction_id,
        browser=browser,
        expires_at=expires_at,
        parameters=record["p"],
        identifier=record["i"],
        session_id=record["sid"],
        opened=record["o"],
        account_chosen=record["a"],
        consent=record["c"],
        user_id=record["u"],
        # Not there when a process of the release before wrote it.
        stamp=record.get("s", ""),
        wanted=record.get("w", ""),
        remembers=record.get("r", False),
        enrolled=tuple(record.get("e", ())),
        notes=record.get("n", {}),
        proofs=tuple(
            Proof(method, datetime.fromtimestamp(at, tz=now.tzinfo)) for method, at in record["f"]
        ),
        stored=stored,
    )
