"""Random tensors: numbers are a pure function of a seed and a counter, and the counter is state.

Inside `tx.jit` the counter moves on with every replay, like a parameter that a step updates: the
next replay draws new numbers, and a replay from a restored counter draws the same.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_tx import capture
from tinygrad_tx.capture import Capture
from tinygrad_tx.dtypes import as_dtype, float32, float64, int64, is_float, is_integer
from tinygrad_tx.errors import DTypeError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.missing import of_package
from tinygrad_tx.runtime.buffer import Array, Buffer
from tinygrad_tx.shapes import Shape, size_of
from tinygrad_tx.tensor.creation import arange
from tinygrad_tx.tensor.elementwise import astype, cos, floor, log, sin, sqrt, where
from tinygrad_tx.tensor.selection import argsort
from tinygrad_tx.tensor.shape import concat, reshape
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor

__all__ = [
    "Generator",
    "default",
    "dropout",
    "get_state",
    "manual_seed",
    "rand",
    "randint",
    "randn",
    "randperm",
    "set_state",
]

EXACT_RANGE = 2**53  # integers that a float64 tells apart


class Generator:
    """A stream of random numbers. `seed` and `counter` are state tensors, int64[]."""

    def __init__(self, seed: int = 0) -> None:
        self.part = (0, 1)
        """(which, of how many) parts of each draw is made here: a rank draws for its rows what
        one process would draw for them, where a part is a multiple of 16 bytes."""
        self.seed = Tensor(Buffer.of(_as_seed(seed)))
        self.counter = Tensor(Buffer.of(np.int64(0)))
        # What a capture has drawn so far: the value it assigned, the counter that its draws start
        # from and how far they went. Draws read that one value, so that none waits for another.
        self._drawn: weakref.WeakKeyDictionary[Capture, tuple[Node, Node, int]] = (
            weakref.WeakKeyDictionary()
        )

    @contextmanager
    def as_part(self, which: int, parts: int) -> Iterator[None]:
        """Until the end of the block each draw is one of so many parts of a larger one."""
        before, self.part = self.part, (which, parts)
        try:
            yield
        finally:
            self.part = before

    def manual_seed(self, seed: int) -> None:
        """Starts the stream of `seed`, from -2^63 to 2^64 - 1. Errors: ValueError."""
        self.seed.assign_(_as_seed(seed))
        self.counter.assign_(np.int64(0))

    def get_state(self) -> Array:
        """(seed, counter) as int64: what a checkpoint keeps."""
        return np.stack([self.seed.numpy(), self.counter.numpy()])

    def set_state(self, state: Any) -> None:
        """Goes on from what `get_state` gave. Errors: ShapeError, DTypeError."""
        values = np.asarray(state)
        if values.shape != (2,):
            raise ShapeError(explain("set_state", f"needs (seed, counter), got {values.shape}"))
        if not is_integer(values.dtype):
            raise DTypeError(explain("set_state", f"needs integers, got {values.dtype}"))
        seed, counter = values.astype(int64)
        self.seed.assign_(seed)
        self.counter.assign_(counter)

    def uniform(self, shape: Shape, dtype: Any = float32) -> Tensor:
        """Numbers in [0, 1) of `shape`; the counter moves on by 16 bytes a step."""
        dtype = as_dtype(dtype)
        b = Builder(current_scope(), user_place())

        def make(counter: Tensor, offset: int) -> Tensor:
            attrs = {"shape": shape, "dtype": dtype, "offset": offset}
            return Tensor(b.random_uniform(self.seed.node, counter.node, **attrs))

        return self.draw(make, -(-size_of(shape) * dtype.itemsize // 16))

    def draw(self, make: Callable[[Tensor, int], Tensor], steps: int) -> Tensor:
        """`make(counter, offset)`, a tensor that draws from there; the counter moves on by `steps`.

        It is made before the counter changes: a tensor not yet computed reads what it was made of.
        """
        recording = capture.current()
        which, parts = self.part
        start, offset, skipped, steps = self.counter.node, 0, which * steps, parts * steps
        if recording is None:
            drawn = make(self.counter, skipped)
            self.counter.assign_(self.counter.numpy() + np.int64(steps))
            return drawn
        assigned, first, before = self._drawn.get(recording, (None, start, 0))
        if assigned is start:
            start, offset = first, before
        drawn = make(Tensor(start), offset + skipped)
        after = Builder(current_scope(), user_place()).add(start, offset + steps)
        self.counter.assign_(Tensor(after))
        self._drawn[recording] = (after, start, offset + steps)
        return drawn


def _as_seed(seed: int) -> np.int64:
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not -(2**63) <= seed < 2**64:
        raise ValueError(
            explain("manual_seed", f"{seed!r} is not a whole number from -2^63 to 2^64 - 1")
        )
    return np.uint64(int(seed) % 2**64).astype(np.int64)


default = Generator()
"""The stream that `tx.rand` and dropout draw from, seeded by `tx.manual_seed`."""


def manual_seed(seed: int) -> None:
    """Starts the stream of random numbers that `seed` names."""
    default.manual_seed(seed)


def get_state() -> Array:
    """(seed, counter) of the stream, for a checkpoint."""
    return default.get_state()


def set_state(state: Any) -> None:
    """Goes on from what `get_state` gave. Errors: ShapeError, DTypeError."""
    default.set_state(state)


def rand(*shape: int | Sequence[int], dtype: Any = float32) -> Tensor:
    """Numbers drawn evenly from [0, 1): 24 random bits in float32, 53 in float64."""
    return default.uniform(_sizes("rand", shape), _floating("rand", dtype))


def randn(*shape: int | Sequence[int], dtype: Any = float32) -> Tensor:
    """Numbers drawn from the normal distribution N(0, 1). Box and Muller 1958.

    Maths: sqrt(-2 ln(1 - u)) cos(2 pi v), and the same with sin. In float32 |z| <= 5.77.
    """
    sizes = _sizes("randn", shape)
    count = size_of(sizes)
    half = (count + 1) // 2
    pairs = default.uniform((2, half), _floating("randn", dtype))
    radius, angle = sqrt(-2.0 * log(1.0 - pairs[0])), 2 * np.pi * pairs[1]
    return reshape(concat([radius * cos(angle), radius * sin(angle)])[:count], sizes)


def randint(low: int, high: int, shape: int | Sequence[int] = (), dtype: Any = int64) -> Tensor:
    """Integers drawn evenly from low, ..., high - 1. Errors: ValueError, DTypeError.

    Each stands for a share of 2^53 equally likely numbers: exact to (high - low) / 2^53.
    """
    dtype = as_dtype(dtype)
    if not is_integer(dtype):
        raise DTypeError(explain("randint", f"draws integers, not {dtype}", remedy="use tx.rand"))
    limits = np.iinfo(dtype)
    if not 0 < high - low <= EXACT_RANGE or low < limits.min or high - 1 > limits.max:
        what = f"no {dtype} can be drawn from {low} to {high} - 1"
        raise ValueError(explain("randint", what, remedy="use low < high, at most 2^53 apart"))
    places = floor(default.uniform(_sizes("randint", (shape,)), float64) * float(high - low))
    return astype(astype(places, int64) + low, dtype)


def dropout(x: TensorLike, p: float) -> Tensor:
    """Each element zero with probability `p`, else divided by 1 - p. Srivastava et al. 2014.

    Errors: ValueError for p outside [0, 1).
    """
    x = as_tensor(x)
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p is {p}, not at least 0 and below 1.")
    if p == 0:
        return as_tensor(x)
    kept = default.uniform(x.shape, _floating("dropout", x.dtype)) >= p
    return where(kept, x * (1 / (1 - p)), 0.0)


def randperm(count: int) -> Tensor:
    """0, ..., count - 1 in a random order."""
    if not count:
        return arange(0)
    return argsort(default.uniform(_sizes("randperm", (count,)), float64))


def _sizes(operation: str, given: Sequence[Any]) -> Shape:
    """Sizes passed one by one, or as one sequence."""
    listed = given[0] if len(given) == 1 and not isinstance(given[0], (int, np.integer)) else given
    sizes = tuple(int(n) for n in listed)
    if any(n < 0 for n in sizes):
        raise ShapeError(explain(operation, f"sizes must not be negative, got {sizes}"))
    return sizes


def _floating(operation: str, dtype: Any) -> Any:
    found = as_dtype(dtype)
    if not is_float(found) or found.itemsize < 4:
        what = f"draws float32 or float64, not {found}"
        raise DTypeError(explain(operation, what, remedy="use astype on the result"))
    return found


__getattr__ = of_package(__name__, __all__)
