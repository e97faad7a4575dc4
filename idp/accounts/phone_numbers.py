"""Phone numbers: one spelling (E.164), and which ones a text message may go to. Pure.

Owns reading what people type, countries and their names, and how a number is shown. The tables of
the library are large, so they are loaded only when somebody types a number.
Sources: ITU-T E.164; libphonenumber; OWASP ASVS 5.0, 2.4.1 (numbers that cost money).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from babel import Locale

from idp.errors import Refused

EVERYWHERE = "*"
COMMON = ("JP", "US", "CN", "KR", "TW", "HK", "SG", "TH", "VN", "PH", "IN", "GB", "DE", "FR", "AU")
"""Those that most people here are looking for, in this order."""
LONGEST = 40


@dataclass(frozen=True, slots=True)
class Country:
    code: str
    """ISO 3166-1: `JP`."""
    name: str
    """In the reader's language, with its calling code: `日本 (+81)`."""


def parse(typed: str, country: str, allowed: Sequence[str]) -> str:
    """A mobile number in one of the `allowed` countries, as `+819012345678`.

    `country`: where a number is dialled that begins with no country code. Raises Refused, with the
    member `country` for one that no messages go to, else `phone`.
    """
    import phonenumbers as library

    text = unicodedata.normalize("NFKC", typed).replace("ー", "-")
    try:
        number = library.parse(text, country) if len(text) <= LONGEST else None
    except library.NumberParseException as error:
        raise Refused("this is no phone number", member="phone") from error
    if number is None or number.country_code is None or number.extension:
        raise Refused("this is no phone number", member="phone")
    regions = library.region_codes_for_country_code(number.country_code)
    region = library.region_code_for_number(number)
    if region is None and len(regions) == 1:
        region = regions[0]
    if region is None or not _is_allowed(region, allowed):
        # A country that is served, and a number in it that is nobody's, are the number's fault.
        served = region is None and any(_is_allowed(other, allowed) for other in regions)
        raise Refused("no messages go to this country", member="phone" if served else "country")
    mobile = library.PhoneNumberType
    is_mobile = library.number_type(number) in (
        mobile.MOBILE,
        mobile.FIXED_LINE_OR_MOBILE,
        # Given out later than these tables were made, and as long as others.
        mobile.UNKNOWN,
    )
    if not is_mobile or not library.is_possible_number_for_type(number, mobile.MOBILE):
        raise Refused("this is no mobile number", member="phone")
    return library.format_number(number, library.PhoneNumberFormat.E164)


def _is_allowed(region: str, allowed: Sequence[str]) -> bool:
    return region in allowed or EVERYWHERE in allowed


def countries(language: str, allowed: Sequence[str]) -> tuple[list[Country], list[Country]]:
    """The countries that a form offers: the common ones, and all of them by name."""
    import phonenumbers as library

    names = Locale(language).territories
    codes = [code for code in library.SUPPORTED_REGIONS if _is_allowed(code, allowed)]
    found = {
        code: Country(code, f"{names[code]} (+{library.country_code_for_region(code)})")
        for code in codes
    }
    everything = sorted(found.values(), key=lambda country: country.name)
    return [found[code] for code in COMMON if code in found], everything


def masked(number: str) -> str:
    """A number as its owner recognises it and nobody else can use it: `•••5678`."""
    return "•••" + number[-4:]


def prefix(number: str) -> str:
    """The block of numbers that it belongs to: country and the beginning, seven digits."""
    return number[:8]
