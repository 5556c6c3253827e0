"""What patching is measured by: a number for each prompt, and how much of it came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, IndexRangeError, NonFiniteError, ShapeError, explain
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, as_tensor

__all__ = ["LogitDifference", "Metric", "aligned_pair", "measured", "recovered", "recovery"]

Array = np.ndarray[Any, Any]
Metric = Callable[[Tensor], Tensor]
"""From logits (rows, time, vocab) to (rows,). The rows are the prompts, in order, once for each of
the runs that stand side by side: row i belongs to prompt i modulo the number of prompts."""

FEWEST = 5
"""Prompts below which no interval is given."""


@dataclass(frozen=True)
class LogitDifference:
    """Logit of the right token less that of the wrong one, at a position. A `Metric`.

    Shapes: right and wrong (prompts,) token numbers; position: one for all, or (prompts,).
    A difference of logits, not of probabilities: it is linear in the residual stream but for the
    last norm (Wang et al. 2023, section 2). Errors: ShapeError, IndexRangeError.
    """

    right: Sequence[int] | Array
    wrong: Sequence[int] | Array
    position: int | Sequence[int] | Array = -1

    def __call__(self, logits: Tensor) -> Tensor:
        right, wrong = np.asarray(self.right), np.asarray(self.wrong)
        prompts, (rows, time, vocab) = len(right), logits.shape
        if right.shape != wrong.shape or right.ndim != 1 or not prompts or rows % prompts:
            what = f"right {right.shape} and wrong {wrong.shape} for {rows} rows of logits"
            raise ShapeError(explain("LogitDifference", what, remedy="give one for each prompt"))
        places = np.broadcast_to(np.asarray(self.position), (prompts,))
        outside = ((places < -time) | (places >= time)).any()
        if outside or min(right.min(), wrong.min()) < 0 or max(right.max(), wrong.max()) >= vocab:
            what = f"a token or position is outside of {vocab} tokens and {time} positions"
            raise IndexRangeError(explain("LogitDifference", what))
        each, runs = np.arange(prompts), rows // prompts
        sign = np.zeros((prompts, vocab), logits.dtype)
        sign[each, right] += 1
        sign[each, wrong] -= 1
        if np.ndim(self.position) == 0:
            last = logits[:, int(places[0])]  # (rows, vocab)
        else:
            here = np.zeros((prompts, time, 1), logits.dtype)
            here[each, places] = 1
            last = (logits * as_tensor(np.tile(here, (runs, 1, 1)))).sum(axis=1)
        result: Tensor = (last * as_tensor(np.tile(sign, (runs, 1)))).sum(axis=-1)
        return result


def measured(metric: Metric, logits: Tensor) -> Tensor:
    """The metric of each row, checked. Errors: ShapeError."""
    found = metric(logits)
    if not isinstance(found, Tensor) or found.shape != logits.shape[:1]:
        shape = found.shape if isinstance(found, Tensor) else type(found).__name__
        what = f"the metric gives {shape}, not one number for each of {logits.shape[0]} rows"
        raise ShapeError(explain("metric", what, remedy="reduce over time and vocab only"))
    return found


def aligned_pair(clean: Any, corrupted: Any, operation: str) -> tuple[Array, Array]:
    """Both as (prompts, time) arrays of tokens. Errors: ShapeError where lengths differ."""
    found = []
    for name, given in (("clean", clean), ("corrupted", corrupted)):
        rows = given.numpy() if isinstance(given, Tensor) else given
        if not isinstance(rows, np.ndarray):
            lengths = sorted({len(row) for row in rows})
            if len(lengths) > 1:
                what = f"the {name} prompts have {lengths} tokens"
                raise ShapeError(explain(operation, what, remedy=_REMEDY))
        array = np.asarray(rows)
        if array.ndim != 2 or not array.size:
            what = f"the {name} prompts are {array.shape}, not (prompts, time)"
            raise ShapeError(explain(operation, what, remedy="tokens[None] is one prompt"))
        found.append(array)
    if found[0].shape != found[1].shape:
        what = f"clean prompts are {found[0].shape}, corrupted ones {found[1].shape}"
        raise ShapeError(explain(operation, what, remedy=_REMEDY))
    return found[0], found[1]


_REMEDY = "position i of one must stand for position i of the other: choose prompts of one length"


def recovered(values: Array, zero: Array, one: Array) -> Array:
    """How far the mean over prompts has come from `zero` to `one`: 0 none of it, 1 all of it.

    Shapes: values (..., prompts), zero and one (prompts,). A ratio of means, not a mean of ratios:
    a prompt where both are nearly the same cannot blow it up. Errors: DataError where they are the
    same on the mean; NonFiniteError.
    """
    start, span = zero.mean(), one.mean() - zero.mean()
    if not np.isfinite(span):
        what = f"the metric is {one.mean()} on clean and {zero.mean()} on corrupted prompts"
        raise NonFiniteError(explain("recovery", what))
    if abs(span) <= 1e-6 * max(abs(start), abs(one.mean()), 1e-30):
        what = f"the metric is {start:.4g} on clean and corrupted prompts alike"
        raise DataError(explain("recovery", what, remedy="choose pairs that it tells apart"))
    return np.asarray((values.mean(axis=-1) - start) / span)


def recovery(values: Array, zero: Array, one: Array, seed: int = 0, draws: int = 1000) -> Figure:
    """`recovered` for one run (prompts,), with its 95 % interval over prompts drawn again.

    The bounds are NaN for fewer than 5 prompts: no interval is made up.
    Source: Efron and Tibshirani 1993, chapter 13 (percentile interval of a ratio).
    """
    value = float(recovered(values, zero, one))
    prompts = len(values)
    if prompts < FEWEST:
        return Figure(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, prompts, (draws, prompts))
    gained = (values - zero)[drawn].mean(1)
    spans = (one - zero)[drawn].mean(1)
    usable = np.abs(spans) > 1e-6 * np.abs(spans).max()
    low, high = np.quantile(gained[usable] / spans[usable], [0.025, 0.975])
    return Figure(value, float(low), float(high))
