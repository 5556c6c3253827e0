"""Derivatives of functions: each transform runs the function once and derives its graph."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tinygrad_tx.autodiff import forward, reverse
from tinygrad_tx.dtypes import is_float
from tinygrad_tx.errors import (
    ArgumentError,
    DTypeError,
    GraphError,
    ShapeError,
    TinygradTxError,
    explain,
)
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.tensor import reshape, stack
from tinygrad_tx.tensor.arrays import settle_foreign
from tinygrad_tx.tensor.tensor import Tensor, as_tensor
from tinygrad_tx.tree import Tree, flatten, unflatten

__all__ = ["grad", "hessian", "jacobian", "jvp", "value_and_grad", "vjp"]

T = TypeVar("T")

_fresh = itertools.count()


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _primals(values: Any) -> tuple[list[Tensor], Tree]:
    """Each tensor as a node of its own, so that nested transforms never mix up their inputs."""
    found, tree = flatten(values, _is_tensor)
    b = Builder(current_scope(), user_place())
    nodes = [b.alias(as_tensor(t).node, tag=next(_fresh)) for t in found]
    tensors = [Tensor(n, requires_grad=True) for n in nodes]
    settle_foreign(tensors)
    return tensors, tree


def _outputs(value: Any) -> tuple[list[Tensor], Tree]:
    return flatten(value, lambda v: isinstance(v, Tensor))


def _zeros_where_none(found: Sequence[Node | None], like: Sequence[Node]) -> list[Tensor]:
    b = Builder(current_scope(), user_place())
    pairs = zip(found, like, strict=True)
    # A derivative may be differentiated again: it asks for gradients like any result.
    tensors = [Tensor(b.full(n.shape, 0, n.dtype) if g is None else g, True) for g, n in pairs]
    settle_foreign(tensors)
    return tensors


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The result of `function`, and the map from its cotangents to those of the primals."""
    tensors, tree = _primals(primals)
    out = function(*unflatten(tree, list(tensors)))
    results, out_tree = _outputs(out)

    def pull(cotangents: Any) -> Any:
        given, _ = flatten(cotangents, _is_tensor)
        if len(given) != len(results):
            what = f"needs {len(results)} cotangents, got {len(given)}"
            raise GraphError(explain("vjp", what, remedy="pass one for each result"))
        nodes = [t.node for t in tensors]
        found = reverse([r.node for r in results], [as_tensor(g).node for g in given], nodes)
        return unflatten(tree, list(_zeros_where_none(found, nodes)))

    return unflatten(out_tree, list(results)), pull


def jvp(function: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The result of `function` at `primals`, and how it moves along `tangents`."""
    tensors, tree = _primals(tuple(primals))
    moves, _ = flatten(tuple(tangents), _is_tensor)
    out = function(*unflatten(tree, list(tensors)))
    results, out_tree = _outputs(out)
    nodes = [r.node for r in results]
    found = forward(nodes, [t.node for t in tensors], [as_tensor(m).node for m in moves])
    moved = _zeros_where_none(found, nodes)
    return unflatten(out_tree, list(results)), unflatten(out_tree, list(moved))


def value_and_grad(
    function: Callable[..., T], argnums: int | tuple[int, ...] = 0
) -> Callable[..., tuple[T, Any]]:
    """A function that gives (value, gradients with respect to the arguments `argnums`).

    `function` returns one number, or a tuple of it and anything else. Errors: ShapeError.
    """

    def derived(*args: Any, **kwargs: Any) -> tuple[T, Any]:
        chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        _check_arguments(args, chosen)
        tensors, tree = _primals(tuple(args[i] for i in chosen))
        values = list(args)
        for i, value in zip(chosen, unflatten(tree, list(tensors)), strict=True):
            values[i] = value
        out = function(*values, **kwargs)
        loss: Any = out[0] if isinstance(out, tuple) else out
        if not isinstance(loss, Tensor) or loss.size != 1:
            raise _no_number(loss)
        b = Builder(current_scope(), user_place())
        nodes = [t.node for t in tensors]
        found = reverse([loss.node], [b.full(loss.shape, 1, loss.dtype)], nodes)
        grads = unflatten(tree, list(_zeros_where_none(found, nodes)))
        return out, grads[0] if isinstance(argnums, int) else grads

    return derived


def _check_arguments(args: Sequence[Any], chosen: Sequence[int]) -> None:
    """Errors: ArgumentError, DTypeError for what has no gradient."""
    for i in chosen:
        if not -len(args) <= i < len(args):
            what = f"there is no argument {i} among {len(args)}"
            remedy = "argnums counts positional arguments from 0"
            raise ArgumentError(explain("grad", what, remedy=remedy))
        found, _ = flatten(args[i], _is_tensor)
        if not found:
            what = f"argument {i}, a {type(args[i]).__name__}, holds no tensor"
            remedy = "pass tx.tensor(values) or np.array(values); argnums= chooses another argument"
            raise ArgumentError(explain("grad", what, remedy=remedy))
        whole = [v for v in found if not is_float(v.dtype)]
        if len(whole) == len(found):
            what = f"argument {i} is {whole[0].dtype}: whole numbers have no gradient"
            remedy = "pass floats, as x.astype(np.float64); argnums= chooses another argument"
            raise DTypeError(explain("grad", what, remedy=remedy))


def _no_number(loss: Any) -> TinygradTxError:
    """The error for what a function returned in place of one number."""
    if isinstance(loss, Tensor):
        remedy = "reduce it to one number, as by sum(), or use vjp or jacobian"
        return ShapeError(explain("grad", f"the function returned {loss.shape}", remedy=remedy))
    remedy = (
        "return a tensor, computed by tx functions alone: float(), item() and NumPy arrays leave "
        "the graph"
    )
    what = f"the function returned {type(loss).__name__}, not a tensor"
    return ShapeError(explain("grad", what, remedy=remedy))


def grad(function: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The gradient of a function that returns one number; nests to any order."""
    both = value_and_grad(function, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def jacobian(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The derivative of every element of the result by every element of the argument.

    Shapes: result.shape + argument.shape. One reverse pass for each element of the result.
    """

    def derived(x: Any) -> Tensor:
        (primal,), _ = _primals(x)
        result = function(primal)
        if not isinstance(result, Tensor):
            what = f"the function returned {type(result).__name__}, not a tensor"
            raise GraphError(explain("jacobian", what, remedy="use vjp for nested results"))
        b = Builder(current_scope(), user_place())
        rows = []
        for i in range(result.size):
            place = b.iota(shape=(result.size,), axis=0, dtype=np.dtype(np.int64))
            chosen = b.astype(b.equal(place, i), dtype=result.dtype)
            seed = b.reshape(chosen, shape=result.shape)
            found = reverse([result.node], [seed], [primal.node])
            rows += _zeros_where_none(found, [primal.node])
        shape = (*result.shape, *primal.shape)
        return reshape(stack(rows), shape) if rows else Tensor(b.full(shape, 0, result.dtype))

    return derived


def hessian(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The second derivatives of a function that returns one number."""
    return jacobian(grad(function))
