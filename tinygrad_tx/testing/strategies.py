"""Hypothesis strategies for arrays and tensors that are chosen to hurt.

Values: ties, zeros, kinks, denormals, huge, nearly equal; NaN and infinity on request. Layouts: the
same values behind strides, reversed, transposed, broadcast, sliced. All shrink to small arrays.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from hypothesis import event, strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_tx.shapes import Shape
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.testing.layouts import LAID_OUT, LAYOUTS, Layout
from tinygrad_tx.testing.subjects import Array

__all__ = [
    "ELEMENTS",
    "LAYOUTS",
    "arrays",
    "broadcastable_shapes",
    "dtypes",
    "elements",
    "indices",
    "shapes",
    "tensors",
]

Elements = Literal["smooth", "ties", "kinks", "huge", "tiny", "near", "special"]
ELEMENTS: tuple[Elements, ...] = ("smooth", "ties", "kinks", "huge", "tiny", "near")
"""What `elements` mixes unless asked; "special" adds NaN and infinity."""


@st.composite
def shapes(
    draw: st.DrawFn,
    min_dims: int = 0,
    max_dims: int = 3,
    min_side: int = 0,
    max_side: int = 5,
    max_size: int = 200,
) -> Shape:
    """Shapes: 0-d, size 0, size 1, and now and then long and thin."""
    rank = draw(st.integers(min_dims, max_dims))
    sides = [draw(st.integers(min_side, max_side)) for _ in range(rank)]
    if rank and draw(st.integers(0, 9)) == 9:
        # One long axis; the others of size 1.
        long = draw(st.integers(0, rank - 1))
        sides = [max(1, min_side)] * rank
        sides[long] = draw(st.integers(max(max_side, 1), max(max_size, 1)))
    shape = tuple(sides)
    while int(np.prod(shape)) > max_size:
        shape = tuple(max(min_side, n // 2) for n in shape)
    _note_shape(shape)
    return shape


def _note_shape(shape: Shape) -> None:
    if not shape:
        event("shape: 0-d")
    elif 0 in shape:
        event("shape: size 0")
    elif all(n == 1 for n in shape):
        event("shape: all ones")
    elif max(shape) >= 20:
        event("shape: long")


@st.composite
def broadcastable_shapes(
    draw: st.DrawFn, count: int = 2, max_dims: int = 3, max_side: int = 4
) -> tuple[Shape, ...]:
    """Shapes that broadcast together: axes of size 1, and fewer axes."""
    whole = draw(shapes(max_dims=max_dims, max_side=max_side))
    found = []
    for _ in range(count):
        first = draw(st.integers(0, len(whole)))
        ones = draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
        own = tuple(1 if one else n for n, one in zip(whole, ones, strict=True))[first:]
        found.append(own)
    if len(set(found)) > 1:
        event("shapes: broadcast")
    return tuple(found)


def dtypes(kinds: str = "f") -> st.SearchStrategy[np.dtype[Any]]:
    """Element types by kind: f (float64 first), i, b."""
    known = {"f": ("float64", "float32"), "i": ("int64", "int32"), "b": ("bool",)}
    return st.sampled_from([np.dtype(name) for kind in kinds for name in known[kind]])


def elements(dtype: Any = np.float64, kind: Elements | None = None) -> st.SearchStrategy[Any]:
    """One number. kind: a family, or a mixture of all but "special" if not given."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        return st.integers(-3 if dtype.kind == "i" else 0, 9)
    width = dtype.itemsize * 8
    limits = np.finfo(dtype)
    families: dict[str, st.SearchStrategy[float]] = {
        "smooth": st.integers(-4000, 4000).map(lambda n: n / 1000),
        "ties": st.integers(-2, 2).map(float),
        "kinks": st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5]),
        "huge": st.sampled_from([1e4, -1e4, 1e8, -1e8]),
        "tiny": st.sampled_from(
            [1e-6, -1e-6, float(limits.tiny), float(limits.smallest_subnormal)]
        ),
        "near": st.integers(-3, 3).map(lambda n: 1.0 + n * float(limits.eps)),
        "special": st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    }
    chosen = families[kind] if kind else st.one_of(*(families[k] for k in ELEMENTS))
    return chosen.map(lambda v: float(np.array(v, f"f{width // 8}")))


@st.composite
def arrays(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    kind: Elements | None = None,
    special: bool = False,
) -> Array:
    """NumPy arrays of one family of values, or of all mixed; special: NaN and infinity too."""
    found = draw(shapes()) if shape is None else shape
    size = draw(found) if isinstance(found, st.SearchStrategy) else found
    family = kind or draw(st.sampled_from(["smooth", "ties", "kinks", None]))
    if np.dtype(dtype).kind == "f":
        event(f"values: {family or 'mixed'}")
    chosen = elements(dtype, family)
    if special and np.dtype(dtype).kind == "f":
        chosen = st.one_of(chosen, elements(dtype, "special"))
    return draw(hnp.arrays(np.dtype(dtype), size, elements=chosen, fill=st.nothing()))


def indices(size: int, shape: Shape | st.SearchStrategy[Shape] | None = None) -> Any:
    """Integer indices into an axis of `size` > 0: repeats, and negative ones."""
    wanted = shapes(max_dims=2) if shape is None else shape
    return hnp.arrays(np.int64, wanted, elements=st.integers(-size, size - 1))


@st.composite
def tensors(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    kind: Elements | None = None,
    layout: Layout | None = None,
    special: bool = False,
) -> Tensor:
    """Tensors whose memory is laid out in every way that a view can be."""
    values = draw(arrays(dtype, shape, kind, special))
    chosen = draw(st.sampled_from(LAYOUTS)) if layout is None else layout
    event(f"layout: {chosen}")
    return LAID_OUT[chosen](values)
