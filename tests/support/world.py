"""The people and applications of the tests, and filling an empty database with them.

Users: alice (member), adam (admin), olga (owner), bella (another organisation), dora (disabled),
fred (no password). Clients: C1 confidential, C2 confidential and posting its secret, C3 of a third
party (asks for consent), P1 public in a browser, N1 native, L1 exempt from PKCE, A1 for the
organisation A alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from idp.accounts import organizations, users
from idp.accounts.users import Role
from idp.oidc import clients
from idp.services import Services

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://id.example.test"
PASSWORD = "lantern harbour 42"


@dataclass(frozen=True, slots=True)
class Person:
    """A user; everybody has PASSWORD unless told otherwise."""

    email: str
    login_id: str
    name: str
    organization: str = "A"
    role: Role = Role.MEMBER
    profile: Mapping[str, Any] = field(default_factory=dict)
    has_password: bool = True
    is_disabled: bool = False


ALICE = Person(
    "alice@a.example",
    "alice",
    "Alice Hart",
    profile={
        "given_name": "Alice",
        "family_name": "Hart",
        "locale": "en",
        "phone_number": "+81 3 1234 5678",
        "address": {"country": "JP", "region": "Tokyo"},
        "name#ja-Kana-JP": "アリス ハート",
    },
)
ADAM = Person("adam@a.example", "adam", "Adam Field", role=Role.ADMIN)
OLGA = Person("olga@a.example", "olga", "Olga Marsh", role=Role.OWNER)
BELLA = Person("bella@b.example", "bella", "Bella Brook", organization="B")
DORA = Person("dora@a.example", "dora", "Dora Pond", is_disabled=True)
FRED = Person("fred@a.example", "fred", "Fred Moor", has_password=False)
PEOPLE = (ALICE, ADAM, OLGA, BELLA, DORA, FRED)


@dataclass(frozen=True, slots=True)
class Application:
    """A relying application as it is registered."""

    client_id: str
    redirect_uri: str
    secret: str | None = None
    auth_method: str = "client_secret_basic"
    organization: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, Any]:
        """What is given to `clients.register`."""
        kept = {"client_id": self.client_id, "redirect_uris": [self.redirect_uri]}
        if self.secret is not None:
            kept["client_secret"] = self.secret
        return {
            **kept,
            "client_name": f"Application {self.client_id}",
            "token_endpoint_auth_method": self.auth_method,
            **self.members,
        }


def _secret(of: str) -> str:
    return f"{of} has a secret of thirty-two letters"[:32]


C1 = Application(
    "c1",
    "https://c1.example.test/cb",
    _secret("c1"),
    members={
        "first_party": True,
        "post_logout_redirect_uris": ["https://c1.example.test/out"],
    },
)
C2 = Application(
    "c2",
    "https://c2.example.test/cb?tenant=7",
    _secret("c2"),
    "client_secret_post",
    members={"first_party": True, "id_token_signed_response_alg": "ES256"},
)
C3 = Application("c3", "https://c3.example.test/cb", _secret("c3"))
P1 = Application(
    "p1", "https://p1.example.test/cb", auth_method="none", members={"first_party": True}
)
N1 = Application(
    "n1",
    "http://127.0.0.1/cb",
    auth_method="none",
    members={
        "first_party": True,
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.n1:/cb"],
    },
)
L1 = Application(
    "l1",
    "https://l1.example.test/cb",
    _secret("l1"),
    members={"first_party": True, "require_pkce": False},
)
A1 = Application(
    "a1",
    "https://a1.example.test/cb",
    _secret("a1"),
    organization="A",
    members={"first_party": True},
)
APPLICATIONS = (C1, C2, C3, P1, N1, L1, A1)


def fill(services: Services) -> None:
    """Adds both organisations with everybody and everything above. Hashes one password."""
    now = services.clock.now()
    password_hash = services.passwords.hash(PASSWORD)
    with services.database.transaction() as session:
        named = {name: organizations.add(session, f"Organisation {name}", now=now) for name in "AB"}
        for person in PEOPLE:
            user = users.add(
                session,
                person.email,
                organization=named[person.organization],
                name=person.name,
                now=now,
                role=person.role,
                login_id=person.login_id,
                password_hash=password_hash if person.has_password else None,
                profile=dict(person.profile),
                email_verified=person is not ADAM,
            )
            user.disabled_at = now if person.is_disabled else None
        for application in APPLICATIONS:
            owner = named.get(application.organization or "")
            clients.register(
                session,
                application.metadata,
                actor="test",
                secret_key=services.client_secret_key,
                now=now,
                organization_id=owner.id if owner else None,
            )
