"""Overlays: a figure for each box of a picture, from the nodes that stand behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.graph.node import Node
from tinygrad_tx.profile import Profile
from tinygrad_tx.viz.attention_maps import with_attention
from tinygrad_tx.viz.facts import trained, work_of
from tinygrad_tx.viz.gradient_norms import with_gradients
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.nan_search import with_first_nan
from tinygrad_tx.viz.picture import Picture, measured, quantity
from tinygrad_tx.viz.scene import Scene
from tinygrad_tx.viz.statistics import with_statistics

__all__ = ["COUNTED", "FROM_VALUES", "OVERLAYS", "overlaid", "timed", "totals"]

FROM_VALUES: Mapping[str, Callable[[Picture, Scene], Picture]] = {
    "statistics": with_statistics,
    "attention": with_attention,
    "gradients": with_gradients,
    "nan": with_first_nan,
}
"""Those that run the graph on the real input."""

OVERLAYS = ("shapes", "parameters", "flops", "bytes", "memory", "time", *FROM_VALUES)
COUNTED = ("parameters", "flops", "memory")
"""Overlays beside which the totals of the graph are said."""
_UNITS = {"parameters": " parameters", "flops": "FLOP", "bytes": "B", "memory": "B"}

Behind = Mapping[str, Sequence[Node]]


def overlaid(
    picture: Picture, overlay: str | Mapping[str, Any], behind: Behind, names: Names
) -> Picture:
    """The picture with the figures of `overlay`; `behind` gives the nodes of each box.

    flops and bytes: of one run. memory: bytes of the results. parameters: numbers that are trained.
    A mapping gives its own figures, by module path or by module path and operation; arrays stand
    for the mean of their magnitudes.
    """
    if not isinstance(overlay, str):
        values = {
            key: _figure(overlay[name])
            for key, nodes in behind.items()
            for name in _called(key, nodes)
            if name in overlay
        }
        return measured(picture, values, "")
    found = {key: sum(_of(overlay, n, names) for n in nodes) for key, nodes in behind.items()}
    if overlay == "parameters":
        found = {key: trained(nodes, names) for key, nodes in behind.items()}
    return measured(picture, {k: v for k, v in found.items() if v}, _UNITS[overlay])


def totals(nodes: Sequence[Node], names: Names) -> str:
    """What a whole graph holds and does: `530 B parameters, 2.12 TB, 2.15 PFLOP`."""
    leaves = [n for n in nodes if n.op.name == "buffer" and names.is_parameter(n)]
    count, held = sum(n.aval.size for n in leaves), sum(n.aval.nbytes for n in leaves)
    work = sum(work_of(n) for n in nodes)
    weights = [quantity(count, " parameters"), quantity(held, "B")] if count else []
    return ", ".join([*weights, quantity(work, "FLOP")])


def timed(picture: Picture, behind: Behind, profile: Profile) -> Picture:
    """The picture with the measured time of each box, summed over what is drawn once for many."""
    seconds: dict[str, float] = {}
    for row in profile.rows:
        name, _, path = row.label.partition(" ")
        for part in name.split("+"):
            seconds[f"{path} {part}"] = seconds.get(f"{path} {part}", 0.0) + row.seconds
    values: dict[str, float] = {}
    shared: dict[str, list[str]] = {}
    for key, nodes in behind.items():
        for name in {f"{n.path} {n.op.name}" for n in nodes}:
            shared.setdefault(name, []).append(key)
    for name, keys in shared.items():
        for key in keys:
            values[key] = values.get(key, 0.0) + seconds.get(name, 0.0) / len(keys)
    return measured(picture, {k: v for k, v in values.items() if v}, "s")


def _called(key: str, nodes: Sequence[Node]) -> list[str]:
    """What a mapping may call a box."""
    kind, _, path = key.partition(" ")
    if kind == "box":
        return [path]
    return [f"{n.path} {n.op.name}".strip() for n in nodes[:1]] + [n.path for n in nodes[:1]]


def _figure(value: Any) -> float:
    return float(np.mean(np.abs(np.asarray(value, np.float64))))


def _of(overlay: str, node: Node, names: Names) -> float:
    if node.op.name == "buffer":
        return 0.0
    results = sum(a.nbytes for a in node.outputs)
    if overlay == "memory":
        return 0.0 if node.op.view is not None else results
    if overlay == "flops":
        return work_of(node)
    if node.op.cost is not None:
        return node.op.cost(node).bytes
    return results + sum(i.aval.nbytes for i in node.inputs)
