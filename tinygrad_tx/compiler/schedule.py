"""schedule: the order of nodes, what changes state last, and which state is written in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinygrad_tx.autodiff.expansion import depends_on
from tinygrad_tx.compiler.epilogue import WITH_EPILOGUE
from tinygrad_tx.compiler.fuse import FUSED
from tinygrad_tx.compiler.layout import allowed
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.shapes import contiguous_strides

__all__ = ["Schedule", "schedule"]

NEVER = 1 << 60
PACKING = ("concat", "constant", "buffer")


@dataclass(frozen=True, slots=True)
class Schedule:
    """nodes: in order; from index `commit` on they change state or depend on what does.

    in_place: nodes whose operator writes straight into a leaf's memory (by slot). updates: (node,
    slot) to be copied there after the last step. parts: for a node with several results the
    nodes that stand for them. last_read: position of the last reader of a value.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Node, ...]
    commit: int
    late: frozenset[Node]
    in_place: Mapping[Node, int]
    updates: tuple[tuple[Node, int], ...]
    parts: Mapping[Node, list[Node]]
    last_read: Mapping[Node, int]


def schedule(
    outputs: Sequence[Node], updates: Sequence[tuple[Node, int]], slots: Mapping[Node, int]
) -> Schedule:
    """Nodes in order of creation, those that change state last.

    `updates` pair a value with the slot of the leaf that it replaces.
    """
    nodes = collect([*outputs, *(n for n, _ in updates)])
    parts: dict[Node, list[Node]] = {}
    for node in nodes:
        if node.op.name == "part":
            parts.setdefault(node.inputs[0], []).append(node)
    wanted = _in_place_candidates(outputs, updates, slots)
    producers = [_producer(n) for n in wanted]
    late = depends_on(nodes, producers) if producers else set()
    order = _early_first([n for n in nodes if n not in late])
    order += _early_first([n for n in nodes if n in late])
    position = {n: i for i, n in enumerate(order)}
    last_read: dict[Node, int] = {}
    for node in order:
        for source in node.inputs:
            last_read[source] = position[node]
    last_base = _last_read_through_views(order, last_read)
    leaf_of = {slot: n for n, slot in slots.items()}
    in_place = {
        n: slot
        for n, slot in wanted.items()
        if slot not in leaf_of or _is_safe(n, leaf_of[slot], position, last_base)
    }
    rest = tuple((n, s) for n, s in updates if in_place.get(n) != s)
    for node in (*outputs, *(n for n, _ in rest)):
        last_read[node] = NEVER
    return Schedule(
        tuple(order),
        tuple(outputs),
        len(order) - len(late),
        frozenset(late),
        in_place,
        rest,
        parts,
        last_read,
    )


def _early_first(nodes: list[Node]) -> list[Node]:
    """The order in which nodes marked `early` come as soon as what they read is known.

    What they read through views and concatenations moves along; all other nodes keep their order.
    What one of them must wait for is among its inputs, so that their own order is the same
    wherever the graph is.
    """
    moving = {n for n in nodes if n.attrs.get("early")}
    if not moving:
        return nodes
    for node in reversed(nodes):
        if node in moving:
            moving.update(s for s in node.inputs if s.op.view is not None or s.op.name in PACKING)
    # Each moving node stands behind the last of what it reads, in the order of creation.
    place = {n: (i, 0) for i, n in enumerate(nodes)}
    for i, node in enumerate(nodes):
        if node in moving:
            computed = [s for s in node.inputs if s in place and not _is_given(s)]
            place[node] = (max((place[s][0] for s in computed), default=0), i + 1)
    return sorted(nodes, key=place.__getitem__)


def _is_given(node: Node) -> bool:
    return node.op.name == "buffer" or scalar_of(node) is not None


def _producer(node: Node) -> Node:
    return node.inputs[0] if node.op.name == "part" else node


def _in_place_candidates(
    outputs: Sequence[Node], updates: Sequence[tuple[Node, int]], slots: Mapping[Node, int]
) -> dict[Node, int]:
    """Updates that their operator could write where the state stands."""
    found: dict[Node, int] = {}
    twice = {n for n, _ in updates if sum(m is n for m, _ in updates) > 1}
    for node, slot in updates:
        op = _producer(node).op
        computed = node not in slots and scalar_of(node) is None and op.view is None
        strides = contiguous_strides(node.shape)
        written = op.lower is None or allowed(op.writes, node.shape, strides)
        if computed and written and node not in outputs and node not in twice:
            found[node] = slot
    return found


def _last_read_through_views(
    order: Sequence[Node], last_read: Mapping[Node, int]
) -> dict[Node, int]:
    """Last reader of a value or of any view of it."""
    last = dict(last_read)
    for node in reversed(order):
        is_part_of_view = node.op.name == "part" and node.inputs[0].op.view is not None
        if node.op.view is not None or is_part_of_view:
            source = node.inputs[0]
            last[source] = max(last.get(source, -1), last.get(node, -1))
    return last


def _is_safe(
    node: Node, leaf: Node, position: Mapping[Node, int], last: Mapping[Node, int]
) -> bool:
    """Whether `node` may overwrite `leaf`: nobody reads it later, and the operator itself reads
    it element by element, at the same place."""
    producer = _producer(node)
    at = position[producer]
    if last.get(leaf, -1) > at:
        return False
    if last.get(leaf, -1) < at:
        return True
    if producer.op is WITH_EPILOGUE:
        factors = producer.attrs["factors"]
        whole, by_element = producer.inputs[:factors], producer.inputs[factors:]
    elif producer.op is FUSED or producer.op.is_elementwise:
        whole, by_element = (), producer.inputs
    elif producer.op.inplace:
        by_element = tuple(producer.inputs[i] for i in producer.op.inplace)
        whole = tuple(n for n in producer.inputs if n not in by_element)
    else:
        return False
    return not any(_is_view_of(i, leaf) for i in whole) and all(
        i is leaf or not _is_view_of(i, leaf) for i in by_element
    )


def _is_view_of(node: Node, leaf: Node) -> bool:
    while node.op.view is not None or node.op.name == "part":
        node = node.inputs[0]
    return node is leaf
