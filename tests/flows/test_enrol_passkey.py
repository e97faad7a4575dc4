"""Setting up a passkey where policy demands a factor; and everything that is no passkey."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import cbor2
import pytest
from sqlalchemy import select

from idp.outbox import OutboxRow, open_payload
from tests.flows.test_passkey import answer, application, claims_of, policy
from tests.support.authenticator import (
    AT,
    BS,
    GET,
    PRESENT,
    UP,
    UV,
    Passkey,
    give,
    make,
    to_bytes,
    to_text,
)
from tests.support.kit import ALICE, BELLA, Browser, Installation, Outcome

ORIGIN = "https://id.example.test"
Credential = Mapping[str, Any] | str


def at_enrolment(
    installation: Installation, browser: Browser | None = None
) -> tuple[Browser, Outcome]:
    """The page that asks Alice to set up a passkey: the only factor that policy allows."""
    policy(installation, second_factor="always", factors=["passkey"])
    browser = browser or installation.browser()
    page = browser.signed_in(ALICE, application(installation).request())
    assert page.step == "enrol_passkey"
    return browser, page


def send(
    browser: Browser, at: Outcome, credential: Mapping[str, Any] | str, **more: str
) -> Outcome:
    text = credential if isinstance(credential, str) else json.dumps(credential)
    return browser.submit(at, credential=text, **more)


def mails(installation: Installation) -> list[dict[str, Any]]:
    with installation.database() as session:
        rows = session.scalars(select(OutboxRow))
        return [open_payload(row, installation.services.sealer) for row in rows]


def test_a_passkey_is_set_up_on_the_way_in(sqlite_installation: Installation) -> None:
    rp = application(sqlite_installation)
    browser, page = at_enrolment(sqlite_installation)
    stamp = sqlite_installation.user(ALICE).security_stamp
    options = page.page.options
    key = make(options, ORIGIN)
    outcome = send(browser, page, key.made(options["challenge"]), name="  My\tPhone ")
    [row] = sqlite_installation.sql("SELECT * FROM passkeys")
    assert row["user_id"] == sqlite_installation.sub(ALICE)
    assert row["name"] == "My Phone"
    assert row["credential_id"] == key.credential_id
    assert row["public_key"] == key.public_key
    assert row["transports"] == "internal hybrid"
    assert row["is_synced"]
    user = sqlite_installation.user(ALICE)
    assert user.security_stamp != stamp
    assert user.required_actions == "save_recovery_code"
    assert "factor.added" in sqlite_installation.events()
    sqlite_installation.sql("UPDATE users SET required_actions = ''")
    outcome = browser.authorize(rp.request())
    claims = claims_of(rp, outcome)
    assert claims["amr"] == ["pwd", "pop", "user", "mfa"]
    # And it signs in from now on.
    other = sqlite_installation.browser()
    assert answer(other, other.authorize(rp.request()), key).code


def test_what_the_browser_is_asked_to_make(sqlite_installation: Installation) -> None:
    _, page = at_enrolment(sqlite_installation)
    options = page.page.options
    assert len(to_bytes(options.pop("challenge"))) == 32
    assert options == {
        "rp": {"id": "id.example.test", "name": "Organisation A"},
        "user": {
            "id": to_text(sqlite_installation.sub(ALICE).encode()),
            "name": ALICE.email,
            "displayName": ALICE.name,
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-8, -7, -257)],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
        "timeout": 300_000,
        "excludeCredentials": [],
    }


def test_the_owner_is_told_by_mail(sqlite_installation: Installation) -> None:
    browser, page = at_enrolment(sqlite_installation)
    options = page.page.options
    send(browser, page, make(options, ORIGIN).made(options["challenge"]), name="Blue key")
    [mail] = mails(sqlite_installation)
    assert mail["to"] == ALICE.email
    assert "Organisation A" in mail["subject"]
    assert "Passkey: Blue key" in mail["text"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537", "Chrome (Windows)"),
        ("curl", "Passkey"),
    ],
)
def test_a_key_without_a_name_is_called_after_the_browser(
    sqlite_installation: Installation, agent: str, name: str
) -> None:
    browser, page = at_enrolment(sqlite_installation)
    credential = make(page.page.options, ORIGIN).made(page.page.options["challenge"])
    fields = page.page.fields | {"credential": json.dumps(credential), "name": " \0\u202e"}
    browser.post(page.page.action, fields, headers={"User-Agent": agent})
    assert sqlite_installation.sql("SELECT name FROM passkeys") == [{"name": name}]


def test_enrolment_forgets_remembered_browsers(sqlite_installation: Installation) -> None:
    sqlite_installation.sql("UPDATE organizations SET policy = '{}'")
    other = sqlite_installation.browser()
    assert other.signed_in(ALICE, application(sqlite_installation).request()).code
    sqlite_installation.sql("UPDATE browsers SET remembered_at = 1740000000000000")
    browser, page = at_enrolment(sqlite_installation)
    options = page.page.options
    send(browser, page, make(options, ORIGIN).made(options["challenge"]))
    rows = sqlite_installation.sql("SELECT remembered_at FROM browsers")
    assert all(row["remembered_at"] is None for row in rows)


# BF-20 -------------------------------------------------------------------------------------------

Forge = Callable[[Passkey, str], Credential]


def _bent(**bent: Any) -> Forge:
    return lambda key, challenge: key.made(challenge, **bent)


def _raw(text: str) -> Forge:
    return lambda *_: text


OFF_THE_CURVE = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: b"1" * 32, -3: b"2" * 32})
FORGERIES: dict[str, Forge] = {
    "another challenge": lambda key, _: key.made("A" * 43),
    "type get": _bent(type_=GET),
    "another origin": _bent(origin="https://evil.example"),
    "cross origin": _bent(cross_origin=True),
    "another host": _bent(rp_id="evil.example"),
    "nobody there": _bent(flags=UV | AT),
    "nobody verified": _bent(flags=UP | AT),
    "no key": _bent(flags=PRESENT),
    "backed up but not to be": _bent(flags=PRESENT | AT | BS),
    "not on the curve": _bent(public_key=OFF_THE_CURVE),
    "another algorithm": _bent(public_key=cbor2.dumps({1: 2, 3: -47, -1: 8, -2: b"1", -3: b"2"})),
    "a key of nothing": _bent(public_key=cbor2.dumps({})),
    "a key that is a number": _bent(public_key=cbor2.dumps(7)),
    "a key that is a list": _bent(public_key=cbor2.dumps([1, 2])),
    "no CBOR": _bent(attestation_object=b"\xff" * 40),
    "a list": _bent(attestation_object=cbor2.dumps([1])),
    "no authenticator data": _bent(attestation_object=cbor2.dumps({"fmt": "none", "attStmt": {}})),
    "authenticator data that are text": _bent(
        attestation_object=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": "x" * 60})
    ),
    "deep CBOR": _bent(attestation_object=b"\x81" * 5000),
    "nothing": _raw(""),
    "no JSON": _raw("{"),
    "deep JSON": _raw("[" * 9000),
    "huge": _raw("A" * 40_000),
}


# BF-20
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_what_is_no_passkey_is_refused_and_uses_up_the_challenge(
    sqlite_installation: Installation, forge: Forge
) -> None:
    browser, page = at_enrolment(sqlite_installation)
    options = page.page.options
    key = make(options, ORIGIN)
    refused = send(browser, page, forge(key, options["challenge"]), name="My key")
    assert (refused.status, refused.step, refused.page.is_alert) == (200, "enrol_passkey", True)
    assert refused.page.fields["name"] == "My key"
    late = send(browser, page, key.made(options["challenge"]))
    assert (late.step, late.page.is_alert) == ("enrol_passkey", True)
    assert sqlite_installation.sql("SELECT * FROM passkeys") == []
    send(browser, late, make(options, ORIGIN).made(late.page.options["challenge"]))
    assert len(sqlite_installation.sql("SELECT * FROM passkeys")) == 1


@pytest.mark.parametrize(
    "bent",
    [
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"1"}},
        {"fmt": "tpm", "attStmt": {"ver": "2.0", "x5c": [b"0"]}},
        {"fmt": "nobody knows", "attStmt": {}},
    ],
)
def test_an_attestation_that_nobody_asked_for_is_not_looked_at(
    sqlite_installation: Installation, bent: dict[str, Any]
) -> None:
    browser, page = at_enrolment(sqlite_installation)
    options = page.page.options
    key = make(options, ORIGIN)
    attestation = key.attestation_object(**bent)
    send(browser, page, key.made(options["challenge"], attestation_object=attestation))
    assert len(sqlite_installation.sql("SELECT * FROM passkeys")) == 1


# BF-20
def test_a_key_that_somebody_has_is_refused_and_stays_theirs(
    sqlite_installation: Installation,
) -> None:
    bellas = give(sqlite_installation, BELLA)
    browser, page = at_enrolment(sqlite_installation)
    options = page.page.options
    key = make(options, ORIGIN)
    key.credential_id = bellas.credential_id
    refused = send(browser, page, key.made(options["challenge"]))
    assert refused.page.is_alert
    [row] = sqlite_installation.sql("SELECT user_id, public_key FROM passkeys")
    assert row == {
        "user_id": sqlite_installation.sub(BELLA),
        "public_key": bellas.public_key,
    }


# BF-20
def test_registration_needs_a_proof_of_this_visit(sqlite_installation: Installation) -> None:
    policy(sqlite_installation, second_factor="always", factors=["passkey"])
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    visit = page.path.split("/")[2]
    sent = {"csrf": page.page.fields["csrf"], "credential": "{}", "name": "x"}
    for identifier in ("", ALICE.email):
        if identifier:
            page = browser.submit(page, identifier=identifier)
        assert browser.follow(browser.get(f"/login/{visit}/enrol_passkey")).step == page.step
        posted = browser.follow(browser.post(f"/login/{visit}/enrol_passkey", sent))
        assert posted.step == page.step


# BF-20, BF-12
def test_who_has_a_passkey_shows_it_and_sets_up_no_other(
    sqlite_installation: Installation,
) -> None:
    give(sqlite_installation, ALICE)
    policy(sqlite_installation, second_factor="always", factors=["passkey"])
    browser = sqlite_installation.browser()
    page = browser.signed_in(ALICE, application(sqlite_installation).request())
    assert page.step == "passkey"
    visit = page.path.split("/")[2]
    assert browser.follow(browser.get(f"/login/{visit}/enrol_passkey")).step == "passkey"
