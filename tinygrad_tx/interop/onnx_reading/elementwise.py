"""What ONNX computes element by element, in our functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import as_dtype, bool_, is_float
from tinygrad_tx.errors import DTypeError
from tinygrad_tx.interop.onnx_reading.call import Call, meaning
from tinygrad_tx.tensor import Tensor, bits, elementary, elementwise as f, ones, zeros

__all__: list[str] = []


def _plain(name: str, function: Callable[..., Any], count: int) -> None:
    """An operator that is one function of ours."""

    @meaning(name)
    def compute(call: Call) -> Any:
        return function(*(call.tensor(i) for i in range(count)))


_ONE: Mapping[str, Callable[..., Any]] = {
    "Abs": f.abs,
    "Acos": elementary.acos,
    "Acosh": elementary.acosh,
    "Asin": elementary.asin,
    "Asinh": elementary.asinh,
    "Atan": elementary.atan,
    "Atanh": elementary.atanh,
    "BitwiseNot": bits.bitwise_invert,
    "Ceil": f.ceil,
    "Cos": f.cos,
    "Cosh": elementary.cosh,
    "Erf": f.erf,
    "Exp": f.exp,
    "Floor": f.floor,
    "IsNaN": f.isnan,
    "Log": f.log,
    "Neg": f.negative,
    "Not": f.logical_not,
    "Reciprocal": f.reciprocal,
    "Relu": f.relu,
    "Round": f.round,
    "Sigmoid": f.sigmoid,
    "Sin": f.sin,
    "Sinh": elementary.sinh,
    "Sqrt": f.sqrt,
    "Tan": elementary.tan,
    "Tanh": f.tanh,
}

_TWO: Mapping[str, Callable[..., Any]] = {
    "Add": f.add,
    "And": f.logical_and,
    "BitwiseAnd": bits.bitwise_and,
    "BitwiseOr": bits.bitwise_or,
    "BitwiseXor": bits.bitwise_xor,
    "Equal": f.equal,
    "Greater": f.greater,
    "GreaterOrEqual": f.greater_equal,
    "Less": f.less,
    "LessOrEqual": f.less_equal,
    "Mul": f.multiply,
    "Or": f.logical_or,
    "Sub": f.subtract,
    "Xor": f.logical_xor,
}

for name, function in _ONE.items():
    _plain(name, function, 1)
for name, function in _TWO.items():
    _plain(name, function, 2)
_plain("Where", f.where, 3)


@meaning("Identity")
def identity(call: Call) -> Tensor:
    return call.tensor(0)


@meaning("Dropout")
def dropout(call: Call) -> Any:
    """As outside of training, which is what is exported."""
    if call.has(2) and call.number(2):
        call.refuse("training_mode is true, and its random numbers are not ours")
    call.let_pass(1, "ratio", "seed")  # how much would be dropped
    x = call.tensor(0)
    return x, ones(x.shape, bool_)


@meaning("Sign")
def sign(call: Call) -> Tensor:
    x = call.tensor(0)
    return f.sign(x) if is_float(x.dtype) else (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


@meaning("IsInf")
def isinf(call: Call) -> Tensor:
    x = call.tensor(0)
    found = f.isinf(x)
    if not call.attr("detect_negative", 1):
        found = found & (x > 0)
    return found & (x < 0) if not call.attr("detect_positive", 1) else found


@meaning("Div")
def div(call: Call) -> Tensor:
    """Integers are divided towards 0."""
    x, y = call.tensor(0), call.tensor(1)
    if is_float(x.dtype):
        return f.divide(x, y)
    size = f.floor_divide(f.abs(x), f.abs(y))
    return f.where((x < 0) == (y < 0), size, -size)


@meaning("Mod")
def mod(call: Call) -> Tensor:
    """fmod: with the sign of x, as in C."""
    x, y = call.tensor(0), call.tensor(1)
    if not call.attr("fmod", 0):
        return f.remainder(x, y)
    size = f.remainder(f.abs(x), f.abs(y))
    return f.where(x < 0, -size, size)


@meaning("Pow")
def pow_(call: Call) -> Tensor:
    x, y = call.tensor(0), call.tensor(1)
    return f.power(x, y.astype(x.dtype)).astype(x.dtype)


@meaning("Cast", "CastLike")
def cast(call: Call) -> Tensor:
    call.let_pass("saturate", "round_mode")  # of types of 8 bits or fewer
    if call.op_type == "CastLike":
        return call.tensor(0).astype(call.tensor(1).dtype)
    return call.tensor(0).astype(dtype_of(call, call.attr("to", 0)))


def dtype_of(call: Call, number: int) -> np.dtype[Any]:
    """The element type of this number in ONNX."""
    from onnx.helper import tensor_dtype_to_np_dtype

    try:
        return as_dtype(tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError, ValueError, DTypeError):
        call.refuse(f"element type {number} is not computed with here")
        raise


@meaning("Max", "Min", "Sum", "Mean")
def variadic(call: Call) -> Tensor:
    inputs = call.tensors()
    step = {"Max": f.maximum, "Min": f.minimum}.get(call.op_type, f.add)
    if not is_float(inputs[0].dtype) and call.op_type in ("Max", "Min"):
        step = _greater if call.op_type == "Max" else _smaller
    found: Tensor = reduce(step, inputs)
    return found * (1 / len(inputs)) if call.op_type == "Mean" else found


def _greater(x: Tensor, y: Tensor) -> Tensor:
    """Of integers, which `maximum` does not take."""
    return f.where(x > y, x, y)


def _smaller(x: Tensor, y: Tensor) -> Tensor:
    return f.where(x < y, x, y)


@meaning("Clip")
def clip(call: Call) -> Tensor:
    found = call.tensor(0)
    single = is_float(found.dtype)
    if call.has(1):
        found = (f.maximum if single else _greater)(found, call.tensor(1))
    if call.has(2):
        found = (f.minimum if single else _smaller)(found, call.tensor(2))
    return found


# Activations


@meaning("Gelu")
def gelu(call: Call) -> Tensor:
    approximate = call.attr("approximate", b"none")
    if approximate not in (b"none", b"tanh"):
        call.refuse(f"approximate is {approximate!r}")
    return f.gelu(call.tensor(0), approximate == b"tanh")


@meaning("Swish")
def swish(call: Call) -> Tensor:
    x, alpha = call.tensor(0), call.attr("alpha", 1.0)
    return f.silu(x) if alpha == 1 else x * f.sigmoid(alpha * x)


@meaning("LeakyRelu")
def leaky_relu(call: Call) -> Tensor:
    x = call.tensor(0)
    return f.where(x < 0, x * call.attr("alpha", 0.01), x)


@meaning("PRelu")
def prelu(call: Call) -> Tensor:
    x = call.tensor(0)
    return f.where(x < 0, x * call.tensor(1), x)


@meaning("Elu", "Celu")
def elu(call: Call) -> Tensor:
    """alpha (exp(x) - 1) below 0; of Celu, alpha (exp(x / alpha) - 1)."""
    x, alpha = call.tensor(0), call.attr("alpha", 1.0)
    low = f.minimum(x, zeros((), x.dtype))  # where it is not chosen it must not overflow
    return f.where(x < 0, alpha * f.expm1(low if call.op_type == "Elu" else low / alpha), x)


@meaning("Selu")
def selu(call: Call) -> Tensor:
    x = call.tensor(0)
    alpha, gamma = call.attr("alpha", 1.6732631921768188), call.attr("gamma", 1.0507010221481323)
    low = f.minimum(x, zeros((), x.dtype))
    found: Tensor = gamma * f.where(x < 0, alpha * f.expm1(low), x)
    return found


@meaning("Softplus")
def softplus(call: Call) -> Tensor:
    return _softplus(call.tensor(0))


def _softplus(x: Tensor) -> Tensor:
    return f.relu(x) + f.log1p(f.exp(-f.abs(x)))


@meaning("Softsign")
def softsign(call: Call) -> Tensor:
    x = call.tensor(0)
    return x / (1 + f.abs(x))


@meaning("Mish")
def mish(call: Call) -> Tensor:
    x = call.tensor(0)
    return x * f.tanh(_softplus(x))


@meaning("HardSigmoid")
def hard_sigmoid(call: Call) -> Tensor:
    x = call.tensor(0)
    return f.clip(call.attr("alpha", 0.2) * x + call.attr("beta", 0.5), 0.0, 1.0)


@meaning("HardSwish")
def hard_swish(call: Call) -> Tensor:
    x = call.tensor(0)
    return x * f.clip(x * (1 / 6) + 0.5, 0.0, 1.0)
