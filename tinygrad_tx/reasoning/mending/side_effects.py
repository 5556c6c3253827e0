"""Side effects: what a control must not cost, measured for each example before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.tensor import Tensor, cross_entropy, no_grad

__all__ = ["SideEffect", "right_answers", "text_losses"]

Array = np.ndarray[Any, Any]
IGNORED = -100


@dataclass(frozen=True)
class SideEffect:
    """Something that a control may harm, and how it is measured.

    measure(model): a number for each example, the same examples each time. better: whether
    "less" is better, as for a loss, or "more", as for answers that are right. is_implied: whether
    the mending itself means that it gets worse, as the loss of the text that taught the skew: that
    is shown and not counted as harm."""

    measure: Callable[[Any], Array] = field(repr=False)
    better: str = "less"
    unit: str = "nats"
    is_implied: bool = False

    def __post_init__(self) -> None:
        if self.better not in ("less", "more"):
            what = f"better is {self.better!r}"
            raise DataError(explain("SideEffect", what, remedy='it is "less" or "more"'))


def text_losses(
    tokens: Any, padding: int | None = None, batch: int = 64, is_implied: bool = False
) -> SideEffect:
    """The loss of each text, in nats for each token. tokens: (texts, time + 1)."""
    text = np.asarray(tokens, np.int64)
    if text.ndim != 2 or not len(text) or text.shape[1] < 2:
        what = f"text of shape {text.shape}"
        raise ShapeError(explain("text_losses", what, remedy="give (texts, time + 1)"))
    targets = np.where(text[:, 1:] == padding, IGNORED, text[:, 1:])
    counts = (targets != IGNORED).sum(1)
    if not counts.all():
        raise DataError(explain("text_losses", "a text is padding alone"))

    def measure(model: Any) -> Array:
        def losses(tokens: Tensor, targets: Tensor) -> Tensor:
            with no_grad():
                return cross_entropy(model(tokens), targets, reduction="none").sum(-1)

        found: Array = _in_batches(losses, (text[:, :-1], targets), batch) / counts
        return found

    return SideEffect(measure, is_implied=is_implied)


def right_answers(
    prompts: Sequence[Sequence[int]], answers: Sequence[int], batch: int = 64
) -> SideEffect:
    """Whether the likeliest next token after each prompt is its answer: 1 or 0."""
    if not len(prompts) or len(prompts) != len(answers) or not all(len(p) for p in prompts):
        what = f"{len(prompts)} prompts and {len(answers)} answers"
        raise DataError(explain("right_answers", what, remedy="give an answer for each prompt"))
    tokens = np.zeros((len(prompts), max(map(len, prompts))), np.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    last = np.array([len(p) - 1 for p in prompts])
    wanted = np.asarray(answers)

    def measure(model: Any) -> Array:
        def likeliest(tokens: Tensor) -> Tensor:
            with no_grad():
                found: Tensor = model(tokens).argmax(-1)
                return found

        found = _in_batches(likeliest, (tokens,), batch)
        return np.asarray(found[np.arange(len(found)), last] == wanted, np.float64)

    return SideEffect(measure, "more", "share right")


def _in_batches(function: Callable[..., Tensor], arrays: Sequence[Array], batch: int) -> Array:
    """One recording serves all batches: the last is filled up with the first rows."""
    count = len(arrays[0])
    size = min(batch, count)
    captured, found = jit(function), []
    for first in range(0, count, size):
        rows = np.arange(first, first + size) % count
        found.append(captured(*(a[rows] for a in arrays)).numpy())
    return np.concatenate(found)[:count].astype(np.float64)
