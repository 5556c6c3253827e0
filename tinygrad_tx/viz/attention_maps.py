"""The overlay "attention": the weights of each head on the real input, drawn in the boxes.

The fused operator stores no weights: its own expansion gives them, one head at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.autodiff.expansion import expanded
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.viz.blocks import bare
from tinygrad_tx.viz.heatmaps import HeatMap, HeatMaps
from tinygrad_tx.viz.names import INSIDE_ATTENTION, components
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.readings import Reading, read_into
from tinygrad_tx.viz.scene import Scene

__all__ = ["MOST_CELLS", "MOST_HEADS", "MOST_LAYERS", "pattern_of_head", "pooled", "with_attention"]

MOST_CELLS = 16  # along each side of a map
MOST_HEADS = 8
MOST_LAYERS = 4  # of those that one box stands for

Weights = np.ndarray[Any, np.dtype[np.float64]]


def with_attention(picture: Picture, scene: Scene) -> Picture:
    """The picture with a heat map for each head in every box that attends.

    Of the first example. Long sequences are pooled, of many heads or layers some are shown; the box
    says so. Errors: DrawError where nothing attends.
    """
    readings = {}
    for key, blocks in scene.behind.items():
        nodes = [n for block in blocks for n in block if _attends(n)]
        if nodes and key in picture.boxes:
            readings[key] = _reading(nodes, scene)
    if not readings:
        remedy = "draw a model with attention, or another overlay"
        raise DrawError(explain("draw", "overlay attention: nothing here attends", remedy=remedy))
    return read_into(picture, readings, "attention weights of each head")


def _attends(node: Node) -> bool:
    if node.op.name == "softmax":
        return components(node.scope)[-1:] == (INSIDE_ATTENTION,) and len(node.shape) >= 3
    return node.op.name == "attention" or (node.name == "pattern" and len(node.shape) >= 3)


def _reading(nodes: Sequence[Node], scene: Scene) -> Reading:
    """The maps of the attentions in one box."""
    shown = _some(nodes, MOST_LAYERS)
    rows = tuple(zip(_titles([bare(n.scope) for n in shown]), _maps(shown, scene), strict=True))
    cells = [v for _, maps in rows for m in maps for row in m.cells for v in row]
    hottest = max((v for v in cells if math.isfinite(v)), default=0.0)
    facts = tuple(
        (" ".join(w for w in (title, m.title) if w), m.said) for title, maps in rows for m in maps
    )
    return Reading(
        facts=facts, maps=HeatMaps(rows, hottest, _legend(shown[0], len(nodes), hottest))
    )


def _maps(nodes: Sequence[Node], scene: Scene) -> list[tuple[HeatMap, ...]]:
    """The maps of each attention."""
    patterns = {
        pattern_of_head(node, head): (number, head)
        for number, node in enumerate(nodes)
        for head in range(min(_heads(node), MOST_HEADS))
    }
    # Asked for too, and so computed once for all heads.
    sources = [i for n in nodes if n.op.name == "attention" for i in n.inputs[:2]]
    found: dict[tuple[int, int], HeatMap] = {}
    for pattern, value in scene.values([*sources, *patterns]):
        if pattern in patterns:
            number, head = patterns[pattern]
            weights = value.reshape(value.shape[-2:]).astype(np.float64)
            cells = tuple(tuple(map(float, row)) for row in pooled(weights))
            found[number, head] = HeatMap(f"head {head}", cells, _said(weights, nodes[number]))
    in_order = sorted(found)
    return [tuple(found[k] for k in in_order if k[0] == i) for i in range(len(nodes))]


def _some(nodes: Sequence[Node], most: int) -> list[Node]:
    """All, or as many as fit, from the first to the last."""
    if len(nodes) <= most:
        return list(nodes)
    return [nodes[round(i * (len(nodes) - 1) / (most - 1))] for i in range(most)]


def _titles(paths: Sequence[str]) -> list[str]:
    """What tells these module paths from each other; nothing where there is one."""
    if len(paths) == 1:
        return [""]
    parts = [components(path) for path in paths]
    for side in (1, -1):
        ends = zip(*(p[::side] for p in parts), strict=False)
        same = len(list(itertools.takewhile(lambda words: len(set(words)) == 1, ends)))
        parts = [p[same:] if side == 1 else p[: len(p) - same] for p in parts]
    return [".".join(p) for p in parts]


def _heads(node: Node) -> int:
    """Of queries. The first result of attention and a pattern both are (..., heads, queries, _)."""
    return node.shape[-3]


def pattern_of_head(node: Node, head: int) -> Node:
    """The weights of one head of an attention, for the first example: (1, ..., queries, keys).

    They are what the softmax gives, before dropout. Only this head is computed, not all of them.
    """
    b = Builder(node.scope, node.where)
    if node.op.name != "attention":
        return _part(b, node, head)
    q, k, v, *extras = node.inputs
    own = head // (q.shape[-3] // k.shape[-3])
    rest = [_part(b, e, head) if e.shape else e for e in extras]
    inputs = (_part(b, q, head), _part(b, k, own), _part(b, v, own), *rest)
    alone = b.rebuild(node, inputs)
    found = [n for n in collect(expanded(alone)) if n.name == "pattern"]
    return found[-1]


def _part(b: Builder, x: Node, head: int) -> Node:
    """One head of the first example."""
    *leading, _, rows, columns = x.shape
    start = (*(0 for _ in leading), head, 0, 0)
    stop = (*(1 for _ in leading), head + 1, rows, columns)
    result: Node = b.slice(x, start=start, stop=stop, step=(1,) * len(x.shape))
    return result


def pooled(weights: Weights) -> Weights:
    """At most MOST_CELLS x MOST_CELLS cells: what the queries of a cell's row give, on average, to
    the keys of its column together, so that rows still sum to 1."""
    queries, keys = weights.shape
    tall, wide = (math.ceil(n / MOST_CELLS) for n in (queries, keys))
    together = np.add.reduceat(weights, range(0, keys, wide), axis=1)
    counts = np.diff([*range(0, queries, tall), queries])
    result: Weights = np.add.reduceat(together, range(0, queries, tall), axis=0) / counts[:, None]
    return result


def _said(weights: Weights, node: Node) -> str:
    """Where most of the attention goes: how far back, or to which key."""
    if not np.isfinite(weights).all():
        return f"{int((~np.isfinite(weights)).sum()):,} weights not finite"
    queries, keys = weights.shape
    if queries == keys:
        shares = {
            d: float(np.trace(weights, offset=-d)) / queries for d in range(1 - keys, queries)
        }
        best = max(shares, key=lambda d: shares[d])
        side = "back" if best > 0 else "ahead"
        far = f"{abs(best)} {side}" if best else "on itself"
        return f"{far}: {100 * shares[best]:.0f} %"
    best = int(weights.sum(0).argmax())
    return f"key {best}: {100 * weights[:, best].mean():.0f} %"


def _legend(node: Node, layers: int, hottest: float) -> tuple[str, ...]:
    """How the maps of a box are read, and what of them is not shown."""
    queries = node.shape[-2]
    keys = node.inputs[1].shape[-2] if node.op.name == "attention" else node.shape[-1]
    tall, wide = (math.ceil(n / MOST_CELLS) for n in (queries, keys))
    lines = [f"rows: {queries} queries, columns: {keys} keys", f"hottest: {hottest:.2g}"]
    if tall * wide > 1:
        lines[-1] += f", cell: {tall} × {wide}"
    left_out = [
        f"{name}: {shown} / {count}"
        for shown, count, name in (
            (MOST_HEADS, _heads(node), "heads"),
            (MOST_LAYERS, layers, "layers"),
            (1, math.prod(node.shape[:-3]), "examples"),
        )
        if count > shown
    ]
    if left_out:
        lines.append("shown: " + ", ".join(left_out))
    return tuple(lines)
