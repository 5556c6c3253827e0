"""The same values behind every kind of view: strides, reversed, transposed, broadcast, sliced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from tinygrad_tx.tensor import tensor
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.testing.subjects import Array

__all__ = ["LAID_OUT", "LAYOUTS", "Layout"]

Layout = Literal["contiguous", "strided", "reversed", "transposed", "broadcast", "sliced"]
LAYOUTS: tuple[Layout, ...] = (
    "contiguous",
    "strided",
    "reversed",
    "transposed",
    "broadcast",
    "sliced",
)
"""How `tensors` lays the same values in memory."""


def _strided(values: Array) -> Tensor:
    if not values.ndim:
        return tensor(values)
    base = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
    base[..., ::2] = values
    return tensor(base)[..., ::2]


def _reversed(values: Array) -> Tensor:
    return tensor(np.flip(values).copy())[tuple([slice(None, None, -1)] * values.ndim)]


def _broadcast(values: Array) -> Tensor:
    """A new first axis of stride 0, of which the values are all the same; then one of them."""
    base = tensor(values[None])
    return base.broadcast_to((3, *values.shape))[1]


def _sliced(values: Array) -> Tensor:
    if not values.ndim:
        return tensor(values)
    base = np.pad(values, [(1, 2)] * values.ndim, mode="constant")
    return tensor(base)[tuple(slice(1, 1 + n) for n in values.shape)]


def _transposed(values: Array) -> Tensor:
    return tensor(values.T.copy()).T


LAID_OUT: dict[Layout, Callable[[Array], Tensor]] = {
    "contiguous": tensor,
    "strided": _strided,
    "reversed": _reversed,
    "transposed": _transposed,
    "broadcast": _broadcast,
    "sliced": _sliced,
}
