"""Words: how a token is written where people read it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

__all__ = ["Decodes", "word_of", "words_of"]


class Decodes(Protocol):
    """A tokenizer, as far as it is needed here."""

    def decode(self, tokens: Any) -> str: ...


def word_of(token: int, tokenizer: Decodes | None) -> str:
    """The token's text; its number without a tokenizer, or where it is only a part of a character.

    Spaces and ends of lines are made visible at its ends.
    """
    if tokenizer is None:
        return str(int(token))
    text = tokenizer.decode([int(token)])
    if "\N{REPLACEMENT CHARACTER}" in text or not text:
        return f"#{int(token)}"
    shown = text.replace("\n", "↵").replace("\t", "⇥").replace("\r", "↵")
    bare = shown.strip(" ")
    front = len(shown) - len(shown.lstrip(" "))
    if not bare:
        return "␣" * len(shown)
    return "␣" * front + bare + "␣" * (len(shown) - front - len(bare))


def words_of(tokens: Any, tokenizer: Decodes | None) -> tuple[str, ...]:
    """The words of a row of tokens."""
    return tuple(word_of(int(t), tokenizer) for t in np.asarray(tokens).reshape(-1))
