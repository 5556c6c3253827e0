"""external: a function of NumPy arrays, written by a user, as one node.

`tx.custom_op` makes these. Shapes and dtypes: as its `result` rule said. Errors: ShapeError where
the function returns something else. early: it begins something that goes on beside the rest, so
that it comes as soon as its inputs are known; what must follow it takes its result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator
from tinygrad_tx.graph.registry import register

Array = np.ndarray[Any, Any]
Rule = Callable[..., Sequence[Node | None]]


def infer(
    *inputs: Aval, function: Callable[..., Any], results: tuple[Aval, ...], rule: Rule, early: bool
) -> tuple[Aval, ...]:
    del inputs, function, rule, early
    return results


def reference(
    *arrays: Array, function: Callable[..., Any], results: tuple[Aval, ...], rule: Rule, early: bool
) -> tuple[Array, ...]:
    del rule, early
    found = function(*arrays)
    found = found if isinstance(found, tuple) else (found,)
    given = [Aval(np.shape(a), np.asarray(a).dtype) for a in found]
    if given != list(results):
        name = getattr(function, "__name__", "custom operator")
        got, want = (", ".join(map(str, avals)) for avals in (given, results))
        raise ShapeError(explain(name, f"returned {got}, but its result rule says {want}"))
    return tuple(np.asarray(a) for a in found)


def gradient(b: Builder, node: Node, *cotangents: Node | None) -> Sequence[Node | None]:
    found: Any = node.attrs["rule"](b, node, *cotangents)
    return list(found)


register(
    Operator("external", infer=infer, reference=reference, gradient=gradient, formula="f(x, ...)")
)
