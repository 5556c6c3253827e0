"""Changes: what an intervention puts at a point, and where: at which positions, heads, units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import ArgumentError, IndexRangeError, ShapeError, explain
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.shapes import Shape, broadcast_shapes
from tinygrad_tx.tensor import Tensor, arange, broadcast_to, where
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = [
    "Change",
    "Indices",
    "Place",
    "Where",
    "add",
    "as_change",
    "check_fits",
    "replace",
    "scale",
    "zero",
]

Indices = int | Sequence[int] | None
Place = Tensor | int | None

_AXES = {
    "examples": ("batch",),
    "positions": ("time", "queries"),
    "heads": ("heads", "kv_heads"),
    "units": ("width", "units", "vocab"),
    "keys": ("keys",),
}
"""What each part of a point is counted along."""


@dataclass(frozen=True)
class Where:
    """A part of a point: these examples, positions, keys, heads and units (None: all).

    positions count the tokens of the text from 0; negative ones count from the end of what is run.
    Errors: ShapeError for a point without such an axis; IndexRangeError.
    """

    examples: Indices = None
    positions: Indices = None
    heads: Indices = None
    units: Indices = None
    keys: Indices = None

    def mask(self, point: Point, place: Place = None) -> Tensor | None:
        """True inside, broadcastable to the point's shape; None for all of it.

        place: for a text that is being written, where in it the first position stands: 0, or a
        number for each example. Its positions may be still to come.
        """
        mask = None
        for name, axes in _AXES.items():
            chosen = getattr(self, name)
            if chosen is None:
                continue
            axis = point.axis(*axes)
            if axis is None:
                what = f"{point} has no axis for {name}"
                remedy = "take a point that has: points(model) shows the axes of each"
                raise ShapeError(explain("intervene", what, remedy=remedy))
            if name == "positions" and place is not None:
                part = _at_places(chosen, point, axis, place)
            else:
                part = as_tensor(_chosen(chosen, name, point, axis))
            mask = part if mask is None else mask & part
        return mask


@dataclass(frozen=True)
class Change:
    """What is put at a point, and where: where(part, gain x + shift, x).

    A gain of 0 puts `shift` there whatever x was. function: any other change, of the tensor there.
    """

    gain: float = 0.0
    shift: TensorLike = 0.0
    where: Where = Where()
    function: Callable[[Tensor], TensorLike] | None = None

    def new(self, x: Tensor) -> TensorLike:
        """What is put in the place of `x`, before the part is chosen."""
        if self.function is not None:
            found = self.function(x)
            if found is None:
                remedy = "return the new value: lambda value: value * 0"
                what = "the function of a point returned None"
                raise ArgumentError(explain("intervene", what, remedy=remedy))
            return found
        if self.gain == 0:
            return self.shift
        return x * self.gain + self.shift

    def __call__(self, x: Tensor, point: Point, place: Place = None) -> Tensor:
        """`x` with the change made. Errors: ShapeError, IndexRangeError."""
        value = as_tensor(self.new(x), x.dtype)
        value = value if value.dtype == x.dtype else value.astype(x.dtype)
        check_fits(value.shape, point)
        mask = self.where.mask(point, place)
        value = broadcast_to(value, x.shape)
        return value if mask is None else where(mask, value, x)


def check_fits(shape: Shape, point: Point) -> None:
    """Refuses what does not broadcast to the point. Errors: ShapeError."""
    if broadcast_shapes(shape, point.shape) != point.shape:
        what = f"a value of shape {shape} does not fit {point}"
        remedy = "it must broadcast to the point: compare with points(model)"
        raise ShapeError(explain("intervene", what, remedy=remedy))


def replace(value: TensorLike, **part: Indices) -> Change:
    """`value` in the place of what is there; it broadcasts. part: as in `Where`."""
    return Change(0.0, value, Where(**part))


def add(vector: TensorLike, **part: Indices) -> Change:
    """What is there plus a vector; it broadcasts. part: as in `Where`."""
    return Change(1.0, vector, Where(**part))


def scale(factor: float, **part: Indices) -> Change:
    """What is there times a factor. part: as in `Where`."""
    return Change(factor, 0.0, Where(**part))


def zero(**part: Indices) -> Change:
    """Zeros. part: as in `Where`."""
    return Change(0.0, 0.0, Where(**part))


def as_change(given: Any) -> Change:
    """A Change as it is, a function of the tensor, or a value that takes its place."""
    if isinstance(given, Change):
        return given
    return Change(function=given) if callable(given) else replace(given)


def _chosen(indices: Indices, name: str, point: Point, axis: int) -> np.ndarray[Any, Any]:
    """A mask along one axis."""
    size = point.shape[axis]
    found = np.atleast_1d(np.asarray(indices, np.int64))
    bad = found[(found < -size) | (found >= size)]
    if bad.size:
        what = f"{name} {bad.tolist()} of {point} are not within its {size}"
        remedy = f"count from 0 to {size - 1}"
        raise IndexRangeError(explain("intervene", what, remedy=remedy))
    mask = np.zeros(size, bool)
    mask[found] = True
    return mask.reshape([-1 if i == axis else 1 for i in range(len(point.shape))])


def _at_places(indices: Indices, point: Point, axis: int, place: Tensor | int) -> Tensor:
    """A mask of positions in texts that go on: position p stands at row p - place."""
    rank, size = len(point.shape), point.shape[axis]
    along = [size if i == axis else 1 for i in range(rank)]
    rows = arange(size).reshape(along)
    if isinstance(place, Tensor):
        place = place.reshape([-1 if i == 0 else 1 for i in range(rank)])
    rows = rows + place
    mask = None
    for index in np.atleast_1d(np.asarray(indices, np.int64)):
        if index < 0:
            what = f"position {index} counts from an end that a text being written does not have"
            raise IndexRangeError(explain("intervene", what, remedy="count from 0"))
        part = rows == int(index)
        mask = part if mask is None else mask | part
    return rows < 0 if mask is None else mask
