"""Phone numbers: one spelling, mobile, in countries that are served."""

import pytest

from idp.accounts.phone_numbers import COMMON, countries, masked, parse, prefix
from idp.errors import Refused

HERE = ("JP",)


@pytest.mark.parametrize(
    ("typed", "country", "allowed", "number"),
    [
        ("090-1234-5678", "JP", HERE, "+819012345678"),
        ("09012345678", "JP", HERE, "+819012345678"),
        ("０９０－１２３４－５６７８", "JP", HERE, "+819012345678"),
        ("０９０ー１２３４ー５６７８", "JP", HERE, "+819012345678"),
        (" 090 1234 5678 ", "JP", HERE, "+819012345678"),
        ("(090)1234-5678", "JP", HERE, "+819012345678"),
        ("+81 90 1234 5678", "JP", HERE, "+819012345678"),
        ("+81 (0)90-1234-5678", "JP", HERE, "+819012345678"),
        ("010 81 90 1234 5678", "JP", HERE, "+819012345678"),
        ("080-1234-5678", "JP", HERE, "+818012345678"),
        ("070-1234-5678", "JP", HERE, "+817012345678"),
        ("201-555-0123", "US", ("US",), "+12015550123"),
        ("+81 90 1234 5678", "US", ("US", "JP"), "+819012345678"),
        ("+33 6 12 34 56 78", "JP", ("*",), "+33612345678"),
    ],
)
def test_a_mobile_number_is_read_however_it_is_written(
    typed: str, country: str, allowed: tuple[str, ...], number: str
) -> None:
    assert parse(typed, country, allowed) == number


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "abc",
        "12",
        "110",
        "03-1234-5678",  # a line at home
        "0120-123-456",  # free of charge
        "0990-123-456",  # paid by who calls
        "050-1234-5678",  # over the internet
        "020-4123-4567",  # a pager
        "0570-012-345",
        "090-1234-567",
        "090-1234-56789",
        "090-1234-5678;ext=5",
        "090-1234-5678 x12",
        "090-1234-5678,080-1234-5678",
        "+819012345678" * 5,
        "９" * 41,
        "0\x00901234567",
    ],
    ids=ascii,
)
def test_what_no_text_message_reaches_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(typed, "JP", HERE)
    assert refused.value.member == "phone"


# BF-14
@pytest.mark.parametrize(
    "typed",
    [
        "+1 201 555 0123",
        "+1 900 555 0123",  # paid by who is called
        "+1 473 403 1234",  # an island that shares a country code
        "+44 7400 123456",
        "+44 909 879 0123",
        "+882 16 123456",  # networks of no country
        "+870 773 123456",  # satellites
        "+979 123456789",  # paid by who calls, anywhere
        "+7 912 345 67 89",
    ],
)
def test_other_countries_and_networks_of_none_are_refused(typed: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(typed, "JP", HERE)
    assert refused.value.member == "country"


# BF-14
@pytest.mark.parametrize("typed", ["+1 473 403 1234", "+1 876 210 1234", "+1 900 555 0123"])
def test_islands_are_not_served_because_their_neighbour_is(typed: str) -> None:
    with pytest.raises(Refused):
        parse(typed, "US", ("US",))


def test_a_form_offers_the_common_countries_and_then_all_by_name() -> None:
    common, everything = countries("ja", ("*",))
    assert [country.code for country in common] == list(COMMON)
    assert common[0].name == "日本 (+81)"
    assert len(everything) > 200
    names = [country.name for country in countries("en", ("*",))[1]]
    assert names == sorted(names)
    assert "United States (+1)" in names


def test_a_form_offers_only_what_is_served() -> None:
    common, everything = countries("en", ("JP", "NO"))
    assert [country.code for country in common] == ["JP"]
    assert [country.name for country in everything] == ["Japan (+81)", "Norway (+47)"]


def test_a_shown_number_is_of_no_use() -> None:
    assert masked("+819012345678") == "•••5678"
    assert prefix("+819012345678") == prefix("+819012399999") == "+8190123"
