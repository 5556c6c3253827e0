"""Looking at the values inside a graph in bounded memory: a few at a time, then forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, rewrite
from tinygrad_tx.runtime.buffer import Array, realized
from tinygrad_tx.runtime.evaluate import evaluate

__all__ = ["GROUP_BYTES", "values_of"]

GROUP_BYTES = 64 << 20  # of values held at once, beside those that later ones are computed from
GROUP_NODES = 64  # each group is planned once: fewer plans, but longer ones


def values_of(
    nodes: Sequence[Node], given: Mapping[Node, Array] | None = None
) -> Iterator[tuple[Node, Array]]:
    """Each node with its value, in the order of `nodes`; every one with a single result.

    given: what leaves stand for, where that is not their own memory. A value is forgotten once no
    later node is computed from it, so that the whole costs one run of the graph, and what was not
    known before is not known afterwards. `require_finite` lets everything through: whoever looks
    wants to see what is there. Errors: those of the operators.
    """
    order = list(dict.fromkeys(nodes))
    asked = rewrite(order, _unguarded)
    own: set[Node] = set()
    try:
        for leaf, array in (given or {}).items():
            realized[leaf] = array
        start = 0
        while start < len(order):
            stop = _end_of_group(asked, start)
            group = asked[start:stop]
            new = [n for n in group if n.inputs and n not in realized]
            values = evaluate(group)
            own.update(new)
            yield from zip(order[start:stop], values, strict=True)
            del values
            needed = set(collect(asked[stop:], stop=realized.__contains__))
            _forget(own - needed)
            own &= needed
            start = stop
    finally:
        _forget(own)
        _forget(given or ())


def _unguarded(b: Builder, node: Node) -> Node | None:
    del b
    return node.inputs[0] if node.op.name == "require_finite" else None


def _end_of_group(nodes: Sequence[Node], start: int) -> int:
    """At least one node, then as many as fit."""
    total, stop = 0, start
    while stop < len(nodes) and stop - start < GROUP_NODES:
        total += nodes[stop].aval.nbytes
        if stop > start and total > GROUP_BYTES:
            break
        stop += 1
    return stop


def _forget(nodes: set[Node] | Mapping[Node, Array] | tuple[()]) -> None:
    for node in nodes:
        realized.pop(node, None)
