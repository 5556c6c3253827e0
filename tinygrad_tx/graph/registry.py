"""The operators by name. Each is registered once, when its file in `ops/` is imported."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.graph.node import Operator

__all__ = ["find", "operators", "register"]

_operators: dict[str, Operator] = {}


def register(op: Operator) -> Operator:
    """Makes `op` known by its name; a second operator of that name is an error."""
    if op.name in _operators:
        raise GraphError(explain("register", f"operator {op.name!r} is already registered"))
    _operators[op.name] = op
    return op


def find(name: str) -> Operator:
    """The operator called `name`. Errors: GraphError."""
    try:
        return _operators[name]
    except KeyError:
        raise GraphError(explain("graph", f"there is no operator called {name!r}")) from None


def operators() -> Iterator[Operator]:
    """Every registered operator, by name."""
    return iter(sorted(_operators.values(), key=lambda op: op.name))
