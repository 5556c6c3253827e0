"""Descriptions of tokenizers (tokenizer.json) that someone else may have written.

The library that runs them trusts them: it panics on some, and a description can ask for a search
without end, or for texts that grow at each rule. Such ones are refused before they are built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tokenizers import Tokenizer as HubTokenizer

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.untrusted import parse_json

__all__ = ["library_errors", "tokenizer_of_json"]

LONGEST_PATTERN = 2000
MOST_LOOPS = 12
"""In a branch of a pattern; published ones have four."""
LARGEST_GROWTH = 64
"""Characters that rules may make of one."""
LONGEST_WORD = 10_000
"""Of word pieces: the search in a word takes the square of its length."""


def tokenizer_of_json(description: str | Mapping[str, Any]) -> HubTokenizer:
    """The tokenizer that is described, without padding and truncation of its own.

    Errors: ValueError for a description that is damaged, or that asks for more than it should.
    """
    found = parse_json(description) if isinstance(description, str) else description
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    growth = 1.0
    for part in _objects_in(found):
        pattern = part.get("Regex")
        if isinstance(pattern, str):
            _check_pattern(pattern)
        longest = part.get("max_input_chars_per_word")
        if isinstance(longest, int) and longest > LONGEST_WORD:
            raise ValueError(f"words of {longest:,} characters are longer than {LONGEST_WORD:,}")
        growth *= _growth_of(part)
    if growth > LARGEST_GROWTH:
        raise ValueError(f"its rules may make {growth:.3g} characters of one")
    with library_errors(ValueError):
        inner = HubTokenizer.from_str(json.dumps(dict(found)))
        inner.no_padding()
        inner.no_truncation()
    return inner


@contextmanager
def library_errors(kind: type[Exception] = DataError) -> Iterator[None]:
    """What the library raises, plain Exceptions and panics (no Exception at all), as `kind`."""
    try:
        yield
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"
        if type(error) is not Exception and not is_panic:
            raise
        said = str(error) or "the library gave up"
        raise kind(explain("tokenizer", said) if kind is DataError else said) from None


def _objects_in(found: Any) -> Iterator[Mapping[str, Any]]:
    """Every object, but not the vocabulary, which may be large and holds none."""
    stack = [found]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += [v for k, v in value.items() if k not in ("vocab", "merges")]
        elif isinstance(value, list):
            stack += value


def _growth_of(part: Mapping[str, Any]) -> float:
    """How many characters a rule of replacement makes of one, at most."""
    content = part.get("content")
    if part.get("type") != "Replace" or not isinstance(content, str):
        return 1.0
    pattern = part.get("pattern")
    plain = pattern.get("String") if isinstance(pattern, dict) else None
    if plain == "":
        return float(1 + len(content))
    return max(1.0, len(content) / (len(plain) if isinstance(plain, str) else 1))


def _check_pattern(pattern: str) -> None:
    """Refuses what can search without end: repeated groups, many loops, references.

    A search tries all ways of cutting a text between loops that take the same characters: 2**n for
    a loop in a loop, n**k for k side by side. The patterns of published tokenizers repeat classes,
    never groups.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern of {len(pattern):,} characters")
    plain = re.sub(r"\\[pP]\{\^?\w+\}", "x", pattern)
    if re.search(r"\\[1-9kgG]|\(\?(?:[&R~(]|P[>=])", plain):
        raise ValueError(f"its pattern {pattern[:80]!r} refers to itself")
    plain = re.sub(r"\\.", "x", plain, flags=re.S)
    plain = re.sub(r"\[\^?\]?(?:[^\[\]]|\[[^\[\]]*\])*\]", "x", plain)  # classes, and those inside
    if re.search(r"\)(?:[*+]|\{\d*,?\d*\})", plain):
        raise ValueError(f"its pattern {pattern[:80]!r} repeats a group")
    for branch in plain.split("|"):
        if len(re.findall(r"[*+]|\{\d*,\d*\}", branch)) > MOST_LOOPS:
            raise ValueError(f"its pattern {pattern[:80]!r} has more than {MOST_LOOPS} loops")
