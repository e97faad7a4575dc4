"""Languages: which one this person reads, and the catalogue of it.

The English text is the key; `templates/translations/<language>/LC_MESSAGES/messages.po` is read
as it is at start, so no compiled file can be older than its source.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po

from idp.settings import LANGUAGES

NAMES = {"en": "English", "ja": "日本語"}


def templates_folder() -> Path:
    """Where the templates lie: beside this package in a source tree, inside it in a wheel."""
    here = Path(__file__).resolve().parent
    packed = here / "templates"
    return packed if packed.is_dir() else here.parent / "templates"


class Catalog:
    """Translations of one language. English is its own catalogue."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts: dict[str, Any] = {}
        path = templates_folder() / "translations" / language / "LC_MESSAGES" / "messages.po"
        if path.exists():
            with path.open("rb") as file:
                self._texts = {
                    message.id if isinstance(message.id, str) else message.id[0]: message.string
                    for message in read_po(file, locale=language)
                    if message.id and message.string
                }

    def gettext(self, text: str) -> str:
        found = self._texts.get(text, text)
        return found if isinstance(found, str) else str(found[0])

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        found = self._texts.get(singular)
        if found is None:
            return singular if number == 1 else plural
        # Japanese has one form; a language with more has them in the order of its rule.
        return found if isinstance(found, str) else str(found[0])

    def moment(self, at: datetime) -> str:
        """A date and time as people read it; UTC is said, because theirs is not known."""
        return format_datetime(at, "medium", locale=self.language) + " UTC"

    def day(self, at: datetime) -> str:
        """A date as people read it."""
        return format_date(at, "long", locale=self.language)


@lru_cache(maxsize=len(LANGUAGES))
def catalog(language: str) -> Catalog:
    return Catalog(language if language in LANGUAGES else "en")


def preferred(wishes: Iterable[str], default: str) -> str:
    """The first supported language of several wishes (`ja-JP`, `en;q=0.8`), else `default`.

    Only ever compared with our own list: a wish is input from anywhere.
    """
    for wish in wishes:
        language = wish.strip().lower().replace("_", "-").partition("-")[0]
        if language in LANGUAGES:
            return language
    return default


@lru_cache(maxsize=256)
def accepted(header: str) -> tuple[str, ...]:
    """The languages of an Accept-Language header (RFC 9110, 12.5.4), most wanted first."""
    weighted = []
    for position, item in enumerate(header[:200].split(",")):
        tag, _, weight = item.partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            weighted.append((-quality, position, tag.strip()))
    return tuple(tag for _, _, tag in sorted(weighted))
