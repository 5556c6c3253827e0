"""Builder: how Nodes are made, by operator name: `b.multiply(x, y)`.

Operators' rules, the autodiff and the tensor functions all build through it, so it is the one
place where arguments are checked, scalars become constants and elementwise inputs are broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tinygrad_tx.dtypes import DType, scalar_dtype
from tinygrad_tx.errors import Rejected, ShapeError, TinygradTxError, explain
from tinygrad_tx.graph.node import Aval, Node, Operator, make_node
from tinygrad_tx.graph.registry import find
from tinygrad_tx.shapes import Shape, broadcast_shapes

__all__ = ["Builder"]

Scalar = bool | int | float


class Builder:
    """Makes nodes that carry `scope` (module path) and `place` (the user's file and line).

    Every operator is a method: `b.exp(x)`, `b.sum(x, axes=(0,), keepdims=False)`. Elementwise
    operators take Python scalars (weak: they take the tensor's dtype) and broadcast their inputs.
    An operator with several results returns a tuple.
    """

    __slots__ = ("place", "scope")

    def __init__(self, scope: str = "", place: str = "") -> None:
        self.scope = scope
        self.place = place

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self.apply, find(name))

    def constant(self, value: Scalar, dtype: DType) -> Node:
        """A 0-d constant."""
        kind = {"b": bool, "i": int, "u": int, "f": float}[dtype.kind]
        return self._make(find("constant"), (), {"value": kind(value), "dtype": dtype})

    def full(self, shape: Shape, value: Scalar, dtype: DType) -> Node:
        """A constant broadcast to `shape`."""
        return self.broadcast_to(self.constant(value, dtype), shape)

    def broadcast_to(self, x: Node, shape: Shape) -> Node:
        """`x` under the broadcasting rules of the array API; `x` itself if nothing changes."""
        if x.shape == shape:
            return x
        return self._make(find("broadcast_to"), (x,), {"shape": shape})

    def apply(self, op: Operator, *inputs: Node | Scalar, name: str = "", **attrs: Any) -> Any:
        """The node of `op`; for several results a tuple of their parts."""
        if op.is_elementwise:
            nodes = self._broadcast(op, inputs)
        else:
            nodes = tuple(i for i in inputs if isinstance(i, Node))
            assert len(nodes) == len(inputs), f"{op.name} takes nodes, got {inputs}"
        node = self._make(op, nodes, attrs, name)
        if len(node.outputs) == 1:
            return node
        part = find("part")
        return tuple(self._make(part, (node,), {"index": i}) for i in range(len(node.outputs)))

    def rebuild(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        """`node` on other inputs, keeping its attributes, name, scope and place."""
        if inputs == node.inputs:
            return node
        outputs = _infer(node.op, inputs, node.attrs, node.where)
        return make_node(node.op, inputs, node.attrs, outputs, node.scope, node.name, node.where)

    def _make(
        self, op: Operator, inputs: tuple[Node, ...], attrs: dict[str, Any], name: str = ""
    ) -> Node:
        outputs = _infer(op, inputs, attrs, self.place)
        return make_node(op, inputs, attrs, outputs, self.scope, name, self.place)

    def _broadcast(self, op: Operator, inputs: tuple[Node | Scalar, ...]) -> tuple[Node, ...]:
        tensors = [i for i in inputs if isinstance(i, Node)]
        beside = next((t.dtype for t in reversed(tensors)), None)
        if beside is None:
            raise TypeError(f"{op.name}: needs at least one tensor, got {inputs}")
        nodes = [
            i if isinstance(i, Node) else self.constant(i, scalar_dtype(i, beside)) for i in inputs
        ]
        shape = broadcast_shapes(*(n.shape for n in nodes))
        if shape is None:
            shapes = " and ".join(str(t.shape) for t in tensors)
            remedy = "sizes must be equal or 1, counted from the last axis"
            bad = Rejected(ShapeError, f"shapes do not broadcast: {shapes}", remedy)
            raise _refused(op, bad, tuple(tensors), self.place)
        return tuple(self.broadcast_to(n, shape) for n in nodes)


def _infer(op: Operator, inputs: tuple[Node, ...], attrs: Any, where: str) -> tuple[Aval, ...]:
    try:
        outputs = op.infer(*(n.aval if len(n.outputs) == 1 else n.outputs for n in inputs), **attrs)
    except Rejected as bad:
        raise _refused(op, bad, inputs, where) from None
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _refused(op: Operator, bad: Rejected, inputs: tuple[Node, ...], where: str) -> TinygradTxError:
    """The error for what an operator does not take, with the places that led there."""
    message = explain(op.name, bad.what, made=_places(inputs), remedy=bad.remedy)
    return bad.kind(f"{message[:-1]} (at {where})." if where else message)


def _places(inputs: tuple[Node, ...]) -> list[tuple[str, str]]:
    words: tuple[str, ...] = ("input",) if len(inputs) == 1 else ("left", "right")
    if len(inputs) > 2:
        words = tuple(f"input {i}" for i in range(len(inputs)))
    return [(w, n.where) for w, n in zip(words, inputs, strict=True)]
