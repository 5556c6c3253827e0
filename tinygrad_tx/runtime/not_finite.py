"""The search for a NaN or an infinity: the first node of a graph whose value is not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.runtime.values import values_of

__all__ = ["NotFinite", "first_not_finite", "infinite_on_purpose"]

# What an infinity on purpose goes through: a mask is added to scores before their softmax.
_CARRIES = frozenset(
    ("add", "subtract", "multiply", "where", "astype", "point", "alias", "max", "attention_scores")
)


@dataclass(frozen=True)
class NotFinite:
    """A node whose value is not finite: `count` of its elements, the first of them `value` at
    `index`."""

    node: Node
    count: int
    value: float
    index: tuple[int, ...]


def first_not_finite(
    outputs: Sequence[Node], given: Mapping[Node, Array] | None = None
) -> NotFinite | None:
    """The first node, in order of computation, with a NaN or an infinity; None if all is finite.

    Leaves come first: a bad weight or input is found before what it spoils. An infinity that a
    constant of the graph puts there on purpose, as attention masks do, is none that is looked for.
    given: what leaves stand for, where that is not their own memory.
    """
    order = collect(outputs)
    on_purpose = infinite_on_purpose(order)
    nodes = [n for n in order if len(n.outputs) == 1 and n.dtype.kind == "f"]
    checked = [n for n in nodes if n.op.name not in ("constant", "broadcast_to")]
    checked.sort(key=lambda n: bool(n.inputs))
    for node, value in values_of(checked, given):
        bad = np.isnan(value) if node in on_purpose else ~np.isfinite(value)
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            return NotFinite(node, int(bad.sum()), float(value[at]), at)
    return None


def infinite_on_purpose(order: Sequence[Node]) -> set[Node]:
    """Those of `order` (inputs before users) that may hold an infinity because a constant does."""
    found: set[Node] = set()
    for node in order:
        if node.op.name == "constant":
            value = node.attrs["value"]
            if isinstance(value, float) and np.isinf(value):
                found.add(node)
        if node.op.name == "attention_scores" and node.attrs["causal"]:
            found.add(node)  # keys that come later
        carries = node.op.name in _CARRIES or node.op.view is not None
        if carries and any(i in found for i in node.inputs):
            found.add(node)
    return found
