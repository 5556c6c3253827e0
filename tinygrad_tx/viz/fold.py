"""Repeated blocks drawn once: `blocks.0`, `blocks.1`, ... that compute the same way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_tx.viz.blocks import Diagram, Edge, Unit
from tinygrad_tx.viz.names import components

__all__ = ["folded"]


def folded(diagram: Diagram) -> Diagram:
    """Each run of equal blocks replaced by its first, with their number in `repeats`."""
    units, edges = dict(diagram.units), list(diagram.edges)
    repeats, twins = dict(diagram.repeats), dict(diagram.twins)
    while True:
        parts = _Parts(units, edges)
        runs = _outermost_runs(parts, repeats)
        if not runs:
            return Diagram(units, edges, repeats, twins)
        stands_for: dict[str, str] = {}
        block_of: dict[str, tuple[int, str]] = {}
        for number, run in enumerate(runs):
            block_of |= {key: (number, path) for path in run for key in parts.of[path]}
            for path in run[1:]:
                stands_for |= dict(zip(parts.of[path], parts.of[run[0]], strict=True))
            repeats[run[0]] = len(run)
        moved: dict[Edge, None] = {}
        for edge in edges:
            (here, block), (there, other) = (
                block_of.get(key, (-1, "")) for key in (edge.source, edge.target)
            )
            if here == there and block != other:
                continue  # from one block to the next: that is what being repeated means
            source = stands_for.get(edge.source, edge.source)
            target = stands_for.get(edge.target, edge.target)
            moved[Edge(source, target, edge.aval, edge.tied)] = None
        edges = list(moved)
        for key, like in stands_for.items():
            twins[like] = [*twins.get(like, ()), units[key], *twins.pop(key, ())]
        units = {key: unit for key, unit in units.items() if key not in stands_for}


class _Parts:
    """Units by the modules around them, and arrows by their ends: found once for a diagram.

    of: the keys within each module, in order of computation. lists: numbers of each list of blocks.
    """

    def __init__(self, units: Mapping[str, Unit], edges: Sequence[Edge]) -> None:
        self.units = units
        self.of: dict[str, list[str]] = defaultdict(list)
        self.lists: dict[str, set[int]] = defaultdict(set)
        self.into: dict[str, list[Edge]] = defaultdict(list)
        for key, unit in units.items():
            path = ""
            for part in components(unit.path):
                name, _, number = (f"{path}.{part}" if path else part).rpartition(".")
                path = f"{path}.{part}" if path else part
                self.of[path].append(key)
                if number.isdigit():
                    self.lists[name].add(int(number))
        for edge in edges:
            self.into[edge.target].append(edge)

    def runs_down(self, paths: Sequence[str]) -> bool:
        """Whether blocks are fed by those with higher numbers, as in a backward pass."""
        place = {key: i for i, path in enumerate(paths) for key in self.of[path]}
        feeds = [
            (place[e.source], place[key])
            for key in place
            for e in self.into[key]
            if not e.tied and e.source in place and place[e.source] != place[key]
        ]
        return bool(feeds) and all(source > target for source, target in feeds)

    def inside(self, path: str) -> Any:
        """What a block consists of: operations with their shapes, and the arrows between them."""
        number = {key: i for i, key in enumerate(self.of[path])}
        units = [self.units[key] for key in number]
        content = [
            (
                unit.kind,
                unit.path.removeprefix(path),
                [(n.op.name, n.aval, [i.aval for i in n.inputs]) for n in unit.nodes],
            )
            for unit in units
        ]
        arrows = {
            (number[e.source], number[key], e.tied)
            for key in number
            for e in self.into[key]
            if e.source in number
        }
        return content, arrows

    def fed(self, path: str, previous: str) -> Any:
        """Where the arrows into a block start: at a part of the block before, or outside."""
        number = {key: i for i, key in enumerate(self.of[path])}
        before = {key: i for i, key in enumerate(self.of[previous])}
        return {
            (before.get(e.source, e.source), number[key])
            for key in number
            for e in self.into[key]
            if e.source not in number
        }


def _outermost_runs(parts: _Parts, repeats: Mapping[str, int]) -> list[list[str]]:
    """Runs of consecutive equal blocks that are not folded yet, none of them inside another."""
    by_level: dict[int, list[str]] = defaultdict(list)
    for name in parts.lists:
        by_level[name.count(".")].append(name)
    for level in sorted(by_level):
        found = [run for name in by_level[level] for run in _runs_of(parts, repeats, name)]
        if found:
            return found
    return []


def _runs_of(parts: _Parts, repeats: Mapping[str, int], name: str) -> list[list[str]]:
    """The runs in one list of blocks, each of two or more."""
    paths = [f"{name}.{n}" if name else str(n) for n in sorted(parts.lists[name])]
    if parts.runs_down(paths):
        paths.reverse()
    runs: list[list[str]] = [[]]
    content: Any = None
    for path in paths:
        own, run = parts.inside(path), runs[-1]
        joins = bool(run) and path not in repeats and own == content
        if joins and len(run) > 1:
            joins = parts.fed(path, run[-1]) == parts.fed(run[-1], run[-2])
        if joins:
            run.append(path)
        else:
            runs.append([] if path in repeats else [path])
        content = own
    return [run for run in runs if len(run) > 1]
