"""Where a NaN or an infinity came from, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygrad_tx.graph.node import Node
from tinygrad_tx.runtime import not_finite

__all__ = ["first_not_finite"]


def first_not_finite(outputs: Sequence[Node], names: Mapping[Node, str]) -> str:
    """A sentence on the first node, in order of computation, with a NaN or an infinity.

    Leaves come first: a bad weight or input is named before what it spoils. Empty if all is
    finite. names: what to call a leaf.
    """
    found = not_finite.first_not_finite(outputs)
    if found is None:
        return ""
    node = found.node
    kind = names.get(node, "an input") if node.op.name == "buffer" else node.op.name
    place = " in ".join(p for p in (kind, node.scope) if p)
    made = f", made at {node.where}" if node.where else ""
    return f"first in {place} {node.shape}{made}: {found.count} bad, {found.value} at {found.index}"
