"""Elementwise functions, as in the array API: operands broadcast and promote."""

from __future__ import annotations

from typing import Any

from tinygrad_tx.dtypes import as_dtype, float64, is_float, is_integer
from tinygrad_tx.errors import DTypeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.shapes import broadcast_shapes
from tinygrad_tx.tensor.arrays import require_cpu
from tinygrad_tx.tensor.tensor import Tensor, TensorLike, as_tensor, build, promoted, wrap

__all__ = [
    "abs",
    "add",
    "astype",
    "ceil",
    "clip",
    "cos",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "gelu",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "pow",
    "power",
    "reciprocal",
    "relu",
    "remainder",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sqrt",
    "square",
    "subtract",
    "tanh",
    "trunc",
    "where",
]

_KEEP_INTEGERS = {"negative", "abs", "square"}
_NOTHING_TO_ROUND = {"floor", "ceil", "round", "trunc"}


def unary(name: str, x: TensorLike, **attrs: Any) -> Tensor:
    x = as_tensor(x)
    if name in _NOTHING_TO_ROUND and is_integer(x.dtype):
        whole: Tensor = x
        return whole
    if name not in _KEEP_INTEGERS and name != "logical_not" and not is_float(x.dtype):
        x = astype(x, float64)  # as NumPy: the functions of an integer are float64
    result: Tensor = build(name, x, **attrs)
    return result


def elementwise(name: str, *operands: TensorLike, floats: bool = False) -> Tensor:
    nodes = promoted(*operands)
    b = Builder(current_scope(), user_place())
    if floats and not is_float(nodes[0].dtype):
        nodes = [b.astype(n, dtype=float64) for n in nodes]
    wants = any(isinstance(o, Tensor) and o.requires_grad for o in operands)
    result: Tensor = wrap(b.apply(find(name), *nodes), wants)
    return result


def astype(x: TensorLike, dtype: Any, *, copy: bool = True, device: Any = None) -> Tensor:
    """The same values in another dtype. `copy` has no meaning for tensors, which never change."""
    del copy
    require_cpu(device)
    result: Tensor = build("astype", as_tensor(x), dtype=as_dtype(dtype))
    return result


def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where the condition holds, else y."""
    chosen = as_tensor(condition)
    left, right = promoted(x, y)
    wants = any(isinstance(o, Tensor) and o.requires_grad for o in (x, y))
    b = Builder(current_scope(), user_place())
    result: Tensor = wrap(b.where(chosen.node, left, right), wants)
    return result


def clip(x: TensorLike, min: TensorLike = None, max: TensorLike = None) -> Tensor:
    """x held between `min` and `max`; None leaves that side open."""
    x = as_tensor(x)
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)


def gelu(x: TensorLike, approximate: bool = False) -> Tensor:
    """Gaussian error linear unit; the tanh form where `approximate`."""
    return unary("gelu", x, approximate=approximate)


def negative(x: TensorLike) -> Tensor:
    """-x."""
    return unary("negative", x)


def abs(x: TensorLike) -> Tensor:
    """The size of x, without its sign."""
    return unary("abs", x)


def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1; NaN stays NaN."""
    x = as_tensor(x)
    if is_integer(x.dtype):
        return astype(x > 0, x.dtype) - astype(x < 0, x.dtype)
    return unary("sign", x)


def exp(x: TensorLike) -> Tensor:
    """e to the x."""
    return unary("exp", x)


def expm1(x: TensorLike) -> Tensor:
    """e^x - 1, exact for small x too."""
    return unary("expm1", x)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below it."""
    return unary("log", x)


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), exact for small x too."""
    return unary("log1p", x)


def sqrt(x: TensorLike) -> Tensor:
    """The square root; NaN below 0."""
    return unary("sqrt", x)


def rsqrt(x: TensorLike) -> Tensor:
    """1 / sqrt(x)."""
    return unary("rsqrt", x)


def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return unary("reciprocal", x)


def square(x: TensorLike) -> Tensor:
    """x times x; of integers an integer."""
    return unary("square", x)


def sin(x: TensorLike) -> Tensor:
    """The sine of an angle in radians."""
    return unary("sin", x)


def cos(x: TensorLike) -> Tensor:
    """The cosine of an angle in radians."""
    return unary("cos", x)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent, between -1 and 1."""
    return unary("tanh", x)


def erf(x: TensorLike) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t²) from 0 to x."""
    return unary("erf", x)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + e^-x), without overflow."""
    return unary("sigmoid", x)


def relu(x: TensorLike) -> Tensor:
    """x where it is above 0, else 0."""
    return unary("relu", x)


def silu(x: TensorLike) -> Tensor:
    """x sigmoid(x). Elfwing et al. 2018; also called swish."""
    return unary("silu", x)


def floor(x: TensorLike) -> Tensor:
    """The largest whole number that is at most x; no gradient flows."""
    return unary("floor", x)


def ceil(x: TensorLike) -> Tensor:
    """The smallest whole number that is at least x; no gradient flows."""
    return unary("ceil", x)


def round(x: TensorLike) -> Tensor:
    """The nearest whole number, the even one of two; no gradient flows."""
    return unary("round", x)


def trunc(x: TensorLike) -> Tensor:
    """The whole part, towards 0; no gradient flows."""
    return unary("trunc", x)


def isnan(x: TensorLike) -> Tensor:
    """True where x is NaN."""
    return unary("isnan", x)


def isinf(x: TensorLike) -> Tensor:
    """True where x is infinite, of either sign."""
    return unary("isinf", x)


def isfinite(x: TensorLike) -> Tensor:
    """True where x is neither infinite nor NaN."""
    return unary("isfinite", x)


def logical_not(x: TensorLike) -> Tensor:
    """True where x is False."""
    return unary("logical_not", x)


def add(x: TensorLike, y: TensorLike) -> Tensor:
    """x + y. Shapes: they broadcast, as of every function of two tensors here."""
    return elementwise("add", x, y)


def subtract(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y."""
    return elementwise("subtract", x, y)


def multiply(x: TensorLike, y: TensorLike) -> Tensor:
    """x times y."""
    return elementwise("multiply", x, y)


def divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y; of integers float64, as in NumPy."""
    return elementwise("divide", x, y, floats=True)


def power(x: TensorLike, y: TensorLike) -> Tensor:
    """x to the y; of integers an integer, as in NumPy. Errors: DTypeError for their y < 0."""
    left, right = promoted(x, y)
    if not is_integer(left.dtype):
        return elementwise("power", x, y, floats=True)
    if isinstance(y, int) and y < 0:
        what = f"an integer to the power {y} is no integer"
        made = [("it", left.where)]
        raise DTypeError(explain("power", what, made=made, remedy="use astype(float32) first"))
    b = Builder(current_scope(), user_place())
    shape = broadcast_shapes(left.shape, right.shape)
    if shape is not None:
        left, right = b.broadcast_to(left, shape), b.broadcast_to(right, shape)
    result: Tensor = wrap(b.integer_power(left, right), False)
    return result


pow = power
"""The name of `power` in the array API standard."""


def remainder(x: TensorLike, y: TensorLike) -> Tensor:
    """What floor_divide leaves of x, with the sign of y, as Python's %."""
    return elementwise("remainder", x, y)


def floor_divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y rounded down, as Python's //."""
    return elementwise("floor_divide", x, y)


def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of x and y; NaN where either is NaN."""
    return _larger("maximum", "greater", x, y)


def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of x and y; NaN where either is NaN."""
    return _larger("minimum", "less", x, y)


def _larger(name: str, compare: str, x: TensorLike, y: TensorLike) -> Tensor:
    """The operator for floats, which lets NaN through; for whole numbers a choice."""
    left, right = promoted(x, y)
    b = Builder(current_scope(), user_place())
    if not is_float(left.dtype):
        chosen: Tensor = wrap(b.where(b.apply(find(compare), left, right), left, right), False)
        return chosen
    wants = any(isinstance(o, Tensor) and o.requires_grad for o in (x, y))
    result: Tensor = wrap(b.apply(find(name), left, right), wants)
    return result


def equal(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x = y; NaN equals nothing."""
    return elementwise("equal", x, y)


def not_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x and y differ."""
    return elementwise("not_equal", x, y)


def less(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x < y."""
    return elementwise("less", x, y)


def less_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x <= y."""
    return elementwise("less_equal", x, y)


def greater(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x > y."""
    return elementwise("greater", x, y)


def greater_equal(x: TensorLike, y: TensorLike) -> Tensor:
    """True where x >= y."""
    return elementwise("greater_equal", x, y)


def logical_and(x: TensorLike, y: TensorLike) -> Tensor:
    """True where both are."""
    return elementwise("logical_and", x, y)


def logical_or(x: TensorLike, y: TensorLike) -> Tensor:
    """True where one is or both are."""
    return elementwise("logical_or", x, y)


def logical_xor(x: TensorLike, y: TensorLike) -> Tensor:
    """True where one is and the other is not."""
    return elementwise("logical_xor", x, y)
