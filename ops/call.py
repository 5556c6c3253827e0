"""call: a function of tensors as one node, with a gradient rule of its own.

`tx.checkpoint` and `tx.custom_op` make these. The compiler puts the function's own nodes in its
place.
Shapes: those of the function's results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator
from tinygrad_tx.graph.registry import register
from tinygrad_tx.graph.walk import substitute

__all__ = ["Body", "is_checkpoint", "owner_of"]


@dataclass(frozen=True, eq=False)
class Body:
    """A function as a graph: `outputs` of `inputs`, which stand for whatever it is called with."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    arguments: int
    """So many inputs are what the function was given; it reads the others from outside."""
    gradient: Callable[..., Sequence[Node | None]]
    """gradient(b, node, *cotangents), as the gradient rule of an operator."""

    def on(self, inputs: Sequence[Node]) -> tuple[Node, ...]:
        """The outputs for other inputs."""
        return substitute(self.outputs, dict(zip(self.inputs, inputs, strict=True)))


def owner_of(node: Node) -> Any:
    """The custom operator that made a `call` or `external` node; None for any other node."""
    rule = node.attrs.get("rule") or getattr(node.attrs.get("body"), "gradient", None)
    return getattr(rule, "__self__", None)


def is_checkpoint(node: Node) -> bool:
    """Whether it is a function without a rule of a user's: nothing is lost by its expansion."""
    return node.op.name == "call" and owner_of(node) is None


def infer(*inputs: Aval, body: Body) -> tuple[Aval, ...]:
    del inputs
    return tuple(o.aval for o in body.outputs)


def expand(b: Builder, node: Node) -> tuple[Node, ...]:
    del b
    body: Body = node.attrs["body"]
    return body.on(node.inputs)


def gradient(b: Builder, node: Node, *cotangents: Node | None) -> Sequence[Node | None]:
    found: Any = node.attrs["body"].gradient(b, node, *cotangents)
    return list(found)


register(Operator("call", infer=infer, expand=expand, gradient=gradient, formula="f(x, ...)"))
