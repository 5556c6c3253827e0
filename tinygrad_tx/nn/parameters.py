"""How parameters start: memory with drawn values or, in an abstract model, shape alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.errors import ArgumentError, explain
from tinygrad_tx.runtime.buffer import AbstractBuffer
from tinygrad_tx.shapes import Shape
from tinygrad_tx.tensor import Tensor, full, tensor

__all__ = ["by_shape_alone", "filled", "normal"]

_by_shape_alone: ContextVar[bool] = ContextVar("by_shape_alone", default=False)


@contextmanager
def by_shape_alone() -> Iterator[None]:
    """Parameters made inside take no memory; reading one is a GraphError until it is loaded."""
    token = _by_shape_alone.set(True)
    try:
        yield
    finally:
        _by_shape_alone.reset(token)


def normal(rng: np.random.Generator, shape: Shape, deviation: float = 0.02) -> Tensor:
    """A parameter drawn from N(0, deviation²). Errors: ArgumentError."""
    if not isinstance(rng, np.random.Generator):
        what = f"weights are drawn from rng, which is {rng!r}"
        raise ArgumentError(explain("parameter", what, remedy="give np.random.default_rng(0)"))
    if _by_shape_alone.get():
        return _abstract(shape)
    return tensor(rng.normal(0, deviation, shape).astype(np.float32), requires_grad=True)


def filled(shape: Shape, value: float) -> Tensor:
    """A parameter with `value` in all places."""
    if _by_shape_alone.get():
        return _abstract(shape)
    return full(shape, value, float32).requires_grad_()


def _abstract(shape: Shape) -> Tensor:
    return Tensor(AbstractBuffer(shape, float32), requires_grad=True)
