"""Walks and rewrites of a graph. Everything here uses explicit stacks: depth is no limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node

__all__ = ["collect", "rewrite", "substitute", "users_of"]


def collect(outputs: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Every node that `outputs` need, inputs before users.

    The walk does not go below nodes for which `stop` is true (they are included). Serial numbers
    grow with creation, so that sorting by them is a topological order.
    """
    found: set[Node] = set()
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            if stop is None or not stop(node):
                stack.extend(node.inputs)
    return sorted(found, key=lambda n: n.serial)


def users_of(nodes: Sequence[Node]) -> dict[Node, list[Node]]:
    """For each of `nodes` those among them that read it, in order; a reader counts once."""
    users: dict[Node, list[Node]] = {n: [] for n in nodes}
    for node in nodes:
        for source in dict.fromkeys(node.inputs):
            if source in users:
                users[source].append(node)
    return users


def rewrite(
    outputs: Sequence[Node], rule: Callable[[Builder, Node], Node | None]
) -> tuple[Node, ...]:
    """The graph with every node replaced by what `rule` gives for it (None: keep).

    Inputs are rewritten first; `rule` sees the node already on its new inputs.
    """
    new: dict[Node, Node] = {}
    for node in collect(outputs):
        b = Builder(node.scope, node.where)
        moved = b.rebuild(node, tuple(new[i] for i in node.inputs))
        new[node] = rule(b, moved) or moved
    return tuple(new[o] for o in outputs)


def substitute(outputs: Sequence[Node], replacement: Mapping[Node, Node]) -> tuple[Node, ...]:
    """The graph with the nodes in `replacement` exchanged, wherever they are read."""
    new: dict[Node, Node] = dict(replacement)
    for node in collect(outputs, stop=replacement.__contains__):
        if node not in new:
            moved = tuple(new[i] for i in node.inputs)
            new[node] = Builder(node.scope, node.where).rebuild(node, moved)
    return tuple(new[o] for o in outputs)
