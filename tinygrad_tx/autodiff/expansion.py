"""Opening composites that have no rule of their own for a mode of differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect

__all__ = ["depends_on", "expanded", "no_rule", "open_where"]


def expanded(node: Node) -> tuple[Node, ...]:
    """The results of a composite, built from primitives."""
    assert node.op.expand is not None
    results = node.op.expand(Builder(node.scope, node.where), node)
    return results if isinstance(results, tuple) else (results,)


def open_where(
    outputs: Sequence[Node], wrt: Sequence[Node], lacks_rule: Callable[[Node], bool]
) -> tuple[Node, ...]:
    """`outputs` with every composite for which `lacks_rule` replaced by its expansion.

    Nodes in `wrt` stay what they are. An expansion may hold composites that need opening too.
    """
    fixed = set(wrt)
    while True:
        new: dict[Node, Node] = {}
        parts: dict[Node, tuple[Node, ...]] = {}
        for node in collect(outputs, stop=fixed.__contains__):
            if node in fixed:
                new[node] = node
            elif node.op.name == "part" and node.inputs[0] in parts:
                new[node] = parts[node.inputs[0]][node.attrs["index"]]
            else:
                moved = Builder().rebuild(node, tuple(new[i] for i in node.inputs))
                new[node] = moved
                if moved.op.expand is not None and lacks_rule(moved):
                    parts[node] = expanded(moved)
                    if len(node.outputs) == 1:
                        new[node] = parts[node][0]
        outputs = tuple(new[o] for o in outputs)
        if not parts:
            return outputs


def depends_on(nodes: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """Those of `nodes` (inputs before users) that depend on `wrt`, which are included."""
    active = set(wrt)
    for node in nodes:
        if any(i in active for i in node.inputs):
            active.add(node)
    return active


def no_rule(node: Node, mode: str) -> GraphError:
    remedy = "use stop_gradient if its derivative should count as zero"
    if mode == "forward" and node.op.gradient is not None:
        remedy += ", or reverse mode (grad, vjp; gradcheck with modes=('reverse',))"
    return GraphError(
        explain(
            node.op.name,
            f"has no rule for {mode} differentiation: the result is {node.aval}",
            made=[("it", node.where)],
            remedy=remedy,
        )
    )
