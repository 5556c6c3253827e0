"""Steering: a vector added to the residual stream, that leads from one kind of text to another.

v = mean over positive prompts of x - mean over negative prompts of x,  x at the last token;
then x + strength v while the model writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, GraphError, NonFiniteError, ShapeError, explain
from tinygrad_tx.models.generation import Causal
from tinygrad_tx.reasoning.change import Indices, add
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.look import Patterns, capture, points
from tinygrad_tx.reasoning.point import matching
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import no_grad

__all__ = ["Choice", "choose_steering", "steer", "steering_vector", "steering_vectors"]

Array = np.ndarray[Any, Any]
Prompts = Sequence[Sequence[int]]
Pair = tuple[Prompts, Prompts]
STREAM = "blocks.*.residual_after_feed_forward"


def steer(
    model: Causal,
    vector: Any,
    at: str,
    strength: float = 1.0,
    **part: Indices,
) -> Changed:
    """`model` with strength x vector added at `at` wherever it reads or writes.

    vector: (width,), or (positive prompts, negative prompts) as lists of tokens, whose
    `steering_vector` is taken. at: one point. part: as in `Where`, as positions=[0, 1].
    One direction moves all texts alike: it shifts what the model leans to, and does not undo
    leanings of opposite signs in different contexts. Errors: PointError, ShapeError, DataError.
    Source: Turner et al. 2023 (activation addition); Rimsky et al. 2023 (contrastive means).
    """
    if isinstance(vector, tuple):
        vector = steering_vector(model, vector, at)
    vector = np.asarray(vector)
    if not np.isfinite(vector).all() or not np.isfinite(strength):
        what = f"the vector or the strength {strength} is not finite"
        raise NonFiniteError(explain("steer", what))
    return Changed(model, {at: add((strength * vector).astype(vector.dtype), **part)})


def steering_vector(model: Any, prompts: Pair, at: str) -> Array:
    """Mean at the last token of the positive prompts minus that of the negative ones: (width,)."""
    found = steering_vectors(model, prompts, at)
    if len(found) > 1:
        what = f"{at!r} names {len(found)} points"
        raise GraphError(explain("steering_vector", what, remedy="name one, or choose_steering"))
    return next(iter(found.values()))


def steering_vectors(model: Any, prompts: Pair, at: Patterns = STREAM) -> dict[str, Array]:
    """The vector of each point that `at` names. Errors: DataError, ShapeError, NonFiniteError."""
    positive, negative = (last_activations(model, some, at) for some in prompts)
    found = {path: positive[path].mean(0) - negative[path].mean(0) for path in positive}
    for path, vector in found.items():
        if not np.isfinite(vector).all():
            raise NonFiniteError(explain("steering_vector", f"{path} is not finite"))
    return found


def last_activations(model: Any, prompts: Prompts, at: Patterns) -> dict[str, Array]:
    """What stands at the last token of each prompt: (prompts, width) float64, by point.

    Prompts are padded on the right, which a causal model cannot see.
    """
    if not len(prompts) or not all(len(p) for p in prompts):
        what = f"{len(prompts)} prompts" if not len(prompts) else "a prompt is empty"
        raise DataError(explain("steering_vector", what, remedy="give tokens for each side"))
    tokens = np.zeros((len(prompts), max(map(len, prompts))), np.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    last = np.array([len(p) - 1 for p in prompts])
    with no_grad():
        found = capture(model, tokens, at)
    for point in found.points.values():
        if point.axes != ("batch", "time", "width"):
            remedy = "use a point of the residual stream"
            raise ShapeError(explain("steering_vector", f"at {point}", remedy=remedy))
    rows = np.arange(len(prompts))
    return {path: x.numpy()[rows, last].astype(np.float64) for path, x in found.items()}


@shown_as_table
@dataclass(frozen=True)
class Choice:
    """What was tried: values (points, strengths) of the measure; the best of them.

    vectors: by point. plain: the measure of the model as it is.
    """

    paths: tuple[str, ...]
    strengths: tuple[float, ...]
    values: Array
    plain: float
    vectors: dict[str, Array]

    @property
    def best(self) -> tuple[str, float]:
        """(point, strength) of the largest value."""
        i, j = np.unravel_index(np.nanargmax(self.values), self.values.shape)
        return self.paths[i], self.strengths[j]

    def steered(self, model: Causal) -> Changed:
        """The model with the best vector."""
        path, strength = self.best
        return steer(model, self.vectors[path], path, strength)

    def table(self) -> Table:
        rows = tuple((p, *map(float, v)) for p, v in zip(self.paths, self.values, strict=True))
        columns = ("point", *(f"{s:g}" for s in self.strengths))
        note = f"the measure at each strength; the model as it is: {self.plain:.4g}"
        return Table("Where to steer", columns, rows, (note,))


def choose_steering(
    model: Any,
    prompts: Pair,
    measure: Callable[[Any], float],
    at: Patterns = STREAM,
    strengths: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
    on_progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """The point and the strength at which `measure` of the steered model is largest.

    measure: on texts kept for validation, apart from the prompts and from the final audit; else
    the best of many tries looks better than it is. Errors: as `steer`; NonFiniteError.
    """
    found = steering_vectors(model, prompts, at)
    paths = tuple(matching(list(found), points(model, *_one(prompts))))
    values = np.full((len(paths), len(strengths)), np.nan)
    pairs = list(itertools.product(range(len(paths)), range(len(strengths))))
    for done, (i, j) in enumerate(pairs):
        values[i, j] = measure(steer(model, found[paths[i]], paths[i], strengths[j]))
        if on_progress is not None:
            on_progress(done + 1, len(pairs))
    if np.isnan(values).all():
        raise NonFiniteError(explain("choose_steering", "every value of the measure is NaN"))
    return Choice(paths, tuple(strengths), values, float(measure(model)), found)


def _one(prompts: Pair) -> tuple[Array]:
    return (np.asarray(prompts[0][0], np.int64)[None],)
