"""Claims about a user: what the scopes allow, and nothing that is the protocol's to say."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.accounts.claims import PROFILE_CLAIMS, about, check_profile
from idp.errors import Refused

NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
# ID-02
RESERVED = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "azp",
    "acr",
    "amr",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "typ",
    "events",
    "email",
    "email_verified",
    "phone_number_verified",
    "name",
    "preferred_username",
    "updated_at",
    "org",
    "org_id",
    "org_name",
    "roles",
    "groups",
    "scope",
    "client_id",
    "cnf",
    "act",
    "may_act",
    "_claim_names",
    "_claim_sources",
]


@dataclass(frozen=True)
class Row:
    """What the claims are made of."""

    name: str = "Alice Hart"
    login_id: str | None = "alice"
    email: str = "alice@a.example"
    email_verified_at: datetime | None = NOON
    role: str = "member"
    updated_at: datetime = NOON
    organization_id: str = "o1"
    organization_name: str = "Organisation A"
    profile: dict[str, Any] | None = field(
        default_factory=lambda: {
            "given_name": "Alice",
            "locale": "ja",
            "website": "",
            "phone_number": "+81 3 1234 5678",
            "address": {"country": "JP"},
            "name#ja-Kana-JP": "アリス ハート",
        }
    )


def test_without_a_scope_nothing_is_said() -> None:
    assert about(Row(), []) == about(Row(), ["openid"]) == about(Row(), ["unknown"]) == {}


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        (
            "profile",
            {
                "name": "Alice Hart",
                "preferred_username": "alice",
                "updated_at": int(NOON.timestamp()),
                "given_name": "Alice",
                "locale": "ja",
                "name#ja-Kana-JP": "アリス ハート",
            },
        ),
        ("email", {"email": "alice@a.example", "email_verified": True}),
        ("phone", {"phone_number": "+81 3 1234 5678", "phone_number_verified": False}),
        ("address", {"address": {"country": "JP"}}),
        ("org", {"org_id": "o1", "org_name": "Organisation A", "roles": ["member"]}),
    ],
)
def test_each_scope_allows_its_claims(scope: str, claims: dict[str, object]) -> None:
    assert about(Row(), [scope]) == claims


def test_claims_asked_for_by_name_are_said_alone() -> None:
    assert about(Row(), [], ["email_verified", "given_name"]) == {
        "email_verified": True,
        "given_name": "Alice",
    }


def test_what_is_not_known_is_left_out() -> None:
    row = Row(login_id=None, email_verified_at=None, profile=None)
    assert about(row, ["phone", "address"]) == {}
    assert about(row, ["email"]) == {"email": "alice@a.example", "email_verified": False}
    assert about(row, ["profile"])["preferred_username"] == "alice@a.example"


# ID-02
@pytest.mark.parametrize("name", RESERVED)
def test_what_the_protocol_or_we_say_is_refused_as_an_attribute(name: str) -> None:
    with pytest.raises(Refused) as refused:
        check_profile({name: "x"})
    assert refused.value.member == name


# ID-02
@pytest.mark.parametrize("name", RESERVED)
def test_even_an_attribute_that_got_in_is_never_said_for_us(name: str) -> None:
    row = Row(profile={name: "shadow"})
    scopes = ["openid", "profile", "email", "phone", "address", "org"]
    assert "shadow" not in about(row, scopes).values()


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"given_name": "Alice"},
        {"address": {"country": "JP", "region": "東京都"}},
        {"name#ja-Hani-JP": "愛", "family_name#ja-Kana-JP": "ハート"},
        {name: {} if kind is dict else "x" for name, kind in PROFILE_CLAIMS.items()},
    ],
)
def test_standard_attributes_may_be_stored(profile: dict[str, Any]) -> None:
    assert check_profile(profile) == profile


@pytest.mark.parametrize(
    "profile",
    [
        {"given_name": 7},
        {"given_name": None},
        {"given_name": ["Alice"]},
        {"given_name": "x" * 257},
        {"address": "Tokyo"},
        {"address": {"country": 81}},
        {"address": {"country": "x" * 257}},
        {"address": {"country": {"deep": "x"}}},
        {"name#ja-Evil-JP": "x"},
        {"email#ja-Kana-JP": "x"},
        {"sub#ja-Kana-JP": "x"},
        {"given_name#ja-Kana-JP\n": "x"},
        {"": "x"},
        {"x" * 10_000: "x"},
    ],
    ids=lambda profile: str(profile)[:40],
)
def test_what_does_not_fit_its_type_is_refused(profile: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        check_profile(profile)
    assert len(str(refused.value)) < 200


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300)))
def test_nothing_is_stored_under_a_name_of_ours(profile: dict[str, str]) -> None:
    try:
        kept = check_profile(profile)
    except Refused:
        return
    assert not set(kept) & set(RESERVED)
