"""Subject of a report: a model that writes left to right, a text, and the token that it expects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.errors import DataError, ShapeError, explain
from tinygrad_tx.reasoning.report.words import WORDS
from tinygrad_tx.tensor import no_grad

__all__ = ["Speller", "Subject"]

Array = np.ndarray[Any, Any]


class Speller(Protocol):
    """A tokenizer."""

    def encode(self, text: str) -> Array: ...

    def decode(self, tokens: Any) -> str: ...


@dataclass(frozen=True)
class Subject:
    """text: what the model reads; instead: a text of as many tokens that differs in what matters.

    target: the token asked about after the last one; what the model expects most if not given.
    Errors: DataError for no text, ShapeError for one that is too long or lengths that differ.
    """

    model: Any
    tokenizer: Speller
    text: str
    instead: str | None = None
    target: int | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        time, context = len(self.tokens), self.model.config.context
        if not time:
            raise DataError(explain("report", "the text is empty", remedy="give some words"))
        if time > context:
            what = f"the text has {time} tokens, the context of the model is {context}"
            raise ShapeError(explain("report", what, remedy="give a shorter text"))
        if self.instead is not None and len(self.other) != time:
            what = f"the texts have {time} and {len(self.other)} tokens: {self.words(self.tokens)}"
            remedy = "change words for others of as many tokens, so that places correspond"
            raise ShapeError(explain("report", f"{what}, {self.words(self.other)}", remedy=remedy))

    @cached_property
    def tokens(self) -> Array:
        """(time,)"""
        return np.asarray(self.tokenizer.encode(self.text), np.int64)

    @cached_property
    def other(self) -> Array:
        """The tokens of `instead`."""
        return np.asarray(self.tokenizer.encode(self.instead or ""), np.int64)

    @cached_property
    def logits(self) -> Array:
        """(time, vocab), in float64."""
        with no_grad():
            return np.asarray(self.model(self.tokens[None]).numpy()[0], np.float64)

    @cached_property
    def log_probabilities(self) -> Array:
        """Of the token after each: (time, vocab)."""
        top = self.logits.max(-1, keepdims=True)
        powers = np.exp(self.logits - top)
        return np.asarray(self.logits - top - np.log(powers.sum(-1, keepdims=True)))

    @cached_property
    def asked(self) -> int:
        """The token that everything is explained for."""
        return int(self.logits[-1].argmax()) if self.target is None else self.target

    @cached_property
    def baseline(self) -> str | int:
        """What stands for "no token" in attributions: zeros, or where those are no point of rest
        (nothing is added to embeddings before a norm divides them) the token of a space."""
        if hasattr(self.model, "position"):
            return "zero"
        return int(self.tokenizer.encode(" ")[-1])

    def word(self, token: int) -> str:
        return self.tokenizer.decode([int(token)])

    def words(self, tokens: Array) -> list[str]:
        return [self.word(t) for t in tokens]

    def say(self, name: str, **values: Any) -> str:
        """A sentence of the report in its language."""
        return WORDS[self.language][name].format(**values)
