"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.dtypes import as_dtype, bool_, float64, int64, is_float
from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.shapes import axes_of, axis_of
from tinygrad_tx.tensor.elementwise import astype, exp, log, not_equal, sqrt, square, where
from tinygrad_tx.tensor.methods import Axis
from tinygrad_tx.tensor.shape import concat
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "logsumexp",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


def _reduced(name: str, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = axes_of(axis, x.ndim, name)
    result: Tensor = build(name, x, axes=axes, keepdims=keepdims)
    return result


def _accumulated(name: str, x: TensorLike, axis: Axis, keepdims: bool, dtype: Any) -> Tensor:
    """A reduction in `dtype`; without one integers add up in int64 and floats in their own."""
    if dtype is None:
        return _reduced(name, x, axis, keepdims)
    result = _reduced(name, astype(x, dtype), axis, keepdims)
    return result if result.dtype == as_dtype(dtype) else astype(result, dtype)


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `axis` (all axes for None); in `dtype` where one is given."""
    return _accumulated("sum", x, axis, keepdims, dtype)


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over `axis`; in `dtype` where one is given."""
    return _accumulated("prod", x, axis, keepdims, dtype)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element; NaN if one is there. Errors: ShapeError for an empty axis."""
    return _reduced("max", x, axis, keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element; NaN if one is there. Errors: ShapeError for an empty axis."""
    return _reduced("min", x, axis, keepdims)


def _truths(x: TensorLike) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype == bool_ else not_equal(x, 0)


def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether one element is true, or not 0."""
    return _reduced("any", _truths(x), axis, keepdims)


def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element is true, or not 0."""
    return _reduced("all", _truths(x), axis, keepdims)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`; of integers in float64."""
    x = as_tensor(x)
    x = x if is_float(x.dtype) else astype(x, float64)
    total = sum(x, axis, keepdims)
    return total * (total.size / x.size if x.size else float("nan"))


def var(
    x: TensorLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False
) -> Tensor:
    """The variance over `axis`, divided by n - correction."""
    x = as_tensor(x)
    centred = x - mean(x, axis, keepdims=True)
    total = sum(square(centred), axis, keepdims)
    count = x.size / total.size if total.size else 0.0
    return total * (1 / (count - correction) if count != correction else float("nan"))


def std(
    x: TensorLike, axis: Axis = None, correction: float = 0.0, keepdims: bool = False
) -> Tensor:
    """The standard deviation over `axis`."""
    return sqrt(var(x, axis, correction, keepdims))


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log of the sum of exponentials, without overflow."""
    x = as_tensor(x)
    top = max(x, axis, keepdims=True).detach()
    # Infinite maxima are taken out of the difference, where they would give NaN.
    top = where(top - top == 0.0, top, 0.0)
    total = log(sum(exp(x - top), axis, keepdims=True)) + top
    axes = axes_of(axis, x.ndim, "logsumexp")
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return total if keepdims else total.reshape(shape)


def _arg(name: str, x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    if axis is not None:
        result: Tensor = build(name, x, axis=axis_of(axis, x.ndim, name), keepdims=keepdims)
        return result
    place: Tensor = build(name, x.reshape((x.size,)), axis=0, keepdims=False)
    return place.reshape((1,) * x.ndim) if keepdims else place


def argmax(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Place of the largest element (int64); of all elements for None."""
    return _arg("argmax", x, axis, keepdims)


def argmin(x: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Place of the smallest element (int64); of all elements for None."""
    return _arg("argmin", x, axis, keepdims)


def cumsum(x: TensorLike, axis: int = 0) -> Tensor:
    """Running sum along `axis`."""
    x = as_tensor(x)
    result: Tensor = build("cumsum", x, axis=axis_of(axis, x.ndim, "cumsum"))
    return result


def _running(x: TensorLike, axis: int | None, dtype: Any, name: str) -> tuple[Tensor, int]:
    """`x` in the dtype that running totals have, and the axis along which they run."""
    x = as_tensor(x)
    if axis is None:
        if x.ndim != 1:
            what = f"needs an axis for {x.ndim} axes of {x.shape}"
            raise ShapeError(explain(name, what, made=[("it", x.node.where)]))
        axis = 0
    if dtype is None and not is_float(x.dtype):
        dtype = int64
    x = x if dtype is None or x.dtype == as_dtype(dtype) else astype(x, dtype)
    return x, axis_of(axis, x.ndim, name)


def _first(x: Tensor, axis: int, stop: int) -> Tensor:
    return x[(*[slice(None)] * axis, slice(stop))]


def cumulative_sum(
    x: TensorLike, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running sum along `axis`, with the 0 that it starts from where `include_initial`."""
    x, at = _running(x, axis, dtype, "cumulative_sum")
    return _started(cumsum(x, at), at, 0, include_initial)


def cumulative_prod(
    x: TensorLike, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running product along `axis`, with the 1 that it starts from where `include_initial`.

    Cost: log2(n) products of the whole, each of twice as many factors: its gradient needs no
    division, so that zeros are as good as anything.
    """
    x, at = _running(x, axis, dtype, "cumulative_prod")
    size, step = x.shape[at], 1
    while step < size:
        x = x * _started(_first(x, at, size - step), at, 1, True, step)
        step *= 2
    return _started(x, at, 1, include_initial)


def _started(x: Tensor, axis: int, value: int, wanted: bool, count: int = 1) -> Tensor:
    """`count` times `value` before `x`."""
    if not wanted:
        return x
    shape = tuple(count if i == axis else n for i, n in enumerate(x.shape))
    return concat([as_tensor(np.full(shape, value, x.dtype)), x], axis)


def diff(
    x: TensorLike,
    axis: int = -1,
    n: int = 1,
    prepend: TensorLike = None,
    append: TensorLike = None,
) -> Tensor:
    """Differences of neighbours along `axis`, taken `n` times; of bool whether they differ."""
    x = as_tensor(x)
    at = axis_of(axis, x.ndim, "diff")
    if n < 0:
        raise ShapeError(explain("diff", f"cannot be taken {n} times"))
    found = concat([p for p in (prepend, x, append) if p is not None], at)
    for _ in range(n):
        later, sooner = found[(*[slice(None)] * at, slice(1, None))], _first(found, at, -1)
        found = not_equal(later, sooner) if found.dtype == bool_ else later - sooner
    return found


def count_nonzero(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements are not 0, over `axis`."""
    return sum(_truths(x), axis, keepdims)
