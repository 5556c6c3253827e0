"""Reverse mode: from the cotangents of outputs to those of inputs, in one walk backwards.

For y = f(x) with cotangent dL/dy the rule of f gives dL/dx = (dy/dx)^T dL/dy as new Nodes of the
same graph, so that a gradient can be drawn, compiled and differentiated again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tinygrad_tx.autodiff.expansion import depends_on, no_rule, open_where
from tinygrad_tx.dtypes import is_float
from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect

__all__ = ["reverse"]


def reverse(
    outputs: Sequence[Node],
    cotangents: Sequence[Node | None],
    wrt: Sequence[Node],
    through: bool = False,
) -> tuple[Node | None, ...]:
    """The cotangent of each of `wrt`, or None where `outputs` do not depend on it.

    through: whether what is computed from one of `wrt` and is itself in `wrt` passes cotangents on
    to it: total derivatives of values that stand behind each other.
    Errors: ShapeError for a cotangent unlike its output; GraphError for an operator without rule.
    """
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent is not None and cotangent.aval != output.aval:
            raise ShapeError(
                explain(
                    "gradient",
                    f"the cotangent is {cotangent.aval} and the output {output.aval}",
                    made=[("the output", output.where)],
                )
            )
    outputs = open_where(outputs, wrt, _lacks_rule)
    nodes = collect(outputs, stop=None if through else set(wrt).__contains__)
    active = depends_on(nodes, wrt)
    waiting = _Waiting()
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent is not None:
            waiting.add(output, 0, cotangent, output.scope)
    targets = set(wrt)
    result: dict[Node, Node] = {}
    for node in reversed(nodes):
        if node not in active:
            continue
        b = Builder(node.scope, node.where)
        given = [waiting.total(node, i) for i in range(len(node.outputs))]
        if all(g is None for g in given):
            continue
        if node in targets:
            assert given[0] is not None
            result[node] = given[0]
            if not through:
                continue
        if node.op.name == "part":
            assert given[0] is not None
            waiting.add(node.inputs[0], node.attrs["index"], given[0], node.scope)
        else:
            _pass_on(b, node, given, active, waiting)
    return tuple(result.get(w) for w in wrt)


def _pass_on(
    b: Builder,
    node: Node,
    given: list[Node | None],
    active: set[Node],
    waiting: _Waiting,
) -> None:
    """Adds the cotangents of the inputs of `node`."""
    if not any(i in active and is_float(i.dtype) for i in node.inputs):
        return
    if node.op.partials is not None:
        cotangent = given[0]
        assert cotangent is not None
        passed: Sequence[Node | None] = [
            None if p is None else b.multiply(cotangent, p) for p in node.op.partials(b, node)
        ]
    elif node.op.gradient is not None:
        passed = node.op.gradient(b, node, *given)
    elif not is_float(node.dtype):
        return
    else:
        raise no_rule(node, "reverse")
    for source, cotangent in zip(node.inputs, passed, strict=True):
        if cotangent is not None and source in active and is_float(source.dtype):
            waiting.add(source, 0, cotangent, node.scope)


def _lacks_rule(node: Node) -> bool:
    return node.op.partials is None and node.op.gradient is None


class _Waiting:
    """Cotangents that have arrived at a result, each with the scope of the reader it came from."""

    def __init__(self) -> None:
        self._terms: dict[tuple[Node, int], list[tuple[Node, str]]] = {}

    def add(self, node: Node, index: int, cotangent: Node, reader: str) -> None:
        self._terms.setdefault((node, index), []).append((cotangent, reader))

    def total(self, node: Node, index: int) -> Node | None:
        """The sum, in the order of arrival. It belongs to the module in which all readers stand."""
        terms = self._terms.pop((node, index), [])
        if not terms:
            return None
        total, _ = terms[0]
        b = Builder(_shared([scope for _, scope in terms]), node.where)
        for term, _ in terms[1:]:
            total = b.add(total, term)
        return total


def _shared(scopes: Sequence[str]) -> str:
    """The module path that all of these begin with."""
    paths = [scope.split(".") for scope in scopes]
    same = itertools.takewhile(lambda words: len(set(words)) == 1, zip(*paths, strict=False))
    return ".".join(words[0] for words in same)
