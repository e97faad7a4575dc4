"""The two ceremonies of passkeys: making one and showing one (WebAuthn Level 3, 7.1 and 7.2).

Owns what a browser is asked for and the judgement of what it sends. py_webauthn verifies signature,
origin, host, presence and verification of the user. What it leaves to its caller is here: the
challenge, whose key it is, the user handle, frames of other sites, counters. It is imported with
the first passkey: a process that meets none is spared its 6 MiB.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from idp import audit
from idp.accounts import claimants, passkeys
from idp.accounts.attempts import Source
from idp.accounts.challenges import LIFE_SECONDS, Challenge
from idp.accounts.claimants import Claimant
from idp.accounts.passkeys import NewKey
from idp.audit import Event
from idp.errors import Refused
from idp.policy import Method
from idp.services import Services

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticationCredential

LONGEST_ANSWER = 16 * 1024
# COSE: EdDSA, ES256, RS256 (Windows Hello). The order is the browser's preference.
ALGORITHMS = (-8, -7, -257)
# What malformed input makes the libraries raise, beside their own errors.
_MALFORMED = (LookupError, TypeError, ValueError, RecursionError, AttributeError)


class _Unfit(Exception):
    """What was sent proves nothing. The message is for the audit."""


def authentication_options(
    services: Services, challenge: Challenge, now: datetime, *, user_id: str | None = None
) -> dict[str, Any]:
    """What `navigator.credentials.get` takes, bytes in base64url. `user_id`: only keys of this
    user, who has shown another proof; None: whichever the person picks, so that nothing is told
    about anybody (EN-07)."""
    return {
        "challenge": _text(challenge.issue(services, now)),
        "rpId": _rp_id(services),
        "userVerification": "required",
        "timeout": LIFE_SECONDS * 1000,
        "allowCredentials": _credentials(services, user_id) if user_id else [],
    }


def registration_options(
    services: Services, user: Any, challenge: Challenge, now: datetime
) -> dict[str, Any]:
    """What `navigator.credentials.create` takes, bytes in base64url. `user`: a row of
    `users.CREDENTIAL_COLUMNS`.

    The user handle is the user's id: random, meaningless and for ever (14.6.1). A value derived
    from it would say no less, and would change with the key of its derivation.
    """
    return {
        "challenge": _text(challenge.issue(services, now)),
        "rp": {"id": _rp_id(services), "name": user.organization_name},
        "user": {"id": _text(user.id.encode()), "name": user.email, "displayName": user.name},
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
        "timeout": LIFE_SECONDS * 1000,
        "excludeCredentials": _credentials(services, user.id),
    }


def authenticate(
    services: Services,
    sent: str,
    challenge: Challenge,
    source: Source,
    *,
    claimant: Claimant | None,
    now: datetime,
) -> Claimant | None:
    """Whose passkey answered; None for everything else, remembered.

    `claimant`: for a second factor, the only one whose key will do; None for a sign-in, where the
    key itself says who it is. There is nothing to guess at, so nothing is counted: whoever is
    locked out by strangers gets in by passkey (EN-08).
    """
    owner: Claimant | None = claimant
    try:
        credential = _read_assertion(services, sent, challenge, now)
        row = passkeys.BY_CREDENTIAL.one(services.database.reader, credential_id=credential.raw_id)
        if row is None:
            raise _Unfit("unknown")
        owner = claimants.named(services, row.user_id)
        _check_owner(owner, claimant, credential.response.user_handle)
        _verify_assertion(services, credential, row, now)
    except _Unfit as unfit:
        _remember_failure(services, owner, str(unfit), source, now)
        return None
    return owner


def _read_assertion(
    services: Services, sent: str, challenge: Challenge, now: datetime
) -> AuthenticationCredential:
    from webauthn import helpers
    from webauthn.helpers.exceptions import WebAuthnException

    _check_length(sent)
    try:
        credential = helpers.parse_authentication_credential_json(sent)
        _check_client_data(services, credential.response.client_data_json, challenge, now)
    except (WebAuthnException, *_MALFORMED) as error:
        raise _Unfit("malformed") from error
    return credential


def _check_owner(owner: Claimant | None, claimant: Claimant | None, handle: bytes | None) -> None:
    """The key is one of somebody who may sign in with it, and says so itself (7.2, step 6)."""
    if owner is None or not owner.is_able:
        raise _Unfit("disabled")
    if claimant is None and not owner.policy.passkeys:
        raise _Unfit("policy")
    if claimant is not None and owner.account != claimant.account:
        raise _Unfit("another user")
    # With a list of keys the browser may leave the handle out; without one it names the user.
    if handle != owner.account.encode() and (handle is not None or claimant is None):
        raise _Unfit("user handle")


def _verify_assertion(
    services: Services, credential: AuthenticationCredential, row: Any, now: datetime
) -> None:
    from webauthn import helpers, verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        client_data = helpers.parse_client_data_json(credential.response.client_data_json)
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=client_data.challenge,  # Compared by `_check_client_data`.
            expected_rp_id=_rp_id(services),
            expected_origin=services.settings.base_url,
            credential_public_key=row.public_key,
            credential_current_sign_count=0,  # Compared by `passkeys.use`, in one write.
            require_user_verification=True,
        )
    except (WebAuthnException, *_MALFORMED) as error:
        raise _Unfit("not verified") from error
    if not passkeys.use(
        services,
        row.id,
        verified.new_sign_count,
        is_synced=verified.credential_backed_up,
        now=now,
    ):
        raise _Unfit("counter")


def read_registration(services: Services, sent: str, challenge: Challenge, now: datetime) -> NewKey:
    """The key that a browser made. Raises Refused for anything that is not one made here and now,
    for whoever the challenge was for, by somebody whom the device verified."""
    from webauthn import helpers, verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        _check_length(sent)
        credential = helpers.parse_registration_credential_json(sent)
        response = credential.response
        _check_client_data(services, response.client_data_json, challenge, now)
        response.attestation_object = _without_statement(response.attestation_object)
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=helpers.parse_client_data_json(response.client_data_json).challenge,
            expected_rp_id=_rp_id(services),
            expected_origin=services.settings.base_url,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(alg) for alg in ALGORITHMS],
        )
        if verified.credential_id != credential.raw_id or len(credential.raw_id) > 1023:
            raise Refused("the key has another name", member="credential")
        _check_key(verified.credential_public_key)
    except (WebAuthnException, _Unfit, *_MALFORMED) as error:
        raise Refused(f"no passkey: {error}", member="credential") from error
    return NewKey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=" ".join(transport.value for transport in response.transports or ())[:200],
        aaguid=verified.aaguid,
        is_synced=verified.credential_backed_up,
    )


def _without_statement(attestation_object: bytes) -> bytes:
    """What a browser makes of every attestation that nobody asked for (5.1.3, step 22): we trust
    none, so the parsers of their formats need not meet strangers' bytes."""
    from webauthn import helpers

    given = helpers.parse_cbor(attestation_object)
    return helpers.encode_cbor({"fmt": "none", "attStmt": {}, "authData": given["authData"]})


def _check_key(public_key: bytes) -> None:
    """That the key is one which can be verified with: found out now, not at the next sign-in."""
    from webauthn import helpers

    helpers.decoded_public_key_to_cryptography(helpers.decode_credential_public_key(public_key))


def _check_client_data(
    services: Services, client_data_json: bytes, challenge: Challenge, now: datetime
) -> None:
    from webauthn import helpers

    client_data = helpers.parse_client_data_json(client_data_json)
    if not challenge.matches(services, client_data.challenge, now):
        raise _Unfit("challenge")
    if client_data.cross_origin:
        raise _Unfit("frame of another site")


def _check_length(sent: str) -> None:
    if len(sent) > LONGEST_ANSWER:
        raise _Unfit("too long")


def _credentials(services: Services, user_id: str) -> list[Mapping[str, Any]]:
    rows = passkeys.CREDENTIALS.all(services.database.reader, user_id=user_id)
    return [
        {
            "type": "public-key",
            "id": _text(row.credential_id),
            **({"transports": row.transports.split()} if row.transports else {}),
        }
        for row in rows
    ]


def _rp_id(services: Services) -> str:
    """The host of our address: a key made for it works on no other site."""
    return urlsplit(services.settings.base_url).hostname or ""


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _remember_failure(
    services: Services, owner: Claimant | None, reason: str, source: Source, now: datetime
) -> None:
    if owner is None:
        # Anybody can send anything: how much of it is kept has a limit (DS-06).
        services.throttle.check_source(source.address, now)
        services.throttle.fail_source(source.address, "a passkey of nobody", now)
    user = owner.user if owner else None
    with services.database.transaction() as session:
        audit.record(
            session,
            Event.LOGIN_FAILED,
            at=now,
            actor="anonymous",
            user_id=user.id if user else None,
            organization_id=user.organization_id if user else None,
            client_id=source.client_id,
            address=source.address,
            request_id=source.request_id,
            method=Method.PASSKEY,
            reason=reason,
        )
