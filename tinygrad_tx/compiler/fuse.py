"""fuse: groups of elementwise nodes of one shape become one `fused` node, one kernel.

Walking from the last node to the first, a node joins the group of one of its users when every user
outside that group runs after the group's root. The group runs where its root stood, so all it reads
is ready and all who read it come later: no cycle can arise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinygrad_tx.dtypes import COMPUTE, DType
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, make_node
from tinygrad_tx.graph.walk import collect, users_of

__all__ = ["FUSED", "LARGEST_GROUP", "Body", "Line", "fuse"]

LARGEST_GROUP = 48  # nodes; beyond it registers spill and nothing is gained


@dataclass(frozen=True, slots=True)
class Line:
    """One operation; `args` count the group's inputs first, then its lines."""

    op: Operator
    attrs: tuple[tuple[str, object], ...]
    dtype: DType
    args: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """What a fused node computes for one element: lines, and which of them are results."""

    lines: tuple[Line, ...]
    results: tuple[int, ...]
    avals: tuple[Aval, ...]


def _infer(*_: Aval, body: Body) -> tuple[Aval, ...]:
    return body.avals


FUSED = Operator("fused", infer=_infer, reads="any", writes="any")


def fuse(outputs: Sequence[Node], largest: int = LARGEST_GROUP) -> tuple[Node, ...]:
    """The graph with every elementwise node inside a fused one, at most `largest` in each."""
    nodes = collect(outputs)
    wanted = set(outputs)
    users = users_of(nodes)
    position = {n: i for i, n in enumerate(nodes)}
    root_of: dict[Node, Node] = {}
    members: dict[Node, list[Node]] = {}
    for node in reversed(nodes):
        if _is_fusable(node):
            root = _group_for(node, users[node], root_of, members, position, largest)
            root_of[node] = root
            members.setdefault(root, []).append(node)
    new: dict[Node, Node] = {}
    for node in nodes:
        if node not in root_of:
            inputs = tuple(new[i] for i in node.inputs)
            new[node] = Builder(node.scope, node.where).rebuild(node, inputs)
        elif root_of[node] is node:
            group = members[node][::-1]
            inside = set(group)
            results = [n for n in group if n in wanted or any(u not in inside for u in users[n])]
            new.update(zip(results, _fused(group, results, new), strict=True))
    return tuple(new[o] for o in outputs)


def _is_fusable(node: Node) -> bool:
    dtypes = {node.dtype, *(i.dtype for i in node.inputs)}
    return node.op.is_elementwise and dtypes <= set(COMPUTE)


def _group_for(
    node: Node,
    users: Sequence[Node],
    root_of: dict[Node, Node],
    members: dict[Node, list[Node]],
    position: dict[Node, int],
    largest: int,
) -> Node:
    """The root of the group that `node` may join, or itself."""
    for root in dict.fromkeys(root_of[u] for u in users if u in root_of):
        if root.shape != node.shape or len(members[root]) >= largest:
            continue
        if all(root_of.get(u) is root or position[u] > position[root] for u in users):
            return root
    return node


def _fused(group: list[Node], results: list[Node], new: dict[Node, Node]) -> list[Node]:
    """The values of `results` from one fused node. `group` holds inputs before users."""
    inside = set(group)
    inputs = list(dict.fromkeys(i for n in group for i in n.inputs if i not in inside))
    number = {n: k for k, n in enumerate([*inputs, *group])}
    lines = tuple(
        Line(n.op, tuple(sorted(n.attrs.items())), n.dtype, tuple(number[i] for i in n.inputs))
        for n in group
    )
    body = Body(
        lines,
        tuple(number[r] - len(inputs) for r in results),
        tuple(r.aval for r in results),
    )
    root = group[-1]
    b = Builder(root.scope, root.where)
    node = make_node(
        FUSED,
        tuple(new[i] for i in inputs),
        {"body": body},
        body.avals,
        root.scope,
        "",
        root.where,
    )
    if len(results) == 1:
        return [node]
    return [b.part(node, index=i) for i in range(len(results))]
