"""Ablation: what the model does without a part of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.reasoning.change import Change, Indices, replace, zero
from tinygrad_tx.reasoning.look import Model, Patterns, capture, intervene
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.tensor import Tensor

__all__ = ["ablate", "ablations"]


def ablate(
    model: Model,
    inputs: Any,
    at: Patterns,
    how: str = "zero",
    reference: Any = None,
    seed: int = 0,
    **part: Indices,
) -> Any:
    """What the model returns when the points `at` say nothing of their own.

    how: "zero"; "mean", the mean over the examples and positions of `reference`; "resample", what
    the point is for another example of `reference` (drawn by `seed`). reference: inputs like
    `inputs`; those themselves if not given. part: positions, heads, units, as in `Where`. Zeros are
    seldom what a model ever sees; a mean or a resample keeps what all inputs have in common.
    Errors: PointError, ShapeError.
    """
    return intervene(model, inputs, ablations(model, inputs, at, how, reference, seed, **part))


def ablations(
    model: Model,
    inputs: Any,
    at: Patterns,
    how: str = "zero",
    reference: Any = None,
    seed: int = 0,
    **part: Indices,
) -> dict[str, Change]:
    """The changes that `ablate` makes, by path: for `intervene`, `sweep` and `Changed`."""
    if how not in ("zero", "mean", "resample"):
        raise ValueError(f"ablate: how is {how!r}, not zero, mean or resample.")
    found = capture(model, inputs if reference is None else reference, at)
    if how == "zero":
        return {path: zero(**part) for path in found}
    rng = np.random.default_rng(seed)
    instead = {path: _instead(found.points[path], x, how, rng) for path, x in found.items()}
    return {path: replace(value, **part) for path, value in instead.items()}


def _instead(point: Point, x: Tensor, how: str, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    values = np.asarray(x.numpy())
    if how == "mean":
        axes = [point.axis("batch"), point.axis("time", "queries")]
        along = tuple(a for a in axes if a is not None)
        return np.asarray(values.mean(axis=along, keepdims=True, dtype=np.float64), values.dtype)
    count = values.shape[0]
    if point.axes[0] != "batch" or count < 2:
        what = f"resample needs two examples or more, {point} has {count}"
        raise ShapeError(explain("ablate", what, remedy="give a reference of more examples"))
    # A shift of a random order: no example stands in for itself.
    order = rng.permutation(count)
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    return values[other]
