"""Forward mode: from the tangents of inputs to those of outputs, in one walk along the graph."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.autodiff.expansion import depends_on, no_rule, open_where
from tinygrad_tx.dtypes import is_float
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect

__all__ = ["forward"]

Tangents = tuple[Node | None, ...]


def forward(
    outputs: Sequence[Node], wrt: Sequence[Node], tangents: Sequence[Node | None]
) -> Tangents:
    """The tangent of each output when `wrt` move along `tangents`; None where it stays put.

    Errors: GraphError for an operator without rule.
    """
    outputs = open_where(outputs, wrt, _lacks_rule)
    nodes = collect(outputs, stop=set(wrt).__contains__)
    active = depends_on(nodes, wrt)
    moves: dict[Node, Tangents] = {
        w: (t,) for w, t in zip(wrt, tangents, strict=True) if t is not None
    }
    for node in nodes:
        if node not in active or node in wrt:
            continue
        given = [moves[i][0] if i in moves else None for i in node.inputs]
        if node.op.name == "part":
            tuple_move = moves.get(node.inputs[0])
            move = tuple_move[node.attrs["index"]] if tuple_move else None
            if move is not None:
                moves[node] = (move,)
        elif any(g is not None for g in given) and any(is_float(o.dtype) for o in node.outputs):
            found = _tangents_of(Builder(node.scope, node.where), node, given)
            if any(t is not None for t in found):
                moves[node] = found
    return tuple(moves[o][0] if o in moves else None for o in outputs)


def _tangents_of(b: Builder, node: Node, given: list[Node | None]) -> Tangents:
    op = node.op
    if op.partials is not None:
        partials = op.partials(b, node)
        pairs = zip(partials, given, strict=True)
        return (_sum(b, [b.multiply(p, t) for p, t in pairs if p is not None and t is not None]),)
    if op.linear_in:
        terms = [
            _applied(b, node, i, t)
            for i, t in enumerate(given)
            if t is not None and i in op.linear_in
        ]
        return tuple(_sum(b, list(column)) for column in zip(*terms, strict=True))
    if op.tangent is not None:
        result = op.tangent(b, node, *given)
        return result if isinstance(result, tuple) else (result,)
    raise no_rule(node, "forward")


def _applied(b: Builder, node: Node, index: int, tangent: Node) -> tuple[Node, ...]:
    """The operation on its inputs with input `index` replaced by its tangent.

    An operator that is linear in several inputs together (concat) sees zeros for the others of
    these.
    """
    inputs = list(node.inputs)
    if node.op.jointly_linear:
        linear = [i for i in range(len(inputs)) if i in node.op.linear_in]
        for i in linear:
            inputs[i] = b.full(inputs[i].shape, 0, inputs[i].dtype)
    inputs[index] = tangent
    moved = b.apply(node.op, *inputs, **node.attrs)
    return moved if isinstance(moved, tuple) else (moved,)


def _lacks_rule(node: Node) -> bool:
    op = node.op
    return op.partials is None and not op.linear_in and op.tangent is None


def _sum(b: Builder, terms: list[Node]) -> Node | None:
    total = terms[0] if terms else None
    for term in terms[1:]:
        total = b.add(total, term)
    return total
