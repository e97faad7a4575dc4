"""Languages: everything that people read exists in Japanese and in English."""

import configparser
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog as PoCatalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from idp import i18n
from tests.support.kit import C1, Installation, RelyingParty

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%[sd]")
# What may stay in Latin letters in Japanese.
SAME_IN_BOTH = {"%(org)s: %(title)s"}  # Made of texts that have translations of their own.


@cache
def used() -> dict[str, str]:
    """Every text in templates and code, with where it is used."""
    config = configparser.ConfigParser()
    config.read(ROOT / "templates" / "translations" / "babel.cfg")
    methods = [
        (pattern, kind) for kind, pattern in (section.split(": ") for section in config.sections())
    ]
    keywords: dict[str, Any] = {
        "_": None,
        "gettext": None,
        "lazy_gettext": None,
        "ngettext": (1, 2),
    }
    texts: dict[str, str] = {}
    for folder in ("idp", "flows", "federation", "templates"):
        below = [(pattern.removeprefix(f"{folder}/"), kind) for pattern, kind in methods]
        found = extract_from_dir(ROOT / folder, below, keywords=keywords)
        for path, line, message, _comments, _context in found:
            texts[first(message)] = f"{folder}/{path}:{line}"
    return texts


@cache
def japanese() -> PoCatalog:
    path = ROOT / "templates/translations/ja/LC_MESSAGES/messages.po"
    with path.open("rb") as file:
        return read_po(file, locale="ja")


def translations() -> dict[str, str]:
    """The Japanese text of every English one; of several forms the first."""
    return {first(entry.id): first(entry.string) for entry in japanese() if entry.id}


def first(text: str | tuple[str, ...] | list[str] | None) -> str:
    if text is None or isinstance(text, str):
        return text or ""
    return text[0]


def test_texts_are_found_in_code_and_templates() -> None:
    places = {place.partition("/")[0] for place in used().values()}
    assert places == {"idp", "flows", "templates"}
    assert len(used()) > 60


def test_every_text_has_a_japanese_translation() -> None:
    known = translations()
    assert {text: place for text, place in used().items() if not known.get(text)} == {}


def test_no_translation_is_unused() -> None:
    assert sorted(set(translations()) - set(used())) == []
    assert list(japanese().obsolete) == []


def test_no_translation_is_a_guess() -> None:
    assert [entry.id for entry in japanese() if entry.id and entry.fuzzy] == []


def test_placeholders_agree() -> None:
    wrong = {
        text: translated
        for text, translated in translations().items()
        if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(translated))
        or len(PLACEHOLDER.findall(text)) != translated.count("%") - 2 * translated.count("%%")
    }
    assert wrong == {}


def test_japanese_is_japanese() -> None:
    latin = {
        text: translated
        for text, translated in translations().items()
        if not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", translated) and text not in SAME_IN_BOTH
    }
    assert latin == {}


def test_japanese_uses_japanese_punctuation() -> None:
    odd = {
        text: translated
        for text, translated in translations().items()
        if re.search(r"[\u3040-\u9fff][,.!?:;](\s|$)", translated)
    }
    assert odd == {}


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        ([], "en"),
        (["ja"], "ja"),
        (["JA-jp"], "ja"),
        (["ja_JP"], "ja"),
        (["fr", "ja"], "ja"),
        (["", "  ", "fr"], "en"),
        (["jaa"], "en"),
        (["../../etc/passwd", "ja\0"], "en"),
    ],
)
def test_the_first_known_wish_counts(wishes: list[str], language: str) -> None:
    assert i18n.preferred(wishes, "en") == language


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", ("",)),
        ("ja", ("ja",)),
        ("en;q=0.5, ja", ("ja", "en")),
        ("fr, ja;q=0.9, en;q=0.8", ("fr", "ja", "en")),
        ("ja;q=0, en", ("en",)),
        ("ja;q=x, en", ("en",)),
        ("ja;q=nan, en", ("en",)),
        ("ja;q=-1, en", ("en",)),
    ],
)
def test_the_browser_s_wishes_are_read_in_their_order(
    header: str, accepted: tuple[str, ...]
) -> None:
    assert i18n.accepted(header) == accepted


# DS-06
def test_wishes_of_strangers_fill_no_memory() -> None:
    for number in range(2000):
        i18n.accepted(f"x-{number}")
        i18n.catalog(f"x-{number}")
    assert i18n.accepted.cache_info().currsize <= 256
    assert i18n.catalog.cache_info().currsize <= 2
    assert len(i18n.accepted("ja," * 100_000)) <= 100


@pytest.mark.parametrize(
    ("query", "header", "locales", "language"),
    [
        ({}, "", None, "en"),
        ({}, "ja", None, "ja"),
        ({}, "ja", "en", "en"),
        ({}, "en", "fr ja", "ja"),
        ({"lang": "ja"}, "en", "en", "ja"),
        ({"lang": "fr"}, "ja", None, "ja"),
        ({"lang": "../x"}, "", None, "en"),
    ],
)
def test_the_page_is_in_the_language_most_clearly_asked_for(
    sqlite_installation: Installation,
    query: dict[str, str],
    header: str,
    locales: str | None,
    language: str,
) -> None:
    browser = sqlite_installation.browser()
    application = RelyingParty(sqlite_installation, C1)
    start = browser.authorize(application.request(ui_locales=locales))
    page = browser.get(start.path, query, headers={"Accept-Language": header})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["Content-Language"] == language
