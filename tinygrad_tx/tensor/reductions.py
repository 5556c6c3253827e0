"""Reductions over axes."""

from __future__ import annotations

from tinygrad_tx.dtypes import float64, is_float
from tinygrad_tx.shapes import axes_of, axis_of
from tinygrad_tx.tensor.elementwise import astype, exp, log, sqrt, square, where
from tinygrad_tx.tensor.methods import Axis
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "cumsum",
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


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis` (all axes for None)."""
    return _reduced("sum", x, axis, keepdims)


def prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over `axis`."""
    return _reduced("prod", x, axis, keepdims)


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element; NaN if one is there. Errors: ShapeError for an empty axis."""
    return _reduced("max", x, axis, keepdims)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element; NaN if one is there. Errors: ShapeError for an empty axis."""
    return _reduced("min", x, axis, keepdims)


def any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether one element is true."""
    return _reduced("any", x, axis, keepdims)


def all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether every element is true."""
    return _reduced("all", x, axis, keepdims)


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
    if axis is None:
        x, axis = x.reshape((x.size,)), 0
    result: Tensor = build(name, x, axis=axis_of(axis, x.ndim, name), keepdims=keepdims)
    return result


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
