"""apply: an operator by its name; what reproductions and random graphs are written in."""

from __future__ import annotations

from typing import Any

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Operator
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, wrap

__all__ = ["apply"]


def apply(operator: str | Operator, *inputs: Any, **attrs: Any) -> Any:
    """The result(s) of an operator on tensors or arrays. Errors: GraphError for an unknown name."""
    op = find(operator) if isinstance(operator, str) else operator
    tensors = [as_tensor(i) for i in inputs]
    b = Builder(current_scope(), user_place())
    if op.name == "constant":
        return Tensor(b.constant(attrs["value"], attrs["dtype"]))
    made = b.apply(op, *(t.node for t in tensors), **attrs)
    return wrap(made, any(t.requires_grad for t in tensors))
