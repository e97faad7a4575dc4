"""Signing in with passkeys, as the only factor and as the second; and every way to forge one."""

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from flows.login import challenges
from flows.next_step import Step
from idp import assurance
from idp import interaction as interactions
from idp.accounts.challenges import Challenge, Purpose
from idp.interaction import Interaction
from tests.support.authenticator import (
    BE,
    BS,
    CREATE,
    UP,
    UV,
    Passkey,
    give,
    to_bytes,
    to_text,
)
from tests.support.kit import (
    A1,
    ADAM,
    ALICE,
    BELLA,
    C1,
    DORA,
    Browser,
    Installation,
    Outcome,
    Person,
    RelyingParty,
)

Credential = Mapping[str, Any]
Forge = Callable[["Attack"], Credential | str]


def application(installation: Installation) -> RelyingParty:
    return RelyingParty(installation, C1)


def policy(installation: Installation, organization: str = "A", **members: Any) -> None:
    installation.sql(
        "UPDATE organizations SET policy = :policy WHERE name = :name",
        policy=json.dumps(members),
        name=f"Organisation {organization}",
    )


def passkey_path(outcome: Outcome) -> str:
    return "/".join([*urlsplit(outcome.path).path.split("/")[:3], "passkey"])


def send(browser: Browser, at: Outcome, credential: Credential | str, **more: str) -> Outcome:
    """What the script of the page does with the browser's answer."""
    text = credential if isinstance(credential, str) else json.dumps(credential)
    fields = {"csrf": at.page.fields["csrf"], "credential": text, **more}
    return browser.follow(browser.post(passkey_path(at), fields))


def answer(browser: Browser, at: Outcome, key: Passkey, **bent: Any) -> Outcome:
    return send(browser, at, key.shown(at.page.options["challenge"], **bent))


def claims_of(rp: RelyingParty, outcome: Outcome) -> dict[str, Any]:
    claims: dict[str, Any] = rp.verify(rp.redeem(outcome.code).get_json()["id_token"])
    return claims


# The ways that work ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_passkey_alone_signs_in_from_the_first_page_and_counts_as_several_factors(
    sqlite_installation: Installation, is_synced: bool
) -> None:
    key = give(sqlite_installation, ALICE, is_synced=is_synced)
    rp, browser = application(sqlite_installation), sqlite_installation.browser()
    for _ in range(2):
        page = browser.authorize(rp.request(prompt="login", acr_values=assurance.MULTIPLE))
        if page.step != "identify":
            page = browser.follow(browser.get(passkey_path(page)))
        claims = claims_of(rp, answer(browser, page, key))
        assert claims["sub"] == sqlite_installation.sub(ALICE)
        assert claims["amr"] == ["pop", "user", "mfa"]
        assert claims["acr"] == assurance.MULTIPLE
    [row] = sqlite_installation.sql("SELECT sign_count, last_used_at FROM passkeys")
    assert row["sign_count"] == (0 if is_synced else 2)
    assert row["last_used_at"] is not None


# BF-20
def test_a_passkey_shown_for_somebody_elses_session_signs_its_own_owner_in(
    sqlite_installation: Installation,
) -> None:
    key = give(sqlite_installation, BELLA)
    rp, browser = application(sqlite_installation), sqlite_installation.browser()
    assert browser.signed_in(ALICE, rp.request()).code
    sqlite_installation.pass_time(minutes=11)
    page = browser.authorize(rp.request(acr_values=assurance.MULTIPLE))
    page = browser.follow(browser.get(passkey_path(page)))
    assert claims_of(rp, answer(browser, page, key))["sub"] == sqlite_installation.sub(BELLA)
    assert len(sqlite_installation.sql("SELECT id FROM passkeys")) == 1


def test_what_the_browser_is_asked_for(sqlite_installation: Installation) -> None:
    give(sqlite_installation, ALICE)
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    options = page.page.options
    assert len(to_bytes(options.pop("challenge"))) == 32
    assert options == {
        "rpId": "id.example.test",
        "userVerification": "required",
        "timeout": 300_000,
        "allowCredentials": [],
    }
    [tag] = [line for line in page.page.html.splitlines() if "autocomplete=" in line]
    assert 'autocomplete="username webauthn"' in tag


def test_looking_at_the_first_page_writes_nothing(sqlite_installation: Installation) -> None:
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    before = sqlite_installation.state_entries()
    again = browser.follow(browser.get(page.path))
    assert sqlite_installation.state_entries() == before
    assert again.page.options == page.page.options


# EN-07
def test_whoever_was_typed_the_browser_is_asked_the_same(
    sqlite_installation: Installation,
) -> None:
    give(sqlite_installation, ALICE)
    seen = set()
    for identifier in (ALICE.email, ADAM.email, DORA.email, "nobody@a.example"):
        browser = sqlite_installation.browser()
        page = browser.authorize(application(sqlite_installation).request())
        page = browser.submit(page, identifier=identifier)
        page = browser.follow(browser.get(passkey_path(page)))
        assert page.step == "passkey"
        options = {**page.page.options, "challenge": ""}
        html = page.page.html.replace(page.page.options["challenge"], "")
        html = html.replace(identifier, "").replace(page.page.fields["csrf"], "")
        html = html.replace(urlsplit(page.path).path.split("/")[2], "")
        nonce = page.response.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
        seen.add((json.dumps(options), page.status, html.replace(nonce, "")))
    assert len(seen) == 1


def test_the_key_says_who_it_is_whatever_was_typed(sqlite_installation: Installation) -> None:
    key = give(sqlite_installation, BELLA)
    rp, browser = application(sqlite_installation), sqlite_installation.browser()
    page = browser.submit(browser.authorize(rp.request()), identifier=ALICE.email)
    page = browser.follow(browser.get(passkey_path(page)))
    assert claims_of(rp, answer(browser, page, key))["sub"] == sqlite_installation.sub(BELLA)


def second_factor(installation: Installation, person: Person = ALICE) -> tuple[Browser, Outcome]:
    """The page that asks for a passkey after the password."""
    policy(installation, second_factor="always")
    browser = installation.browser()
    page = browser.signed_in(person, application(installation).request())
    return browser, page


def test_after_a_password_a_passkey_of_the_same_person_is_asked_for(
    sqlite_installation: Installation,
) -> None:
    give(sqlite_installation, BELLA)
    key = give(sqlite_installation, ALICE)
    rp = application(sqlite_installation)
    browser, page = second_factor(sqlite_installation)
    assert page.step == "passkey"
    assert page.page.options["allowCredentials"] == [
        {"type": "public-key", "id": to_text(key.credential_id), "transports": ["internal"]}
    ]
    claims = claims_of(rp, answer(browser, page, key))
    assert claims["amr"] == ["pwd", "pop", "user", "mfa"]


def test_with_a_list_of_keys_the_handle_may_be_left_out(sqlite_installation: Installation) -> None:
    key = give(sqlite_installation, ALICE)
    browser, page = second_factor(sqlite_installation)
    assert answer(browser, page, key, has_handle=False).code


@pytest.mark.parametrize("mode", ["off", "new_browser", "always"])
def test_who_signed_in_by_passkey_is_asked_for_nothing_more(
    sqlite_installation: Installation, mode: str
) -> None:
    policy(
        sqlite_installation,
        second_factor=mode,
        second_factor_after=["email", "otp", "pwd"],
    )
    key = give(sqlite_installation, ALICE)
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    assert answer(browser, page, key).code


# EN-08
def test_a_passkey_works_while_strangers_have_locked_the_password(
    sqlite_installation: Installation,
) -> None:
    key = give(sqlite_installation, ALICE)
    stranger = sqlite_installation.browser("198.51.100.1")
    page = stranger.authorize(application(sqlite_installation).request())
    for _ in range(12):
        page = stranger.sign_in(page, ALICE, "wrong")
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    assert answer(browser, page, key).code


def test_a_remembered_browser_is_asked_for_no_passkey_and_says_no_mfa(
    sqlite_installation: Installation,
) -> None:
    policy(sqlite_installation, second_factor="new_browser")
    key = give(sqlite_installation, ALICE)
    rp, browser = application(sqlite_installation), sqlite_installation.browser()
    page = browser.signed_in(ALICE, rp.request())
    assert 'name="remember"' in page.page.html
    credential = key.shown(page.page.options["challenge"])
    assert send(browser, page, credential, remember="yes").code
    again = browser.signed_in(ALICE, rp.request(prompt="login"))
    assert claims_of(rp, again)["amr"] == ["pwd"]


# Where passkeys are off --------------------------------------------------------------------------


def test_no_button_where_an_application_is_for_an_organisation_without_passkeys(
    sqlite_installation: Installation,
) -> None:
    policy(sqlite_installation, passkeys=False)
    browser = sqlite_installation.browser()
    rp = RelyingParty(sqlite_installation, A1)
    page = browser.authorize(rp.request())
    assert not page.page.options
    assert "webauthn" not in page.page.html
    page = browser.authorize(application(sqlite_installation).request())
    assert page.page.options


def test_a_passkey_of_an_organisation_without_passkeys_is_refused_like_any_other(
    sqlite_installation: Installation,
) -> None:
    key = give(sqlite_installation, ALICE)
    policy(sqlite_installation, passkeys=False)
    browser = sqlite_installation.browser()
    page = browser.authorize(application(sqlite_installation).request())
    refused = answer(browser, page, key)
    assert (refused.step, refused.page.is_alert) == ("passkey", True)
    unknown = Passkey(key.handle, key.rp_id, key.origin)
    other = answer(browser, refused, unknown)
    assert strip(other) == strip(refused)


def strip(outcome: Outcome) -> str:
    nonce = outcome.response.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    html = outcome.page.html.replace(nonce, "")
    return html.replace(outcome.page.options["challenge"], "")


def test_a_passkey_is_no_second_factor_where_policy_wants_another(
    sqlite_installation: Installation,
) -> None:
    rp, browser = application(sqlite_installation), sqlite_installation.browser()
    assert browser.signed_in(ALICE, rp.request()).code
    key = give(sqlite_installation, ALICE)
    policy(sqlite_installation, factors=["otp"], passkeys=False)
    sqlite_installation.sql(
        "INSERT INTO authenticators (id, user_id, name, sealed_secret, last_step, created_at)"
        " VALUES ('x', :id, 'app', :secret, 0, 0)",
        id=sqlite_installation.sub(ALICE),
        secret=b"",
    )
    page = browser.get("/authorize", rp.request(acr_values=assurance.MULTIPLE))
    visit = page.location.rpartition("/")[2]
    token = browser_token(browser, visit)
    challenge = "A" * 43
    sent = browser.post(
        f"/login/{visit}/passkey",
        {"csrf": token, "credential": json.dumps(key.shown(challenge))},
    )
    assert not sent.location.endswith("/passkey")
    assert sqlite_installation.sql("SELECT methods FROM sessions") == [{"methods": "pwd"}]


def browser_token(browser: Browser, visit: str) -> str:
    services = browser.installation.services
    secret = browser.cookies()["__Host-sekisho-browser"]
    return hmac.digest(services.csrf_key, f"{visit}\0{secret}".encode(), "sha256").hex()


# BF-19 -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attack:
    """What somebody has in hand who attacks Alice's sign-in."""

    installation: Installation
    browser: Browser
    page: Outcome
    key: Passkey
    """Alice's own; its counter stands at 5."""

    @property
    def challenge(self) -> str:
        challenge: str = self.page.page.options["challenge"]
        return challenge

    def shown(self, challenge: str | None = None, **bent: Any) -> Credential:
        return self.key.shown(self.challenge if challenge is None else challenge, **bent)


def _of_another_visit(attack: Attack) -> Credential:
    other = attack.installation.browser()
    page = other.authorize(application(attack.installation).request())
    return attack.shown(page.page.options["challenge"])


def _of_a_registration(attack: Attack) -> Credential:
    """A challenge that is right but for its purpose."""
    visit = attack.page.path.split("/")[2]
    services = attack.installation.services
    asked = Challenge(Purpose.REGISTER, f"{visit}:0")
    return attack.shown(to_text(asked.issue(services, services.clock.now())))


def _of_bella(attack: Attack) -> Credential:
    """Bella's key, saying that it is Alice's."""
    return give(attack.installation, BELLA).shown(attack.challenge, handle=attack.key.handle)


def _signed_by_another_key(attack: Attack) -> Credential:
    other = give(attack.installation, BELLA)
    return attack.shown(signed_by=other.key)


def _of_a_removed_key(attack: Attack) -> Credential:
    attack.installation.sql("DELETE FROM passkeys")
    return attack.shown()


def _of_somebody_disabled(attack: Attack) -> Credential:
    attack.installation.sql("UPDATE users SET disabled_at = 1")
    return attack.shown()


def _of_a_disabled_organization(attack: Attack) -> Credential:
    attack.installation.sql("UPDATE organizations SET disabled_at = 1")
    return attack.shown()


def _late(attack: Attack) -> Credential:
    attack.installation.pass_time(seconds=300)
    return attack.shown()


def _with(**members: Any) -> Forge:
    def forge(attack: Attack) -> Credential:
        credential = dict(attack.shown())
        response = dict(credential["response"])
        for name, value in members.items():
            (response if name in response else credential)[name] = value
        return {**credential, "response": response}

    return forge


def _bent(**bent: Any) -> Forge:
    return lambda attack: attack.shown(**bent)


def _raw(text: str) -> Forge:
    return lambda _: text


ATTACKS: dict[str, Forge] = {
    "challenge of another visit": _of_another_visit,
    "challenge of a registration": _of_a_registration,
    "challenge of nobody": lambda attack: attack.shown("A" * 43),
    "no challenge": lambda attack: attack.shown(""),
    "too late": _late,
    "another origin": _bent(origin="https://id.example.test.evil.example"),
    "another port": _bent(origin="https://id.example.test:444"),
    "another scheme": _bent(origin="http://id.example.test"),
    "another host": _bent(rp_id="example.test"),
    "type create": _bent(type_=CREATE),
    "type of nothing": _bent(type_=""),
    "cross origin": _bent(cross_origin=True),
    "cross origin, as text": _bent(cross_origin="false"),
    "nobody there": _bent(flags=UV),
    "nobody verified": _bent(flags=UP),
    "no flags": _bent(flags=0),
    "backed up but not to be": _bent(flags=UP | UV | BS),
    "key of somebody else": _of_bella,
    "signed by another key": _signed_by_another_key,
    "handle of somebody else": _bent(handle=b"0" * 32),
    "no handle": _bent(has_handle=False),
    "lower counter": _bent(count=4),
    "same counter": _bent(count=5),
    "counter back at zero": _bent(count=0),
    "removed key": _of_a_removed_key,
    "disabled": _of_somebody_disabled,
    "organisation disabled": _of_a_disabled_organization,
    "nothing": _raw(""),
    "no JSON": _raw("{"),
    "a list": _raw("[]"),
    "deep JSON": _raw("[" * 9000),
    "deep object": _raw('{"id":' * 2500),
    "a long number": _raw('{"id": %s}' % ("9" * 9000)),
    "huge": _raw("A" * 40_000),
    "half a letter": _raw(r'{"id":"\ud800","rawId":"\ud800","type":"public-key","response":{}}'),
    "no signature": _with(signature=""),
    "signature that is no base64": _with(signature="%%%"),
    "signature of half letters": _with(signature="\ud800"),
    "handle that is no base64": _with(userHandle="é"),
    "handle that is a number": _with(userHandle=7),
    "client data that are no JSON": _with(clientDataJSON=to_text(b"\xff{")),
    "client data that are deep": _with(clientDataJSON=to_text(b"[" * 9000)),
    "client data that are a list": _with(clientDataJSON=to_text(b"[]")),
    "a challenge that is a number": _with(
        clientDataJSON=to_text(b'{"type":"webauthn.get","challenge":1,"origin":"x"}')
    ),
    "no authenticator data": _with(authenticatorData=""),
    "short authenticator data": _with(authenticatorData=to_text(b"\0" * 36)),
    "attested data that are no CBOR": _with(authenticatorData=to_text(b"\0" * 32 + b"\xff" * 64)),
    "another raw id": _with(rawId="AAAA"),
    "another id": _with(id="AAAA"),
    "another type": _with(type="password"),
}


@pytest.fixture
def attack(sqlite_installation: Installation) -> Attack:
    key = give(sqlite_installation, ALICE, is_synced=False)
    browser = sqlite_installation.browser()
    rp = application(sqlite_installation)
    key.count = 4
    assert answer(browser, browser.authorize(rp.request()), key).code
    browser = sqlite_installation.browser()
    key.count = 9
    return Attack(sqlite_installation, browser, browser.authorize(rp.request()), key)


# BF-19
@pytest.mark.parametrize("forge", ATTACKS.values(), ids=ATTACKS)
def test_a_forged_answer_proves_nothing_and_uses_up_the_challenge(
    attack: Attack, forge: Forge
) -> None:
    sessions = attack.installation.sql("SELECT id FROM sessions")
    refused = send(attack.browser, attack.page, forge(attack))
    assert (refused.status, refused.step, refused.page.is_alert) == (200, "passkey", True)
    # Right in every part, but to a question that was answered.
    late = send(attack.browser, attack.page, attack.shown())
    assert (late.step, late.page.is_alert) == ("passkey", True)
    assert attack.installation.sql("SELECT id FROM sessions") == sessions
    assert attack.installation.events()[-2:] == ["login.failed", "login.failed"]


# BF-19
def test_an_answer_works_once(attack: Attack) -> None:
    attack.key.is_synced = True
    attack.installation.sql("UPDATE passkeys SET sign_count = 0")
    shown = attack.shown(count=0)
    assert send(attack.browser, attack.page, shown).code
    again = send(attack.browser, attack.page, shown)
    assert again.status == 400
    page = attack.browser.authorize(application(attack.installation).request(prompt="login"))
    page = attack.browser.follow(attack.browser.get(passkey_path(page)))
    replayed = send(attack.browser, page, shown)
    assert (replayed.step, replayed.page.is_alert) == ("passkey", True)


def test_after_a_refusal_the_new_question_can_be_answered(attack: Attack) -> None:
    refused = send(attack.browser, attack.page, "{")
    assert refused.page.options["challenge"] != attack.challenge
    assert answer(attack.browser, refused, attack.key).code


# BF-19
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(attack: Attack) -> None:
    assert send(attack.browser, attack.page, "A" * 70_000).status == 413


# BF-19
@pytest.mark.parametrize("says_alice", [True, False])
def test_a_key_of_somebody_else_is_no_second_factor(
    sqlite_installation: Installation, says_alice: bool
) -> None:
    bellas = give(sqlite_installation, BELLA)
    alices = give(sqlite_installation, ALICE)
    browser, page = second_factor(sqlite_installation)
    handle = alices.handle if says_alice else bellas.handle
    refused = answer(browser, page, bellas, handle=handle)
    assert (refused.step, refused.page.is_alert) == ("passkey", True)
    refused = answer(browser, refused, replace(alices, key=bellas.key))
    assert (refused.step, refused.page.is_alert) == ("passkey", True)
    assert sqlite_installation.sql("SELECT id FROM sessions") == []
    assert answer(browser, refused, alices).code


# BF-19
def test_the_audit_knows_why_and_the_page_does_not(attack: Attack) -> None:
    send(attack.browser, attack.page, attack.shown(count=4))
    row = attack.installation.sql("SELECT * FROM audit ORDER BY id DESC LIMIT 1")[0]
    assert row["user_id"] == attack.installation.sub(ALICE)
    assert json.loads(row["details"]) == {"method": "passkey", "reason": "counter"}


# BF-19
def test_of_parallel_answers_to_one_question_one_is_judged(installation: Installation) -> None:
    key = give(installation, ALICE, is_synced=False)
    browser = installation.browser()
    page = browser.authorize(application(installation).request())
    shown = json.dumps(key.shown(page.page.options["challenge"]))
    start = threading.Barrier(6)

    def post(_: int) -> None:
        tab = installation.browser()
        for name, value in browser.cookies().items():
            tab.client.set_cookie(name, value, domain="id.example.test", secure=True)
        start.wait()
        tab.post(passkey_path(page), {"csrf": page.page.fields["csrf"], "credential": shown})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(post, range(6)))
    # A second one whose challenge was good would have failed by its counter, the first one's.
    failed = installation.sql("SELECT details FROM audit WHERE event = 'login.failed'")
    assert "counter" not in str(failed)
    [used] = installation.sql("SELECT sign_count FROM passkeys")
    assert used["sign_count"] == 1


# BF-19
def test_a_question_is_used_up_once(installation: Installation) -> None:
    now = installation.services.clock.now()
    started = interactions.start(
        installation.services.state,
        browser="00",
        parameters={},
        now=now,
        lifetime=timedelta(minutes=30),
    )
    start = threading.Barrier(6)

    def use_up(_: int) -> Interaction | None:
        with installation.app.test_request_context("/"):
            start.wait()
            return challenges.use_up(started, Step.PASSKEY)

    with ThreadPoolExecutor(6) as pool:
        [used] = [one for one in pool.map(use_up, range(6)) if one is not None]
    asked, answered = (challenges.challenge(one, Step.PASSKEY) for one in (started, used))
    given = asked.issue(installation.services, now)
    assert asked.matches(installation.services, given, now)
    assert not answered.matches(installation.services, given, now)
    assert challenges.challenge(used, Step.ENROL_PASSKEY).bound_to == asked.bound_to


# BF-19
def test_of_parallel_answers_with_one_counter_one_is_good(installation: Installation) -> None:
    key = give(installation, ALICE, is_synced=False)
    start = threading.Barrier(4)

    def sign_in(_: int) -> bool:
        browser = installation.browser()
        page = browser.authorize(application(installation).request())
        shown = key.shown(page.page.options["challenge"], count=7)
        start.wait()
        return not send(browser, page, shown).is_page

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(sign_in, range(4))) == [False, False, False, True]


# WB-01
def test_a_form_of_another_site_uses_nothing_up(attack: Attack) -> None:
    sent = {"csrf": "0" * 64, "credential": "{"}
    assert attack.browser.post(passkey_path(attack.page), sent).status_code == 403
    assert answer(attack.browser, attack.page, attack.key).code


def test_flags_say_what_was_there() -> None:
    assert (UP, UV, BE, BS) == (1, 4, 8, 16)  # WebAuthn Level 3, 6.1
