from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import import_key

from keys.sealing import SealBroken
from keys.signing_key import (
    ALGORITHMS,
    Phase,
    SigningKey,
    due_for_rotation,
    generate,
    phase,
    published,
    removable,
    seal_context,
    signing,
    thumbprint,
)
from tests.keys.factories import DAY, HOUR, NOW, a_key, a_sealer

KEEP = timedelta(days=30)
ORDER = list(Phase)


def a_row(
    generation: int, *, signs_from: datetime = NOW, withdrawn_at: datetime | None = None
) -> SigningKey:
    """A key without key material: the rules look at times only."""
    return SigningKey(
        kid=f"k{generation}",
        alg="ES256",
        generation=generation,
        created_at=NOW,
        signs_from=signs_from,
        withdrawn_at=withdrawn_at,
        public_jwk={},
        sealed_private=b"",
    )


hours = st.integers(min_value=-100, max_value=1500).map(lambda n: NOW + n * HOUR)


@st.composite
def histories(draw: st.DrawFn) -> list[SigningKey]:
    """Any stored rows, also such as only skewed clocks or crashes could leave."""
    count = draw(st.integers(min_value=1, max_value=5))
    return [
        a_row(n + 1, signs_from=draw(hours), withdrawn_at=draw(st.none() | hours))
        for n in range(count)
    ]


@given(histories(), hours)
def test_at_every_instant_exactly_one_key_signs_unless_all_that_could_are_withdrawn(
    keys: list[SigningKey], now: datetime
) -> None:
    signers = [key for key in keys if phase(key, keys, now, KEEP) is Phase.SIGNING]
    signer = signing(keys, "ES256", now)
    assert signers == ([signer] if signer else [])
    if keys[-1].withdrawn_at is None:
        assert len(signers) == 1


@given(histories(), hours)
def test_the_order_in_which_rows_are_read_does_not_matter(
    keys: list[SigningKey], now: datetime
) -> None:
    assert signing(reversed(keys), "ES256", now) == signing(keys, "ES256", now)
    assert published(reversed(keys), now, KEEP) == published(keys, now, KEEP)


@given(histories(), hours, hours)
def test_a_key_never_goes_back_to_an_earlier_phase(
    keys: list[SigningKey], one: datetime, other: datetime
) -> None:
    earlier, later = sorted((one, other))
    for key in keys:
        before = ORDER.index(phase(key, keys, earlier, KEEP))
        assert ORDER.index(phase(key, keys, later, KEEP)) >= before


@given(histories(), hours)
def test_a_withdrawn_key_neither_signs_nor_is_published(
    keys: list[SigningKey], now: datetime
) -> None:
    withdrawn = {key.kid for key in keys if key.withdrawn_at is not None}
    signer = signing(keys, "ES256", now)
    assert signer is None or signer.kid not in withdrawn
    assert withdrawn.isdisjoint(key.kid for key in published(keys, now, KEEP))


@given(histories(), hours)
def test_the_signing_key_is_always_published(keys: list[SigningKey], now: datetime) -> None:
    signer = signing(keys, "ES256", now)
    assert signer is None or signer in published(keys, now, KEEP)


@given(histories(), hours, hours)
def test_removing_rows_changes_nothing_that_anybody_can_see(
    keys: list[SigningKey], one: datetime, other: datetime
) -> None:
    now, later = sorted((one, other))
    gone = removable(keys, now, KEEP)
    rest = [key for key in keys if key not in gone]
    assert keys[-1] in rest
    assert signing(rest, "ES256", later) == signing(keys, "ES256", later)
    assert published(rest, later, KEEP) == published(keys, later, KEEP)


@given(histories(), hours)
def test_withdrawing_the_signing_key_hands_over_to_the_next_generation_at_once(
    keys: list[SigningKey], now: datetime
) -> None:
    signer = signing(keys, "ES256", now)
    if signer is None:
        return
    after = [replace(key, withdrawn_at=now) if key is signer else key for key in keys]
    ahead = [k for k in keys if k.generation > signer.generation and k.withdrawn_at is None]
    assert signing(after, "ES256", now) == (ahead[0] if ahead else None)


def test_a_key_is_announced_signs_verifies_and_is_gone() -> None:
    first, second = a_row(1), a_row(2, signs_from=NOW + DAY)
    third = a_row(3, signs_from=NOW + 90 * DAY)
    keys = [first, second, third]
    instant = timedelta(microseconds=1)
    seen = [
        phase(second, keys, at, KEEP)
        for at in (
            NOW,
            second.signs_from - instant,
            second.signs_from,
            third.signs_from - instant,
            third.signs_from,
            third.signs_from + KEEP - instant,
            third.signs_from + KEEP,
        )
    ]
    announced, signs, verifies, gone = ORDER
    assert seen == [announced, announced, signs, signs, verifies, verifies, gone]


def test_a_key_withdrawn_while_announced_leaves_the_current_one_signing() -> None:
    current, other = a_row(1), a_row(2, signs_from=NOW + DAY, withdrawn_at=NOW + HOUR)
    assert signing([current, other], "ES256", NOW + 2 * DAY) == current


def test_a_process_whose_clock_is_behind_signs_with_the_successor_of_a_withdrawn_key() -> None:
    old, current = a_row(1, signs_from=NOW - 90 * DAY), a_row(2, withdrawn_at=NOW)
    successor = a_row(3, signs_from=NOW)
    behind = NOW - timedelta(seconds=5)
    assert signing([old, replace(current, signs_from=NOW - DAY), successor], "ES256", behind) == (
        successor
    )


def test_algorithms_do_not_see_each_other() -> None:
    elliptic, rsa = a_row(1), replace(a_row(2), alg="RS256", kid="r2")
    assert signing([elliptic, rsa], "ES256", NOW) == elliptic
    assert signing([elliptic, rsa], "RS256", NOW) == rsa
    assert signing([elliptic, rsa], "EdDSA", NOW) is None
    assert published([elliptic, rsa], NOW, KEEP) == [rsa, elliptic]


@pytest.mark.parametrize(
    ("age", "due"), [(88 * DAY, False), (89 * DAY, True), (90 * DAY, True), (900 * DAY, True)]
)
def test_the_next_key_is_due_one_announcement_before_the_current_one_is_old(
    age: timedelta, due: bool
) -> None:
    found = due_for_rotation([a_row(1)], "ES256", NOW + age, rotate_every=90 * DAY, announce=DAY)
    assert found is due


def test_no_key_is_due_while_one_is_announced_or_where_none_signs() -> None:
    announced = [a_row(1), a_row(2, signs_from=NOW + 91 * DAY)]
    for keys in (announced, [], [a_row(1, withdrawn_at=NOW)]):
        assert not due_for_rotation(
            keys, "ES256", NOW + 90 * DAY, rotate_every=90 * DAY, announce=DAY
        )


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_made_key_has_public_members_only_and_a_private_part_that_fits(alg: str) -> None:
    key = a_key(3, alg=alg, signs_from=NOW + DAY)
    names = {"RS256": "kty n e", "ES256": "kty crv x y", "EdDSA": "kty crv x"}[alg].split()
    assert set(key.public_jwk) == {*names, "kid", "alg", "use"}
    assert (key.public_jwk["kid"], key.public_jwk["alg"]) == (key.kid, alg)
    assert key.public_jwk["use"] == "sig"
    der = a_sealer().open(key.sealed_private, context=seal_context(key.kid))
    private = import_key(der, "EC" if alg == "ES256" else "RSA" if alg == "RS256" else "OKP")
    public = private.as_dict(private=False)
    assert {name: public[name] for name in names} == {n: key.public_jwk[n] for n in names}
    assert private.thumbprint() == key.kid


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS"
        "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    found = thumbprint({"kty": "RSA", "e": "AQAB", "n": modulus})
    assert found == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


# ID-09
def test_private_parts_swapped_between_two_rows_do_not_open() -> None:
    one, other = a_key(1), a_key(2)
    with pytest.raises(SealBroken):
        a_sealer().open(other.sealed_private, context=seal_context(one.kid))


def test_a_key_shows_no_private_part_even_sealed() -> None:
    key = a_key()
    assert "sealed_private" not in repr(key)


@pytest.mark.parametrize("alg", ["none", "HS256", "rs256", "RS512", "Ed25519", ""])
def test_no_key_is_made_for_another_algorithm(alg: str) -> None:
    with pytest.raises(ValueError, match="no signing key"):
        generate(alg, generation=1, now=NOW, signs_from=NOW, sealer=a_sealer())
