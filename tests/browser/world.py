"""The server, the applications and the people of the browser tests, and tours of every page."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pyotp
from sqlalchemy import delete, select, update

from idp import notices, outbox, tickets
from idp.accounts import organizations, passkeys, policies, terms, users
from idp.accounts.attempts import Source
from idp.accounts.passkeys import NewKey
from idp.accounts.terms import Terms
from idp.accounts.totp import Authenticator
from idp.accounts.users import Action
from idp.outbox import OutboxRow
from idp.policy import Method
from idp.throttle import FailureRow
from idp.tickets import Purpose
from tests.support.pages import identify, sign_in
from tests.support.running import ORGANIZATION, PASSWORD, Installation, RegisteredClient
from tests.support.site import Reply, Site, page

if TYPE_CHECKING:
    from playwright.sync_api import Page

ALICE = "alice@example.com"
# Has a passkey, whose private half nobody has.
KEIKO = "keiko@example.com"
# Nobody's consent is ever kept for this one.
CAROL = "carol@example.com"
# Signs in with a mailed code.
DANA = "dana@example.com"
LONG = "konstantinopolitanischer.dudelsackpfeifenmacher@verwaltung.buero.example.com"
LONG_NAME = "株式会社さくら国際総合物流サービス東日本統括本部 経理部 山田 太郎左衛門之助"
VERIFIER = "a-verifier-of-forty-three-characters-at-least"
SETTINGS = {
    "SEKISHO_DEMO": "true",  # Its page of mails is one of the pages.
    "SEKISHO_SMS_COUNTRIES": "*",
    "SEKISHO_CONTACT_URL": "mailto:help@example.com",
    "SEKISHO_HELP_URL": "https://help.example.com/",
    "SEKISHO_TERMS_URL": "https://example.com/terms",
    "SEKISHO_PRIVACY_URL": "https://example.com/privacy",
}


@dataclass(frozen=True, slots=True)
class World:
    installation: Installation
    site: Site
    """The applications' pages; `/callback` is where they get their answers."""
    ours: RegisteredClient
    """Asks nobody for consent."""
    theirs: RegisteredClient
    """Has long names and links, and asks for consent."""

    @property
    def base_url(self) -> str:
        return self.installation.base_url

    @property
    def hosts(self) -> set[str]:
        """Whom a page may ask for anything."""
        return {urlsplit(self.base_url).netloc, urlsplit(self.site.origin).netloc}

    def authorize(self, client: RegisteredClient | None = None, **parameters: str) -> str:
        """An authorization request, of our own application when none is named."""
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        good = {
            "client_id": (client or self.ours).client_id,
            "redirect_uri": self.site.url("/callback"),
            "response_type": "code",
            "scope": "openid profile email phone address org",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.base_url}/authorize?{urlencode(good | parameters)}"

    def end_session(self) -> str:
        """A wish to sign out that proves nothing, so that the person is asked."""
        query = {
            "client_id": self.ours.client_id,
            "post_logout_redirect_uri": self.site.url("/goodbye"),
        }
        return f"{self.base_url}/end_session?{urlencode(query)}"

    @contextmanager
    def policy(self, **members: Any) -> Iterator[None]:
        """What the organisation asks of its people, for a while."""

        def change(changes: dict[str, Any]) -> None:
            with self.installation.services() as built, built.database.transaction() as session:
                policies.change(
                    session,
                    organizations.find(session, ORGANIZATION),
                    changes,
                    actor="test",
                    now=built.clock.now(),
                )

        change(members)
        try:
            yield
        finally:
            change(dict.fromkeys(members))

    def reset(self) -> None:
        """Forgets wrong passwords, which count against all tests' common address."""
        self.site.received.clear()
        self.site.answers = {
            "/callback": page("Signed in"),
            "/goodbye": page("Goodbye"),
            "/favicon.ico": Reply(status=204),
        }
        with self.installation.services() as built, built.database.transaction() as session:
            session.execute(delete(FailureRow))


def make_world(installation: Installation, site: Site) -> World:
    installation.add_users(ALICE, CAROL, KEIKO)
    _add_passkey(installation)
    installation.add_users(LONG, name=LONG_NAME)
    installation.add_users(DANA, name="Dana Field")
    with installation.services() as built, built.database.transaction() as session:
        session.execute(
            update(users.User)
            .where(users.User.email == DANA)
            .values(login_method=Method.EMAIL_CODE, password_hash=None)
        )
    redirect_uris = [site.url("/callback")]
    ours = installation.add_client(
        "Expenses",
        redirect_uris,
        first_party=True,
        post_logout_redirect_uris=[site.url("/goodbye")],
    )
    theirs = installation.add_client(
        "Sakura International Logistics, Travel Expenses and Invoices 24",
        redirect_uris,
        tos_uri="https://logistics.example.com/terms",
        policy_uri="https://logistics.example.com/privacy",
    )
    _send_mail(installation)
    return World(installation, site, ours, theirs)


def _add_passkey(installation: Installation) -> None:
    with installation.services() as built:
        passkeys.add(
            built,
            users.CREDENTIALS.one(built.database.reader, key=KEIKO),
            NewKey(b"a name", b"a key", 0, "internal", "", is_synced=True),
            name="Phone",
            source=Source("198.51.100.7", None, "", ""),
            now=built.clock.now(),
        )


def _send_mail(installation: Installation) -> None:
    with installation.services() as built, built.database.transaction() as session:
        now = built.clock.now()
        alice = users.CREDENTIALS.one(built.database.reader, key=ALICE)
        agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/140"
        notices.account_locked(
            notices.Notice(built, session, alice, now, "198.51.100.7", agent),
            until=now + timedelta(minutes=15),
            unlock_url=f"{installation.base_url}/unlock/{'x' * 43}",
            unlock_until=now + timedelta(hours=1),
        )


def with_second_factor(world: World, email: str, *factors: str) -> str:
    """A new person, of an organisation that demands one of these factors on new browsers."""
    rules = {"second_factor": "new_browser", "factors": list(factors)}
    with world.installation.services() as built, built.database.transaction() as session:
        now = built.clock.now()
        owner = organizations.add(session, f"さくら物流 {secrets.token_hex(2)}", now=now)
        policies.change(session, owner, rules, actor="test", now=now)
        users.add(
            session,
            email,
            organization=owner,
            name="Hanako Yamada",
            now=now,
            password_hash=built.passwords.hash(PASSWORD),
            email_verified=True,
        )
    return email


# The ways to the pages ---------------------------------------------------------------------------


def to_password(world: World, page: "Page", identifier: str) -> None:
    page.goto(world.authorize())
    identify(page, identifier)


def to_code(world: World, page: "Page", identifier: str = DANA) -> None:
    page.goto(world.authorize())
    page.fill("#identifier", identifier)
    page.click("#continue")
    page.wait_for_selector("#code")


def mailed_code(world: World) -> str:
    """The code of the newest mail, as it is written there."""
    with world.installation.services() as built, built.database.transaction() as session:
        newest = session.scalars(select(OutboxRow).order_by(OutboxRow.created_at.desc())).first()
        assert newest is not None
        text = outbox.open_payload(newest, built.sealer)["text"]
    [code] = re.findall(r"^    ([\d ]+)$", text, re.M)
    return str(code)


def to_accounts(world: World, page: "Page") -> None:
    """Two people are signed in, and the application wants a choice."""
    for email in (ALICE, LONG):
        page.goto(world.authorize(prompt="login"))
        if page.locator("#password").count():
            page.click(".chip a")
        sign_in(page, email)
        page.wait_for_selector("text=Signed in")
    page.goto(world.authorize(prompt="select_account"))
    page.wait_for_selector("#other-account")


def to_logout(world: World, page: "Page") -> None:
    page.goto(world.authorize())
    sign_in(page, LONG)
    page.wait_for_selector("text=Signed in")
    page.goto(world.end_session())


def sign_out(page: "Page") -> None:
    page.click("#continue")
    page.wait_for_selector("form", state="detached")


# Tours: each stops at pages, whose names it says ------------------------------------------------


def sign_in_tour(world: World, page: "Page") -> Iterator[str]:
    page.goto(world.authorize(world.theirs))
    yield "identifier"
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "identifier refused"
    identify(page, CAROL)
    yield "password"
    page.fill("#password", "not the password")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "password refused"
    page.fill("#password", PASSWORD)
    page.click("#continue")
    page.wait_for_selector("#deny")
    yield "consent"


def mailed_code_tour(world: World, page: "Page") -> Iterator[str]:
    to_code(world, page)
    yield "mailed code"
    page.fill("#code", "0000 0000")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "mailed code refused"
    with world.installation.services() as built, built.database.transaction() as session:
        user = users.find(session, DANA)
        users.require(session, user.id, Action.VERIFY_ADDRESS)
        user.login_method = Method.PASSWORD
        user.password_hash = users.find(session, ALICE).password_hash
    try:
        page.goto(world.authorize(prompt="login"))
        sign_in(page, DANA)
        page.wait_for_selector("#code")
        yield "address to verify"
    finally:
        with world.installation.services() as built, built.database.transaction() as session:
            user = users.find(session, DANA)
            users.is_done(session, user.id, Action.VERIFY_ADDRESS)
            user.login_method, user.password_hash = Method.EMAIL_CODE, None


def sign_out_tour(world: World, page: "Page") -> Iterator[str]:
    to_accounts(world, page)
    yield "accounts"
    page.goto(world.end_session())
    yield "sign out?"
    sign_out(page)
    yield "signed out"


def return_tour(world: World, page: "Page") -> Iterator[str]:
    # A browser stays where it is when the answer has no content.
    world.site.answers["/callback"] = Reply(status=204)
    to_password(world, page, LONG)
    yield "password, with a long address"
    page.fill("#password", PASSWORD)
    page.click("#continue")
    page.wait_for_selector("a#continue")
    yield "hand-over"
    page.goto(world.authorize(response_mode="form_post"), wait_until="commit")
    page.wait_for_selector("form#answer")
    yield "form post"


def factor_tour(world: World, page: "Page") -> Iterator[str]:
    email = with_second_factor(world, f"{secrets.token_hex(4)}.{LONG}", "passkey", "otp", "sms")
    page.goto(world.authorize())
    sign_in(page, email)
    page.wait_for_selector("[value=otp]")
    yield "kinds of second factors"
    page.click("[value=otp]")
    page.wait_for_selector(".qr svg")
    page.click("summary")
    yield "setting up an app"
    page.fill("#code", "000000")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "setting up refused"
    page.click("summary")
    secret = page.inner_text("#key").replace(" ", "")
    page.fill("#code", pyotp.TOTP(secret).now())
    page.click("#continue")
    page.wait_for_selector("#recovery")
    yield "recovery code"
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "recovery code not saved"
    page.check("#saved")
    page.click("#continue")
    page.wait_for_selector("text=Signed in")
    page.context.clear_cookies()
    page.goto(world.authorize())
    sign_in(page, email)
    page.wait_for_selector("#lost-device")
    yield "code of the app"
    page.fill("#code", "1234")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "code refused"
    page.click("#lost-device")
    page.wait_for_selector("#code.long")
    yield "lost device"


def passkey_tour(world: World, page: "Page") -> Iterator[str]:
    to_password(world, page, LONG)
    page.goto(page.url.replace("/password", "/passkey"))
    page.wait_for_selector("#continue")
    yield "passkey"
    page.evaluate("document.forms[0].submit()")
    page.wait_for_selector("[role=alert]")
    yield "passkey refused"
    page.click(".chip a")
    sign_in(page, KEIKO)
    page.wait_for_selector("#remember")
    yield "passkey, as the second factor"
    with world.policy(second_factor="always", factors=["passkey"]):
        page.context.clear_cookies()
        page.goto(world.authorize())
        sign_in(page, LONG)
        page.wait_for_selector("#name")
        yield "setting up a passkey"
        page.evaluate("document.forms[0].submit()")
        page.wait_for_selector("[role=alert]")
        yield "no passkey was set up"


def read_text_message(world: World, page: "Page") -> str:
    """The code of the newest text message, as its owner reads it: here on the demo's page."""
    phone = page.context.new_page()
    phone.goto(world.base_url + "/demo/mails")
    text = phone.locator("article pre").first.inner_text()
    phone.close()
    [code] = re.findall(r"(?<![0-9A-Z])[0-9A-Z]{6}(?![0-9A-Z])", text.splitlines()[0])
    return str(code)


def phone_tour(world: World, page: "Page") -> Iterator[str]:
    email = with_second_factor(world, f"{secrets.token_hex(4)}.{LONG}", "sms")
    page.goto(world.authorize())
    sign_in(page, email)
    page.wait_for_selector("#phone")
    yield "phone number"
    page.fill("#phone", "03-1234-5678")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "phone number refused"
    page.select_option("#country", "JP")
    page.fill("#phone", f"090{secrets.randbelow(10**8):08d}")
    page.click("#continue")
    page.wait_for_selector("#other-number")
    yield "code that proves the phone"
    page.fill("#code", read_text_message(world, page))
    page.click("#continue")
    page.wait_for_selector("#saved")
    page.check("#saved")
    page.click("#continue")
    page.wait_for_selector("text=Signed in")
    page.context.clear_cookies()
    page.goto(world.authorize())
    sign_in(page, email)
    page.wait_for_selector("#resend")
    yield "code of a text message"
    page.fill("#code", "AAAAAA")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "code of a text message refused"
    _reach_caps(world)
    page.context.clear_cookies()
    page.goto(world.authorize())
    sign_in(page, email)
    page.wait_for_selector("[name=resend]#continue")
    yield "no text messages now"


def _reach_caps(world: World) -> None:
    """As if all text messages of this day were sent."""
    with world.installation.services() as built, built.database.transaction() as session:
        session.execute(
            update(FailureRow)
            .where(FailureRow.bucket.startswith("sms:installation"))
            .values(failures=10**6)
        )


def due_tour(world: World, page: "Page") -> Iterator[str]:
    """What comes after the factors, and lifting a lock."""
    with world.installation.services() as built, built.database.transaction() as session:
        now = built.clock.now()
        user = users.find(session, LONG)
        users.require(session, user.id, Action.CHANGE_PASSWORD)
        text = f"# {LONG_NAME}\n\n| a | b |\n|---|---|\n| 1 | {LONG} |\n\n" + "1. x\n" * 40
        terms.publish(session, text, text, actor="test", now=now)
        secret = tickets.issue(
            session,
            Purpose.UNLOCK,
            user.id,
            bound_to=user.security_stamp,
            lifetime=timedelta(hours=1),
            now=now,
        )
    try:
        yield from _due_pages(world, page, secret)
    finally:
        with world.installation.services() as built, built.database.transaction() as session:
            users.is_done(session, user.id, Action.CHANGE_PASSWORD)
            session.execute(update(Terms).values(superseded_at=now))


def _due_pages(world: World, page: "Page", secret: str) -> Iterator[str]:
    page.goto(world.base_url + f"/unlock/{secret}")
    yield "lift the lock?"
    page.click("#continue")
    page.wait_for_selector("[role=status]")
    yield "lock lifted"
    page.goto(world.base_url + "/unlock")
    yield "dead link"
    page.goto(world.authorize(world.theirs))
    sign_in(page, LONG)
    page.wait_for_selector("#repeat")
    yield "change password"
    page.fill("#password", "short")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "change password refused"
    page.goto(world.authorize(world.theirs))
    page.wait_for_selector("#current")
    yield "change password, with the current one"
    with world.installation.services() as built, built.database.transaction() as session:
        users.is_done(session, users.find(session, LONG).id, Action.CHANGE_PASSWORD)
    page.goto(world.authorize(world.theirs))
    page.wait_for_selector("#decline")
    yield "terms"


def other_tour(world: World, page: "Page") -> Iterator[str]:
    page.goto(world.base_url + "/demo/mails")
    yield "mails of the demo"
    page.goto(world.authorize(client_id="nobody-knows-this-one"))
    yield "error"
    page.goto(world.base_url + "/nowhere")
    yield "not found"
    page.goto(world.base_url + "/login/no-such-interaction/identify")
    yield "expired"


def sign_out_everywhere(world: World, page: "Page") -> None:
    page.goto(world.end_session())
    sign_out(page)


def returning_tour(world: World, page: "Page") -> Iterator[str]:
    to_accounts(world, page)
    sign_out_everywhere(world, page)
    page.goto(world.authorize())
    yield "identifier, with accounts"
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "identifier refused, with accounts"
    page.goto(world.authorize(prompt="select_account"))
    yield "accounts that are signed out"


def set_up_app(page: "Page") -> str:
    """From the page with the picture to what comes after the recovery code; the app's secret."""
    page.wait_for_selector("#code")
    secret = page.locator("#key").evaluate("e => e.textContent").replace(" ", "")
    page.fill("#code", pyotp.TOTP(secret).now())
    page.click("#continue")
    page.wait_for_selector("#saved")
    page.check("#saved")
    page.click("#continue")
    return str(secret)


def account_tour(world: World, page: "Page") -> Iterator[str]:
    """Of somebody new each time, with a long name: what is set up stays."""
    email = f"{secrets.token_hex(4)}.{LONG}"
    world.installation.add_users(email, name=LONG_NAME)
    page.goto(world.base_url + "/account/security")
    sign_in(page, email)
    page.wait_for_selector("#browsers")
    yield "security, with nothing set up"
    page.click("button[value=otp]")
    secret = set_up_app(page)
    page.wait_for_selector("#renew")
    page.goto(world.authorize(prompt="login"))
    page.fill("#password", PASSWORD)
    page.click("#continue")
    page.wait_for_selector("#remember")
    page.click("#other-way")
    yield "another way, or the recovery code"
    let_a_minute_pass(world)
    page.click("#back")
    page.fill("#code", pyotp.TOTP(secret).now())
    page.check("#remember")
    page.click("#continue")
    page.wait_for_selector("text=Signed in")
    page.goto(world.base_url + "/account/security")
    yield "security, with an app and a remembered browser"
    page.click(".rows a")
    page.fill("#name", "")
    page.click("#continue")
    page.wait_for_selector("[role=alert]")
    yield "factor, its name refused"
    page.click("#back")
    page.click("#forget-all")
    page.wait_for_selector("[role=status]")
    yield "security, with what was done"


def let_a_minute_pass(world: World) -> None:
    """For the apps alone: the codes that were used are older than they are."""
    with world.installation.services() as built, built.database.transaction() as session:
        session.execute(update(Authenticator).values(last_step=Authenticator.last_step - 2))


TOURS: Mapping[str, Callable[[World, "Page"], Iterator[str]]] = {
    "signing in": sign_in_tour,
    "mailed codes": mailed_code_tour,
    "signing out": sign_out_tour,
    "returning": return_tour,
    "second factor": factor_tour,
    "passkeys": passkey_tour,
    "text messages": phone_tour,
    "coming again": returning_tour,
    "account": account_tour,
    "what is due": due_tour,
    "other pages": other_tour,
}
