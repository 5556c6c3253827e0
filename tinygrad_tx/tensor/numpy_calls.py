"""NumPy's functions on tensors: ours where we have them, so that gradients go through.

What is not here NumPy computes from the values and gives as a NumPy array; not of tensors that ask
for gradients, which would end there without a word: that is a TypeError.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_tx.tensor as functions
from tinygrad_tx.errors import DTypeError, explain
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.tree import flatten, unflatten

__all__ = ["UFUNCS", "function", "ufunc"]

_SAME = """
add subtract multiply divide floor_divide remainder power negative positive sign exp expm1
log log1p log2 log10 sqrt square reciprocal sin cos tan sinh cosh tanh hypot logaddexp maximum
minimum floor ceil trunc isnan isinf isfinite signbit copysign nextafter logical_and logical_or
logical_xor logical_not greater greater_equal less less_equal equal not_equal bitwise_and bitwise_or
bitwise_xor matmul"""
_RENAMED = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
}
UFUNCS = {name: name for name in _SAME.split()} | _RENAMED
_METHODS = {
    ("add", "reduce"): "sum",
    ("multiply", "reduce"): "prod",
    ("maximum", "reduce"): "max",
    ("minimum", "reduce"): "min",
    ("logical_and", "reduce"): "all",
    ("logical_or", "reduce"): "any",
    ("add", "accumulate"): "cumulative_sum",
    ("multiply", "accumulate"): "cumulative_prod",
}


def ufunc(called: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc, or its `reduce` or `accumulate`, on tensors and whatever stands beside them."""
    outs = kwargs.pop("out", (None,))
    given = {k: v for k, v in kwargs.items() if v is not None or k == "axis"}
    if all(o is None for o in outs):
        if method == "__call__" and called.__name__ in UFUNCS and not given:
            return getattr(functions, UFUNCS[called.__name__])(*inputs)
        name = _METHODS.get((called.__name__, method))
        if name is not None and len(inputs) == 1 and given.keys() <= {"axis", "keepdims"}:
            return getattr(functions, name)(inputs[0], **{"axis": 0} | given)
    elif any(isinstance(o, Tensor) for o in outs):
        what = "cannot write into a tensor, which never changes"
        raise DTypeError(explain(f"np.{called.__name__}", what, remedy="leave out out="))
    else:
        # What goes into a NumPy array, as in `array += tensor`, is values.
        return getattr(called, method)(*_values(inputs), out=outs, **kwargs)
    return _by_numpy(getattr(called, method), called.__name__, inputs, kwargs)


def function(called: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """A function of NumPy's on tensors and whatever stands beside them."""
    ours = _FUNCTIONS.get(called)
    if ours is not None:
        try:
            inspect.signature(ours).bind(*args, **kwargs)
        except TypeError:
            pass  # an argument that we do not have, as `where`
        else:
            return ours(*args, **kwargs)
    if called in _READERS:
        return called(*_values(args), **_values(kwargs))
    return _by_numpy(called, called.__name__, args, kwargs)


def _values(nest: Any) -> Any:
    found, tree = flatten(nest, lambda v: isinstance(v, Tensor))
    return unflatten(tree, [np.asarray(t) for t in found])


def _by_numpy(called: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    found, _ = flatten((args, kwargs), lambda v: isinstance(v, Tensor))
    if any(t.requires_grad for t in found):
        what = "is NumPy's alone, and would end the gradient without a word"
        remedy = "use detach() for the values, or tx.custom_op for a gradient of your own"
        raise DTypeError(explain(f"np.{name}", what, remedy=remedy))
    return called(*_values(args), **_values(kwargs))


_READERS = {
    np.allclose,
    np.array2string,
    np.array_equal,
    np.array_repr,
    np.array_str,
    np.isclose,
    np.may_share_memory,
    np.ndim,
    np.save,
    np.savetxt,
    np.savez,
    np.shape,
    np.shares_memory,
    np.size,
}
"""They look at values and lead no gradient anywhere."""


def _reduction(name: str) -> Callable[..., Tensor]:
    def reduced(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
        result: Tensor = getattr(functions, name)(a, axis, keepdims=keepdims)
        return result

    return reduced


def _spread(name: str) -> Callable[..., Tensor]:
    def spread(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
        result: Tensor = getattr(functions, name)(a, axis, correction=ddof, keepdims=keepdims)
        return result

    return spread


def _running(name: str) -> Callable[..., Tensor]:
    def running(a: Any, axis: int | None = None) -> Tensor:
        a = functions.reshape(a, -1) if axis is None else a
        result: Tensor = getattr(functions, name)(a, axis=axis or 0)
        return result

    return running


def _take(a: Any, indices: Any, axis: int | None = None) -> Tensor:
    return functions.take(functions.reshape(a, -1) if axis is None else a, indices, axis or 0)


def _sort(a: Any, axis: int | None = -1) -> Tensor:
    return functions.sort(
        functions.reshape(a, -1) if axis is None else a, -1 if axis is None else axis
    )


def _argsort(a: Any, axis: int | None = -1) -> Tensor:
    flat = functions.reshape(a, -1) if axis is None else a
    return functions.argsort(flat, -1 if axis is None else axis)


def _where(condition: Any, x: Any, y: Any) -> Tensor:
    return functions.where(condition, x, y)


def _transpose(a: Any, axes: Sequence[int] | None = None) -> Tensor:
    ndim = functions.as_tensor(a).ndim
    return functions.permute_dims(a, tuple(range(ndim))[::-1] if axes is None else axes)


def _ravel(a: Any) -> Tensor:
    return functions.reshape(a, -1)


def _clip(a: Any, a_min: Any = None, a_max: Any = None) -> Tensor:
    return functions.clip(a, a_min, a_max)


def _reshape(a: Any, shape: Any) -> Tensor:
    return functions.reshape(a, shape)


def _tile(A: Any, reps: Any) -> Tensor:
    return functions.tile(A, (reps,) if isinstance(reps, int) else reps)


def _diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    return functions.diff(a, axis, n)


def _triangle(name: str) -> Callable[..., Tensor]:
    def triangle(m: Any, k: int = 0) -> Tensor:
        result: Tensor = getattr(functions, name)(m, k)
        return result

    return triangle


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{
        getattr(np, n): _reduction(n)
        for n in ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin")
    },
    np.amax: _reduction("max"),
    np.amin: _reduction("min"),
    np.count_nonzero: _reduction("count_nonzero"),
    np.std: _spread("std"),
    np.var: _spread("var"),
    np.cumsum: _running("cumulative_sum"),
    np.cumprod: _running("cumulative_prod"),
    np.broadcast_to: lambda array, shape: functions.broadcast_to(array, shape),
    np.clip: _clip,
    np.concatenate: lambda arrays, axis=0: functions.concat(arrays, axis),
    np.diff: _diff,
    np.einsum: lambda subscripts, *operands: functions.einsum(subscripts, *operands),
    np.expand_dims: lambda a, axis: functions.expand_dims(a, axis),
    np.flip: lambda m, axis=None: functions.flip(m, axis),
    np.matrix_transpose: lambda x: functions.matrix_transpose(x),
    np.moveaxis: lambda a, source, destination: functions.moveaxis(a, source, destination),
    np.repeat: lambda a, repeats, axis=None: functions.repeat(a, repeats, axis),
    np.ravel: _ravel,
    np.reshape: _reshape,
    np.roll: lambda a, shift, axis=None: functions.roll(a, shift, axis),
    np.sort: _sort,
    np.argsort: _argsort,
    np.squeeze: lambda a, axis=None: functions.squeeze(a, axis),
    np.stack: lambda arrays, axis=0: functions.stack(arrays, axis),
    np.swapaxes: lambda a, axis1, axis2: functions.swapaxes(a, axis1, axis2),
    np.take: _take,
    np.take_along_axis: lambda arr, indices, axis=-1: functions.take_along_axis(arr, indices, axis),
    np.tensordot: lambda a, b, axes=2: functions.tensordot(a, b, axes),
    np.tile: _tile,
    np.transpose: _transpose,
    np.tril: _triangle("tril"),
    np.triu: _triangle("triu"),
    np.where: _where,
    np.zeros_like: lambda a, dtype=None: functions.zeros_like(a, dtype),
    np.ones_like: lambda a, dtype=None: functions.ones_like(a, dtype),
    np.full_like: lambda a, fill_value, dtype=None: functions.full_like(a, fill_value, dtype),
}
