"""What the demo's first start makes: keys, tables, an organisation, people, an application."""

from __future__ import annotations

import os
from dataclasses import dataclass

from idp import migrations, services
from idp.accounts import organizations, users
from idp.accounts.users import Role
from idp.cli.doctor import make_data_dir
from idp.errors import NotFound
from idp.oidc import clients
from idp.services import Services
from idp.settings import Settings
from keys.sealing import Sealer

ORGANIZATION = "さくら商事 (Sakura Trading)"
PASSWORD = "lantern harbour 42"
CLIENT_ID = "demo-application"


@dataclass(frozen=True, slots=True)
class Person:
    email: str
    login_id: str
    name: str
    role: Role
    profile: dict[str, str]


PEOPLE = (
    Person(
        "hanako@example.jp",
        "hanako",
        "佐藤 花子",
        Role.OWNER,
        {"locale": "ja", "given_name": "花子", "family_name": "佐藤"},
    ),
    Person(
        "taro@example.jp",
        "taro",
        "鈴木 太郎",
        Role.ADMIN,
        {"locale": "ja", "given_name": "太郎", "family_name": "鈴木"},
    ),
    Person(
        "alice@example.com",
        "alice",
        "Alice Hart",
        Role.MEMBER,
        {"locale": "en", "given_name": "Alice", "family_name": "Hart"},
    ),
    Person(
        "bob@example.com",
        "bob",
        "Bob Stone",
        Role.MEMBER,
        {"locale": "en", "given_name": "Bob", "family_name": "Stone"},
    ),
)


def prepare(settings: Settings, application_url: str) -> str:
    """Makes what is missing; returns the application's secret. Raises SettingsError."""
    make_data_dir(settings)
    _master_key(settings)
    migrations.upgrade(settings)
    built = services.build(settings)
    try:
        return _fill(built, application_url)
    finally:
        built.close()


def _master_key(settings: Settings) -> None:
    path = settings.data_dir / services.MASTER_KEY_FILE
    if settings.master_key or path.exists():
        return
    # Whole or not at all: a half-written key would lock the installation out of its own data.
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(Sealer.new_master_key_text() + "\n")
    temporary.replace(path)


def _fill(built: Services, application_url: str) -> str:
    # The same at every start, though only its hash is stored.
    secret = built.sealer.derive("secret of the demo application").hex()
    now = built.clock.now()
    with built.database.transaction() as session:
        clients.register(
            session,
            {
                "client_id": CLIENT_ID,
                "client_secret": secret,
                "client_name": "Demo application",
                "redirect_uris": [f"{application_url}/callback"],
                "post_logout_redirect_uris": [f"{application_url}/"],
            },
            actor="demo",
            secret_key=built.client_secret_key,
            now=now,
        )
        try:
            organization = organizations.find(session, ORGANIZATION)
        except NotFound:
            organization = organizations.add(session, ORGANIZATION, now=now)
            for person in PEOPLE:
                users.add(
                    session,
                    person.email,
                    organization=organization,
                    name=person.name,
                    now=now,
                    role=person.role,
                    login_id=person.login_id,
                    password_hash=built.passwords.hash(PASSWORD),
                    profile=dict(person.profile),
                    email_verified=True,
                )
    return secret
