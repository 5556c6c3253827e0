"""Target: which number of a model's output an explanation is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import IndexRangeError, ShapeError, explain
from tinygrad_tx.reasoning.explain.words import Decodes, word_of
from tinygrad_tx.tensor import Tensor, log_softmax, take_along_axis

__all__ = ["Target"]

Array = np.ndarray[Any, Any]
Tokens = int | tuple[int, ...] | None


@dataclass(frozen=True)
class Target:
    """The logit of `token` at `position`, less that of `against` where it is given.

    token, against: one for all examples, or one for each; token None: what the model itself puts
    first there. position: of the output, negative from the end; not used for a classifier, whose
    output is (batch, classes). of: "logit", or "log_probability". A difference of two logits is
    that of their log-probabilities; a logit alone also moves with what moves all words.
    """

    token: Tokens = None
    against: Tokens = None
    position: int = -1
    of: str = "logit"

    def __post_init__(self) -> None:
        if self.of not in ("logit", "log_probability"):
            what = f"of is {self.of!r}, not logit or log_probability"
            raise ValueError(explain("Target", what))

    def resolved(self, output: Array) -> Target:
        """With a token for each example, checked against what the model returned.

        Errors: ShapeError, IndexRangeError.
        """
        if output.ndim not in (2, 3):
            what = f"the output has shape {output.shape}"
            remedy = "a target is a number of (batch, time, vocab) or (batch, classes)"
            raise ShapeError(explain("Target", what, remedy=remedy))
        batch, vocab = output.shape[0], output.shape[-1]
        if output.ndim == 3 and not -output.shape[1] <= self.position < output.shape[1]:
            what = f"position {self.position} is not within the {output.shape[1]} of the output"
            raise IndexRangeError(explain("Target", what))
        rows = output if output.ndim == 2 else output[:, self.position]
        token = rows.argmax(-1).tolist() if self.token is None else self.token
        against = None if self.against is None else _each(self.against, batch, vocab)
        return Target(_each(token, batch, vocab), against, self.position, self.of)

    def measure(self, output: Tensor, tokens: Tensor, against: Tensor | None = None) -> Tensor:
        """The number for each row of the output: (rows,). tokens, against: (rows,) int64."""
        rows = output if len(output.shape) == 2 else output[:, self.position]
        rows = rows if self.of == "logit" else log_softmax(rows)
        value = take_along_axis(rows, tokens[:, None], -1)[:, 0]
        if against is None:
            return value
        return value - take_along_axis(rows, against[:, None], -1)[:, 0]

    def chosen(self, example: int) -> tuple[Array, ...]:
        """token, and against where it is given, of one example, as `measure` takes them."""
        given = [t for t in (self.token, self.against) if t is not None]
        return tuple(np.array([t[example] if isinstance(t, tuple) else t]) for t in given)

    def words(self, example: int = 0, tokenizer: Decodes | None = None) -> str:
        """As in "logit of 'Paris' less 'Rome'"."""
        found = [word_of(int(t[0]), tokenizer) for t in self.chosen(example)]
        return f"{self.of.replace('_', '-')} of {' less '.join(map(repr, found))}"


def tokens_at(given: Any, logits: Array, operation: str) -> Array:
    """A token for each place, (batch, time): those given, or the likeliest of `logits`.

    Errors: ShapeError, IndexRangeError.
    """
    if given is None:
        likeliest: Array = logits.argmax(-1)
        return likeliest
    found = np.asarray(given, np.int64)
    if ((found < 0) | (found >= logits.shape[-1])).any():
        what = f"tokens {np.unique(found).tolist()} are not all within the {logits.shape[-1]}"
        raise IndexRangeError(explain(operation, what))
    try:
        return np.ascontiguousarray(np.broadcast_to(found, logits.shape[:-1]))
    except ValueError:
        what = f"tokens of shape {found.shape} do not fit (batch, time) {logits.shape[:-1]}"
        raise ShapeError(explain(operation, what)) from None


def _each(given: Any, batch: int, vocab: int) -> tuple[int, ...]:
    """One token for each example."""
    found = np.asarray(given, np.int64).reshape(-1)
    if found.size not in (1, batch):
        what = f"{found.size} tokens for {batch} examples"
        raise ShapeError(explain("Target", what, remedy="give one, or one for each example"))
    if ((found < 0) | (found >= vocab)).any():
        what = f"tokens {found.tolist()} are not all within the vocabulary of {vocab}"
        raise IndexRangeError(explain("Target", what))
    return tuple(int(t) for t in np.broadcast_to(found, batch))
