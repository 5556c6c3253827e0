"""The largest flow between two nodes of a network (Dinic 1970), for `attention_flow`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import ShapeError, explain

__all__ = ["max_flow"]

Array = np.ndarray[Any, Any]
NOTHING = 1e-12
"""What is left of an edge below this is rounding."""


def max_flow(capacity: Array, source: int, sink: int) -> float:
    """The largest flow from `source` to `sink`. capacity: (nodes, nodes), numbers of 0 or more.

    Nodes are put in levels by their distance from the source, then flow is sent along shortest ways
    until none is left; so the levels grow, at most as often as there are nodes.
    Errors: ShapeError; ValueError for a capacity below 0, or a source that is the sink.
    """
    left = np.array(capacity, np.float64)
    nodes = len(left)
    if left.shape != (nodes, nodes):
        raise ShapeError(explain("max_flow", f"capacities of shape {left.shape} are not square"))
    if source == sink or not (left >= 0).all():
        what = f"source {source}, sink {sink}, the least capacity {left.min(initial=0):g}"
        raise ValueError(explain("max_flow", what, remedy="two nodes, and capacities of 0 or more"))
    np.fill_diagonal(left, 0.0)
    total = 0.0
    while (level := _levels(left, source, sink)) is not None:
        total += _blocked(left, level, source, sink)
    return total


def _levels(left: Array, source: int, sink: int) -> Array | None:
    """Distances from the source along edges that still hold something; None without the sink."""
    level = np.full(len(left), -1)
    level[source] = 0
    front = np.array([source])
    while front.size:
        reached = (left[front] > NOTHING).any(0) & (level < 0)
        level[reached] = level[front[0]] + 1
        if level[sink] >= 0:
            return level
        front = np.flatnonzero(reached)
    return None


def _blocked(left: Array, level: Array, source: int, sink: int) -> float:
    """Sends flow along ways that climb one level a step until every way is blocked."""
    total = 0.0
    dead = level < 0
    way = [source]
    while way:
        here = way[-1]
        if here == sink:
            edges = (way[:-1], way[1:])
            amount = float(left[edges].min())
            left[edges] -= amount
            left[edges[::-1]] += amount
            total += amount
            # Back to where the way is blocked now.
            full = int(np.argmax(left[edges] <= NOTHING))
            way = way[: full + 1]
            continue
        on = np.flatnonzero((left[here] > NOTHING) & (level == level[here] + 1) & ~dead)
        if on.size:
            # The sink first, else the widest edge: fewer ways are needed.
            way.append(
                sink
                if left[here, sink] > NOTHING and level[sink] == level[here] + 1
                else int(on[left[here, on].argmax()])
            )
        else:
            dead[here] = True
            way.pop()
    return total
