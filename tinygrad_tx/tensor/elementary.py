"""Inverse and hyperbolic functions, logarithms and signs, under the names of the array API."""

from __future__ import annotations

from tinygrad_tx.tensor.creation import zeros_like
from tinygrad_tx.tensor.elementwise import elementwise, unary
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "conj",
    "copysign",
    "cosh",
    "hypot",
    "imag",
    "log2",
    "log10",
    "logaddexp",
    "nextafter",
    "positive",
    "real",
    "signbit",
    "sinh",
    "tan",
]


def acos(x: TensorLike) -> Tensor:
    """The angle from 0 to pi whose cosine is x; NaN outside of -1 ... 1."""
    return unary("acos", x)


def acosh(x: TensorLike) -> Tensor:
    """The number from 0 on whose hyperbolic cosine is x; NaN below 1."""
    return unary("acosh", x)


def asin(x: TensorLike) -> Tensor:
    """The angle from -pi/2 to pi/2 whose sine is x; NaN outside of -1 ... 1."""
    return unary("asin", x)


def asinh(x: TensorLike) -> Tensor:
    """The number whose hyperbolic sine is x."""
    return unary("asinh", x)


def atan(x: TensorLike) -> Tensor:
    """The angle from -pi/2 to pi/2 whose tangent is x."""
    return unary("atan", x)


def atan2(x: TensorLike, y: TensorLike) -> Tensor:
    """The angle whose tangent is x / y, in the quadrant that both signs say."""
    return elementwise("atan2", x, y, floats=True)


def atanh(x: TensorLike) -> Tensor:
    """The number whose hyperbolic tangent is x; NaN outside of -1 ... 1."""
    return unary("atanh", x)


def cosh(x: TensorLike) -> Tensor:
    """The hyperbolic cosine, (e^x + e^-x) / 2."""
    return unary("cosh", x)


def sinh(x: TensorLike) -> Tensor:
    """The hyperbolic sine, (e^x - e^-x) / 2."""
    return unary("sinh", x)


def tan(x: TensorLike) -> Tensor:
    """The tangent of an angle in radians."""
    return unary("tan", x)


def log2(x: TensorLike) -> Tensor:
    """The logarithm to base 2."""
    return unary("log2", x)


def log10(x: TensorLike) -> Tensor:
    """The logarithm to base 10."""
    return unary("log10", x)


def logaddexp(x: TensorLike, y: TensorLike) -> Tensor:
    """log(e^x + e^y), without overflow."""
    return elementwise("logaddexp", x, y, floats=True)


def hypot(x: TensorLike, y: TensorLike) -> Tensor:
    """sqrt(x² + y²), without overflow on the way."""
    return elementwise("hypot", x, y, floats=True)


def copysign(x: TensorLike, y: TensorLike) -> Tensor:
    """The size of x with the sign of y, which zeros have too."""
    return elementwise("copysign", x, y, floats=True)


def nextafter(x: TensorLike, y: TensorLike) -> Tensor:
    """The next number that the dtype can hold after x towards y."""
    return elementwise("nextafter", x, y, floats=True)


def signbit(x: TensorLike) -> Tensor:
    """Whether the sign is set, as it is of -0.0."""
    return unary("signbit", x)


def conj(x: TensorLike) -> Tensor:
    """x itself, as there are no complex numbers."""
    return as_tensor(x)


def real(x: TensorLike) -> Tensor:
    """x itself, as there are no complex numbers."""
    return as_tensor(x)


def imag(x: TensorLike) -> Tensor:
    """Zeros, as there are no complex numbers."""
    return zeros_like(as_tensor(x))


def positive(x: TensorLike) -> Tensor:
    """x itself."""
    return as_tensor(x)
