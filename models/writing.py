"""Text out of a language model, piece by piece, as far as the first of some stop strings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = ["write"]


class Writer(Protocol):
    """A model that goes on from tokens."""

    def generate(self, tokens: Sequence[int], max_new_tokens: int, **options: Any) -> Iterator[int]:
        """New tokens one by one."""
        ...


class Speller(Protocol):
    """A tokenizer."""

    def encode(self, text: str) -> np.ndarray[Any, Any]: ...

    def decode(self, tokens: Any) -> str: ...


def write(
    model: Writer,
    tokenizer: Speller,
    prompt: str | Sequence[int],
    max_new_tokens: int,
    stop: Collection[str] = (),
    **options: Any,
) -> Iterator[str]:
    """What the model writes after `prompt` (a text, or its tokens), as soon as it is certain.

    stop: strings, before which the text ends once one of them is complete. options: as in
    `model.generate`, whose stop tokens are `stop_tokens` here. A character of several bytes comes
    when its last byte is there. Errors: DataError for an empty prompt.
    """
    tokens = tokenizer.encode(prompt).tolist() if isinstance(prompt, str) else list(prompt)
    if not tokens or "" in stop:
        what = "the prompt is empty" if not tokens else "a stop string is empty"
        raise DataError(explain("generate", what, remedy="give at least one character"))
    options["stop"] = options.pop("stop_tokens", ())
    return _pieces(model.generate(tokens, max_new_tokens, **options), tokenizer, stop)


def _pieces(tokens: Iterator[int], tokenizer: Speller, stop: Collection[str]) -> Iterator[str]:
    new: list[int] = []
    text, shown = "", 0
    for token in tokens:
        new.append(token)
        text = tokenizer.decode(new)
        ends = [at for s in stop if (at := text.find(s)) >= 0]
        if ends:
            yield text[shown : min(ends)]
            return
        certain = len(text) - _held_back(text, stop)
        if certain > shown:
            yield text[shown:certain]
            shown = certain
    if len(text) > shown:
        yield text[shown:]


def _held_back(text: str, stop: Collection[str]) -> int:
    """How many characters at the end may still change, or be the beginning of a stop string."""
    whole = text.rstrip("\N{REPLACEMENT CHARACTER}")
    starts = [n for s in stop for n in range(1, len(s)) if whole.endswith(s[:n])]
    return len(text) - len(whole) + max(starts, default=0)
