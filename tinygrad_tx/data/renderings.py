"""Dates and numbers as people of many languages write them, by the package babel, with ISO forms.

Its data are those of the Unicode CLDR; babel itself is an extra, imported where it is needed.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = [
    "FORMATS",
    "HELD_OUT_LANGUAGES",
    "HELD_OUT_PAIRS",
    "LANGUAGES",
    "Rendering",
    "is_held_out_date",
    "rendered_dates",
    "rendered_numbers",
]

# The short form is left out: the text does not say whether 3/7/98 is a day of March or of July.
FORMATS = ("medium", "long", "full")
LANGUAGES = (
    "en", "de", "fr", "es", "it", "nl", "nb", "sv", "fi", "et", "lv", "lt", "pl", "cs", "sl",
    "hr", "hu", "ro", "tr", "el", "ru", "uk", "bg", "sr", "vi", "id", "ms", "sw", "af", "ca",
    "eu", "gl", "is", "ja", "zh", "ar", "fa", "he", "hi", "bn", "ta", "th", "ka", "hy", "az",
    "kk",
)  # fmt: skip
HELD_OUT_LANGUAGES = ("da", "pt", "sk", "ko")
HELD_OUT_PAIRS = frozenset(
    {(language, "full") for language in ("it", "cs", "tr", "ru", "he")}
    | {(language, "medium") for language in ("en", "pl", "el", "is", "th")}
)
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
NUMBER = "number"


@dataclass(frozen=True)
class Rendering:
    """text: as people write it; iso: 1998-03-07, or plain digits with a point for decimals."""

    text: str
    iso: str
    language: str
    form: str
    """Of FORMATS, or "number"."""


def is_held_out_date(iso: str, share: float = 0.1) -> bool:
    """Whether a date belongs to the held-out part, in all languages: by a hash of it."""
    digest = hashlib.sha256(iso.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def rendered_dates(
    count: int, pairs: list[tuple[str, str]], held_out: bool, rng: np.random.Generator
) -> list[Rendering]:
    """`count` dates of one part from 1900 to 2099, in a (language, form) of `pairs` each.

    A text that stands for two dates in two languages is left out. Errors: DataError.
    """
    write = _babel()[0]
    found: dict[str, Rendering] = {}
    ambiguous: set[str] = set()
    days, missed = (LAST - FIRST).days + 1, 0
    while len(found) < count and missed < 100 * count:
        date = FIRST + datetime.timedelta(int(rng.integers(days)))
        language, form = pairs[rng.integers(len(pairs))]
        iso = date.isoformat()
        if is_held_out_date(iso) != held_out:
            missed += 1
            continue
        made = Rendering(write(date, form, language), iso, language, form)
        before = found.setdefault(made.text, made)
        if before.iso != iso:
            ambiguous.add(made.text)
        missed += before is not made
    return [r for r in found.values() if r.text not in ambiguous]


def rendered_numbers(
    count: int, languages: tuple[str, ...], held_out: bool, rng: np.random.Generator
) -> list[Rendering]:
    """`count` numbers below 100 million, half of them with two decimals, the last of them not 0.

    So one digit group and two decimals are told apart, whatever the signs. Errors: DataError.
    """
    write = _babel()[1]
    found: dict[str, Rendering] = {}
    while len(found) < count:
        whole = int(10 ** rng.uniform(0, 8))
        cents = int(rng.integers(10)) * 10 + int(rng.integers(1, 10))
        iso = f"{whole}.{cents:02d}" if rng.random() < 0.5 else str(whole)
        if is_held_out_date(iso) == held_out:
            language = languages[rng.integers(len(languages))]
            text = write(float(iso) if "." in iso else whole, language)
            found.setdefault(text, Rendering(text, iso, language, NUMBER))
    return list(found.values())


@cache
def _babel() -> tuple[Callable[[Any, str, str], str], Callable[[Any, str], str]]:
    """Functions that write a date and a number."""
    try:
        from babel.dates import format_date
        from babel.numbers import format_decimal
    except ImportError:
        what = "the package babel, which writes dates in many languages, is not installed"
        remedy = "install it with `pip install 'tinygrad-tx[tasks]'`, or `pip install babel`"
        raise DataError(explain("translation", what, remedy=remedy)) from None

    def date(day: datetime.date, form: Any, language: str) -> str:
        return str(format_date(day, form, language))

    def number(value: float, language: str) -> str:
        # Not with the digits of each script: all that stays Latin is in the digits' own order.
        return str(format_decimal(value, locale=language, numbering_system="default"))

    return date, number
