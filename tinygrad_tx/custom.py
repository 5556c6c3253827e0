"""Functions as single nodes: recomputed in the backward pass, or with a gradient of their own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.autodiff import reverse
from tinygrad_tx.dtypes import as_dtype, is_float
from tinygrad_tx.errors import GraphError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.ops.call import Body
from tinygrad_tx.tensor.arrays import as_one_operation, settle_foreign
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, wrap
from tinygrad_tx.tree import Tree, flatten, unflatten

__all__ = ["CustomOp", "checkpoint", "custom_op"]

Rule = Callable[..., Sequence[Node | None]]

_fresh = itertools.count()


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose inner values are computed again in the backward pass, not kept for it.

    Results and gradients are the same; a training step needs less memory and more time. Chen et al.
    2016, "Training deep nets with sublinear memory cost".
    """

    @functools.wraps(function)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        return _called(function, args, kwargs, _recompute)

    return recomputed


def _recompute(b: Builder, node: Node, *cotangents: Node | None) -> list[Node | None]:
    after = next(c for c in cotangents if c is not None)
    # Behind barriers the function is not the one of the forward pass, and not computed before the
    # backward pass gets here; the alias keeps apart an input that is passed twice.
    inputs = [
        b.alias(b.barrier(x, after), tag=i) if is_float(x.dtype) else x
        for i, x in enumerate(node.inputs)
    ]
    body: Body = node.attrs["body"]
    given = [
        b.full(o.shape, 0, o.dtype) if c is None and is_float(o.dtype) else c
        for o, c in zip(body.outputs, cotangents, strict=True)
    ]
    return list(reverse(body.on(inputs), given, inputs))


class CustomOp:
    """An operator of your own. Made by `custom_op`."""

    def __init__(
        self,
        function: Callable[..., Any],
        gradient: Callable[..., Any] | None,
        result: Callable[..., Any] | None,
    ) -> None:
        self._function, self._gradient, self._result = function, gradient, result
        functools.update_wrapper(self, function)

    @property
    def rule(self) -> Callable[..., Any] | None:
        """The gradient rule, if it has one."""
        return self._gradient

    def gradient(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Sets the gradient rule; use it as a decorator."""
        self._gradient = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._result is None:
            return _called(self._function, args, kwargs, self._rule)
        if kwargs:
            raise GraphError(explain(self._name, "takes no keyword arguments"))
        tensors = [as_tensor(a) for a in args]
        found = self._result(*tensors)
        several = isinstance(found, list)
        avals = tuple(
            Aval(tuple(int(n) for n in shape), as_dtype(dtype))
            for shape, dtype in (found if several else [found])
        )
        b = Builder(current_scope(), user_place())
        attrs: dict[str, Any] = {"function": self._function, "results": avals, "rule": self._rule}
        attrs["early"] = False
        made = b.apply(find("external"), *(t.node for t in tensors), **attrs)
        return wrap(made, any(t.requires_grad for t in tensors))

    @property
    def _name(self) -> str:
        return getattr(self._function, "__name__", "custom operator")

    def _rule(self, b: Builder, node: Node, *cotangents: Node | None) -> list[Node | None]:
        if self._gradient is None:
            remedy = "give one with custom_op(gradient=...), or stop_gradient its result"
            what = "has no gradient rule"
            raise GraphError(explain(self._name, what, made=[("it", node.where)], remedy=remedy))
        results = b.apply(node.op, *node.inputs, **node.attrs)
        several = isinstance(results, tuple)
        outputs = [Tensor(r, True) for r in (results if several else (results,))]
        given = [
            Tensor(b.full(o.shape, 0, o.dtype) if c is None else c, True)
            for o, c in zip(outputs, cotangents, strict=True)
        ]
        body = node.attrs.get("body")
        count = len(node.inputs) if body is None else body.arguments
        inputs = [Tensor(i, True) for i in node.inputs[:count]]
        if several:
            found = self._gradient(tuple(given), tuple(outputs), *inputs)
        else:
            found = self._gradient(given[0], outputs[0], *inputs)
        return self._checked(found, node, count)

    def _checked(self, found: Any, node: Node, count: int) -> list[Node | None]:
        passed = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(passed) != count:
            what = f"its gradient rule returned {len(passed)} for {count} inputs"
            raise GraphError(explain(self._name, what, remedy="return one for each, or None"))
        nodes: list[Node | None] = []
        for value, source in zip(passed, node.inputs[:count], strict=True):
            cotangent = None if value is None else as_tensor(value, source.dtype).node
            if cotangent is not None and cotangent.aval != source.aval:
                what = f"its gradient rule returned {cotangent.aval} for an input {source.aval}"
                raise ShapeError(explain(self._name, what, made=[("it", node.where)]))
            nodes.append(cotangent)
        return [*nodes, *[None] * (len(node.inputs) - count)]


def custom_op(
    function: Callable[..., Any] | None = None,
    *,
    gradient: Callable[..., Any] | None = None,
    result: Callable[..., Any] | None = None,
) -> Any:
    """An operator of your own from a function and its gradient rule; also a decorator.

    function: of tensors and to tensors; with `result`, of NumPy arrays and to NumPy arrays, and
    then result(*tensors) gives (shape, dtype) of what it returns, or a list of them for a tuple.
    gradient(cotangent, output, *inputs): the cotangent of each input, by functions on tensors;
    tuples of cotangents and outputs where there are several. Under `tx.jit` it is a step of the
    Program.
    Errors: GraphError where it is differentiated without a rule.
    """
    if function is None:
        return lambda f: CustomOp(f, gradient, result)
    return CustomOp(function, gradient, result)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _called(function: Callable[..., Any], args: Any, kwargs: Any, rule: Rule) -> Any:
    """The results of `function` as parts of one `call` node."""
    with as_one_operation():
        made, tree = _call(function, args, kwargs, rule)
    settle_foreign(made)
    return unflatten(tree, made)


def _call(
    function: Callable[..., Any], args: Any, kwargs: Any, rule: Rule
) -> tuple[list[Tensor], Tree]:
    found, tree = flatten((args, kwargs), _is_tensor)
    tensors = [as_tensor(t) for t in found]
    b = Builder(current_scope(), user_place())
    nodes = [t.node for t in tensors]
    stand_ins = [b.alias(n, tag=f"call {next(_fresh)}") for n in nodes]
    oldest = b.alias(b.constant(0, np.dtype(np.int64)), tag=f"call {next(_fresh)}").serial
    given = [Tensor(s, t.requires_grad) for s, t in zip(stand_ins, tensors, strict=True)]
    call_args, call_kwargs = unflatten(tree, given)
    results, out_tree = flatten(
        function(*call_args, **call_kwargs), lambda v: isinstance(v, Tensor)
    )
    outputs = tuple(r.node for r in results)
    free = _read_from_outside(outputs, stand_ins, oldest)
    body = Body((*stand_ins, *free), outputs, len(nodes), rule)
    made = b.apply(find("call"), *nodes, *free, body=body)
    parts = made if isinstance(made, tuple) else (made,)
    return [wrap(p, r.requires_grad) for p, r in zip(parts, results, strict=True)], out_tree


def _read_from_outside(
    outputs: Sequence[Node], stand_ins: Sequence[Node], oldest: int
) -> list[Node]:
    """What the function uses besides its arguments: memory, and values from before the call."""
    own = set(stand_ins)

    def outside(node: Node) -> bool:
        return node not in own and (node.op.name == "buffer" or node.serial < oldest)

    found = collect(outputs, stop=lambda n: n in own or outside(n))
    return [n for n in found if outside(n) and (n.inputs or n.op.name == "buffer")]
