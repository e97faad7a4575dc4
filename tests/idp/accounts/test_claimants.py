"""Whom somebody says to be: nobody can be told from somebody."""

from sqlalchemy import update

from idp.accounts import claimants
from idp.accounts.claimants import Claimant
from idp.accounts.users import User
from idp.policy import Method
from tests.support.kit import ALICE, BELLA, DORA, FRED, Installation


def meet(installation: Installation, identifier: str) -> Claimant:
    return claimants.meet(installation.services, identifier)


def test_every_spelling_of_an_identifier_is_the_same_person(installation: Installation) -> None:
    sub = installation.sub(ALICE)
    for spelling in ("alice", " ALICE ", "ａｌｉｃｅ", "alice@a.example", "Alice@A.Example"):
        met = meet(installation, spelling)
        assert (met.account, met.is_able) == (sub, True)


def test_who_was_switched_off_is_somebody_but_not_able(installation: Installation) -> None:
    met = meet(installation, DORA.email)
    assert met.user is not None and not met.is_able


# EN-05
def test_somebody_unknown_is_lent_the_organisation_of_their_domain(
    installation: Installation,
) -> None:
    for domain, organization in (("a.example", "Organisation A"), ("b.example", "Organisation B")):
        for name in ("nobody", "no.one", "x"):
            met = meet(installation, f"{name}@{domain}")
            assert met.user is None and not met.is_able
            assert met.organization_name == organization


# EN-01
def test_an_unknown_identifier_is_always_answered_alike(installation: Installation) -> None:
    for identifier in ("nobody", "nobody@a.example", "nobody@elsewhere.example"):
        first = meet(installation, identifier)
        assert meet(installation, f" {identifier.upper()}") == first


# EN-04
def test_methods_are_spread_over_the_unknown_as_over_the_known(
    sqlite_installation: Installation,
) -> None:
    with sqlite_installation.database() as session:
        for person in (ALICE, FRED):
            session.execute(
                update(User)
                .where(User.email == person.email)
                .values(login_method=Method.EMAIL_CODE)
            )
    seen = {
        meet(sqlite_installation, f"nobody{number}@a.example").login_method
        for number in range(2000)
    }
    assert seen == {Method.PASSWORD, Method.EMAIL_CODE}


def test_failures_of_nobody_have_a_name_of_their_own(installation: Installation) -> None:
    accounts = {meet(installation, f"nobody{n}@a.example").account for n in range(20)}
    assert len(accounts) == 20
    assert not accounts & {installation.sub(person) for person in (ALICE, BELLA)}


def test_in_an_empty_installation_everybody_is_asked_for_a_password(
    sqlite_installation: Installation,
) -> None:
    sqlite_installation.sql("DELETE FROM users")
    met = meet(sqlite_installation, "anybody@a.example")
    assert (met.login_method, met.organization_name) == (Method.PASSWORD, None)
