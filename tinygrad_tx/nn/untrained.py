"""What a module would hold without training it, and without a word: refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_tx.errors import ArgumentError, GraphError, explain
from tinygrad_tx.tensor import Tensor

__all__ = ["check_container", "check_parameter"]


def check_parameter(kind: str, name: str, before: Tensor, value: Any) -> None:
    """Errors: ArgumentError for what would take the place of a parameter, and be none."""
    if value is None or (isinstance(value, Tensor) and value.is_leaf):
        return
    is_result = isinstance(value, Tensor)
    what = "the result of an operation" if is_result else f"a {type(value).__name__}"
    raise ArgumentError(
        explain(
            kind,
            f"{name} is a parameter; {what} in its place would not be trained",
            made=[("it", before.node.where)],
            remedy=f"use {name}.assign_(value) for new values; "
            "tx.tensor(array, requires_grad=True) is another parameter",
        )
    )


def check_container(
    kind: str, name: str, values: Sequence[Any] | Mapping[Any, Any], part: type
) -> None:
    """Errors: GraphError for modules (of type `part`) or parameters in a plain list or dict."""
    for value in values.values() if isinstance(values, Mapping) else values:
        if isinstance(value, part) or (isinstance(value, Tensor) and value.requires_grad):
            found = "modules" if isinstance(value, part) else "parameters"
            what = f"{name} is a plain {type(values).__name__} of {found}, which nobody would train"
            remedy = "use tx.nn.ModuleList(parts), or set each as an attribute"
            raise GraphError(explain(kind, what, remedy=remedy))
