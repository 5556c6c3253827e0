"""Ways to tell attention where its tokens stand. Each says for itself what it changes.

A position scheme may turn queries and keys (rotary), or add to the scores (ALiBi, T5, Shaw).
Learned and sinusoidal positions are added to the embeddings by the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import int64
from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.nn.layers import Embedding
from tinygrad_tx.nn.module import Module
from tinygrad_tx.nn.parameters import normal
from tinygrad_tx.tensor import Tensor, broadcast_to, concat, take, take_along_axis, tensor
from tinygrad_tx.tensor.tensor import build

__all__ = ["ALiBi", "Position", "RelativeBias", "Rotary", "ShawRelative", "Sinusoidal"]


class Sinusoidal(Module):
    """Fixed positions, added to the embeddings: `module(time)` is (time, width).

    Behind what a cache keeps, `module(time, start)` is (batch, time, width).

    P[t, 2i] = sin(t / 10000^(2i/width)),  P[t, 2i+1] = cos(t / 10000^(2i/width))
    Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        angles = np.arange(context)[:, None] / 10_000 ** (np.arange(0, width, 2) / width)
        table = np.empty((context, width), np.float32)
        table[:, 0::2] = np.sin(angles)
        table[:, 1::2] = np.cos(angles)[:, : width // 2]
        self.table = tensor(table)

    def forward(self, time: int, start: Tensor | int = 0) -> Tensor:
        rows = _rows(self.table, start, time)
        return rows if isinstance(start, int) else rows[:, 0]


class Position(Module):
    """A scheme that leaves everything as it is; the others change one of the two."""

    def turned(self, x: Tensor, start: Tensor | int = 0) -> Tensor:
        """Queries or keys (batch, heads, time, width) whose first stands at place `start`.

        start: of all texts, or (batch,) of each.
        """
        del start
        return x

    def bias(self, queries: Tensor, keys: int, start: Tensor | int = 0) -> Tensor | None:
        """What is added to the scores; broadcasts to (batch, heads, queries, keys).

        queries (batch, heads, time, width), the first of which stands at place `start`.
        """
        del queries, keys, start
        return None


class Rotary(Position):
    """Rotary positions: pairs of numbers turned by an angle that grows with the place.

    The pair (i, i + width/2) at place t is turned by t base^(-2i/width). Su et al. 2021, eq. 34, in
    the order of Llama's published weights. Scores then depend on the distance alone.
    """

    def __init__(self, width: int, context: int, base: float = 10_000.0) -> None:
        super().__init__()
        if width % 2:
            raise ShapeError(explain("Rotary", f"the width of a head, {width}, is odd"))
        angles = np.arange(context)[:, None] * base ** (-np.arange(0, width, 2) / width)
        self.context = context
        self.cos = tensor(np.cos(angles).astype(np.float32))
        self.sin = tensor(np.sin(angles).astype(np.float32))

    def forward(self, x: Tensor, start: Tensor | int = 0) -> Tensor:
        cos, sin = (_rows(table, start, x.shape[-2]) for table in (self.cos, self.sin))
        half = x.shape[-1] // 2
        a, b = x[..., :half], x[..., half:]
        return concat([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def turned(self, x: Tensor, start: Tensor | int = 0) -> Tensor:
        turned: Tensor = self(x, start)
        return turned


class ALiBi(Position):
    """Scores fall with the distance, in each head at its own slope. Press et al. 2022.

    The slopes are 2^(-8 i / heads), i = 1 ... heads; where heads is no power of two, those of the
    next smaller power and then every second one of the next larger, as in the authors' code.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        whole = 2 ** int(np.log2(heads))
        slopes = 2.0 ** (-8 / whole * np.arange(1, whole + 1))
        more = 2.0 ** (-4 / whole * np.arange(1, 2 * (heads - whole), 2))
        self.slopes = tensor(np.concatenate([slopes, more]).astype(np.float32)[:, None, None])

    def forward(self, queries: int, keys: int, start: Tensor | int = 0) -> Tensor:
        distance = abs(_offsets(queries, keys, start)).astype(self.slopes.dtype)
        return -self.slopes * distance  # (heads, queries, keys)

    def bias(self, queries: Tensor, keys: int, start: Tensor | int = 0) -> Tensor:
        bias: Tensor = self(queries.shape[-2], keys, start)
        return bias


class RelativeBias(Position):
    """A learned number for each head and bucket of distances. Raffel et al. 2020, section 2.1.

    Half of the buckets hold one distance each, the others grow by a constant factor up to
    `farthest`. Where both directions are seen, each has half of the buckets.
    """

    def __init__(
        self,
        heads: int,
        rng: np.random.Generator,
        both_ways: bool,
        buckets: int = 32,
        farthest: int = 128,
    ) -> None:
        super().__init__()
        exact = buckets // (4 if both_ways else 2)
        if not 0 < exact < farthest:
            what = (
                f"{exact} of {buckets} buckets hold one distance each, and farthest is {farthest}"
            )
            raise ShapeError(explain("RelativeBias", what, remedy="raise farthest, or buckets"))
        self.both_ways = both_ways
        self.buckets, self.farthest = buckets, farthest
        self.embedding = Embedding(buckets, heads, rng)
        # The bucket of every distance from `farthest` keys before to as many behind a query.
        self.bucket_of = tensor(self._buckets(np.arange(-farthest, farthest + 1)))

    def _buckets(self, offset: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """offset: place of the key less that of the query."""
        count = self.buckets // 2 if self.both_ways else self.buckets
        first = np.where(offset > 0, count, 0) if self.both_ways else np.zeros_like(offset)
        distance = abs(offset) if self.both_ways else np.maximum(-offset, 0)
        exact = count // 2
        # In float32, as the authors' code has it: bounds of buckets fall on whole numbers.
        ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact))
        far = exact + (ratio / np.log(np.float32(self.farthest / exact)) * (count - exact)).astype(
            np.int64
        )
        return first + np.where(distance < exact, distance, np.minimum(far, count - 1))

    def forward(self, queries: int, keys: int, start: Tensor | int = 0) -> Tensor:
        offsets = _offsets(queries, keys, start)
        near = offsets.clip(-self.farthest, self.farthest) + self.farthest
        bias: Tensor = self.embedding(take(self.bucket_of, near, 0))
        if near.ndim == 2:  # (queries, keys, heads) -> (heads, queries, keys)
            return bias.permute_dims((2, 0, 1))
        return bias[:, 0].permute_dims((0, 3, 1, 2))  # (batch, heads, queries, keys)

    def bias(self, queries: Tensor, keys: int, start: Tensor | int = 0) -> Tensor:
        bias: Tensor = self(queries.shape[-2], keys, start)
        return bias


class ShawRelative(Position):
    """A learned vector for each distance up to `farthest`, added to the keys. Shaw et al. 2018.

    e_ij = q_i (k_j + a_(j - i)) / sqrt(width), equation 4; distances beyond are cut, section 3.2.
    The second term of equation 3, on the values, is left out, as the authors found it may be.
    """

    def __init__(self, width: int, rng: np.random.Generator, farthest: int = 16) -> None:
        super().__init__()
        self.farthest = farthest
        self.weight = normal(rng, (2 * farthest + 1, width))

    def forward(self, queries: Tensor, keys: int, start: Tensor | int = 0) -> Tensor:
        batch, heads, time, width = queries.shape
        offsets = _offsets(time, keys, start).clip(-self.farthest, self.farthest) + self.farthest
        # (batch, heads, time, 2 farthest + 1), of which each query takes the keys it has
        by_distance = queries @ self.weight.T * width**-0.5
        chosen = broadcast_to(offsets, (batch, heads, time, keys))
        return take_along_axis(by_distance, chosen, -1)

    def bias(self, queries: Tensor, keys: int, start: Tensor | int = 0) -> Tensor:
        bias: Tensor = self(queries, keys, start)
        return bias


def _rows(table: Tensor, start: Tensor | int, count: int) -> Tensor:
    """Rows start ... start + count - 1: (count, width), a view, or (batch, 1, count, width)."""
    if isinstance(start, int):
        return table[start : start + count]
    return take(table, _places_from(start, count), 0)


def _places(count: int) -> Tensor:
    """0, 1, ... count - 1 as a node, which all layers of a model share. int64."""
    places: Tensor = build("iota", shape=(count,), axis=0, dtype=int64)
    return places


def _places_from(start: Tensor | int, count: int) -> Tensor:
    """Places of new tokens: (count,), or (batch, 1, count) where each text has its own start."""
    if isinstance(start, int):
        return _places(count) + start if start else _places(count)
    return start.reshape((-1, 1, 1)) + _places(count)


def _offsets(queries: int, keys: int, start: Tensor | int) -> Tensor:
    """Place of each key less that of each query: ([batch, 1,] queries, keys). int64."""
    at = _places_from(start, queries)
    offsets: Tensor = _places(keys) - at.reshape((*at.shape, 1))
    return offsets
