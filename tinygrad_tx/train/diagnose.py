"""Where a NaN or an infinity came from: the first node of the graph whose value is not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.runtime.evaluate import evaluate

__all__ = ["first_not_finite"]


def first_not_finite(outputs: Sequence[Node], names: Mapping[Node, str]) -> str:
    """A sentence on the first node, in order of computation, with a NaN or an infinity.

    Leaves come first: a bad weight or input is named before what it spoils. Empty if all is
    finite. names: what to call a leaf.
    """
    nodes = [n for n in collect(outputs) if len(n.outputs) == 1 and n.dtype.kind == "f"]
    nodes.sort(key=lambda n: bool(n.inputs))
    checked = [n for n in nodes if n.op.name not in ("constant", "broadcast_to")]
    for start in range(0, len(checked), 64):  # a few at a time, to bound the memory
        some = checked[start : start + 64]
        for node, value in zip(some, evaluate(some), strict=True):
            bad = ~np.isfinite(value)
            if bad.any():
                at = tuple(int(i) for i in np.argwhere(bad)[0])
                kind = names.get(node, "an input") if node.op.name == "buffer" else node.op.name
                place = " in ".join(p for p in (kind, node.scope) if p)
                made = f", made at {node.where}" if node.where else ""
                count = int(bad.sum())
                found = value[at] if at else value
                return f"first in {place} {node.shape}{made}: {count} bad, {found} at {at}"
    return ""
