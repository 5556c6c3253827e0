"""Repeated blocks drawn once: `blocks.0`, `blocks.1`, ... that compute the same way."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tinygrad_tx.viz.blocks import Diagram, Edge, Unit
from tinygrad_tx.viz.names import components

__all__ = ["folded"]


def folded(diagram: Diagram) -> Diagram:
    """Each run of equal blocks replaced by its first, with their number in `repeats`."""
    units, edges = dict(diagram.units), list(diagram.edges)
    repeats, twins = dict(diagram.repeats), dict(diagram.twins)
    while (run := _first_run(units, edges, repeats)) is not None:
        first, others = run[0], run[1:]
        members = {path: _members(units, path) for path in run}
        stands_for = {
            key: like
            for path in others
            for key, like in zip(members[path], members[first], strict=True)
        }
        inside = {key for path in run for key in members[path]}
        block_of = {key: path for path in run for key in members[path]}
        moved: dict[Edge, None] = {}
        for edge in edges:
            both = edge.source in inside and edge.target in inside
            if both and block_of[edge.source] != block_of[edge.target]:
                continue  # from one block to the next: that is what being repeated means
            source = stands_for.get(edge.source, edge.source)
            target = stands_for.get(edge.target, edge.target)
            moved[Edge(source, target, edge.aval, edge.tied)] = None
        edges = list(moved)
        for key, like in stands_for.items():
            twins[like] = [*twins.get(like, ()), units[key], *twins.pop(key, ())]
        units = {key: unit for key, unit in units.items() if key not in stands_for}
        repeats[first] = len(run)
    return Diagram(units, edges, repeats, twins)


def _members(units: dict[str, Unit], path: str) -> list[str]:
    inner = f"{path}."
    return [k for k, u in units.items() if u.path == path or u.path.startswith(inner)]


def _first_run(
    units: dict[str, Unit], edges: list[Edge], repeats: dict[str, int]
) -> list[str] | None:
    """Paths of two or more consecutive equal blocks that are not folded yet; outermost first."""
    lists: dict[str, set[int]] = defaultdict(set)
    for unit in units.values():
        parts = components(unit.path)
        for level, part in enumerate(parts):
            head, _, number = part.rpartition(".")
            if number.isdigit():
                lists[".".join((*parts[:level], head))].add(int(number))
    for name in sorted(lists, key=lambda n: n.count(".")):
        numbers = sorted(lists[name], reverse=_runs_down(units, edges, name, lists[name]))
        paths = [f"{name}.{number}" for number in numbers]
        run: list[str] = []
        for path in paths:
            if run and path not in repeats and _continues(units, edges, run, path):
                run.append(path)
            elif len(run) > 1:
                return run
            else:
                run = [] if path in repeats else [path]
        if len(run) > 1:
            return run
    return None


def _runs_down(units: dict[str, Unit], edges: list[Edge], name: str, numbers: set[int]) -> bool:
    """Whether blocks are fed by those with higher numbers, as in a backward pass."""
    block_of = {k: n for n in numbers for k in _members(units, f"{name}.{n}")}
    pairs = [(block_of.get(e.source), block_of.get(e.target)) for e in edges if not e.tied]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and a != b]
    return bool(known) and all(a > b for a, b in known)


def _continues(units: dict[str, Unit], edges: list[Edge], run: list[str], path: str) -> bool:
    """Whether `path` repeats the last block of `run` and is fed like the blocks before it."""
    previous = run[-1]
    if _inside(units, edges, path) != _inside(units, edges, previous):
        return False
    return len(run) == 1 or _fed(units, edges, path, previous) == _fed(
        units, edges, previous, run[-2]
    )


def _inside(units: dict[str, Unit], edges: list[Edge], path: str) -> Any:
    """What a block consists of: operations with their shapes, and the arrows between them."""
    members = _members(units, path)
    number = {key: i for i, key in enumerate(members)}
    content = [
        (
            units[k].kind,
            units[k].path.removeprefix(path),
            [(n.op.name, n.aval, [i.aval for i in n.inputs]) for n in units[k].nodes],
        )
        for k in members
    ]
    arrows = {
        (number[e.source], number[e.target], e.tied)
        for e in edges
        if e.source in number and e.target in number
    }
    return content, arrows


def _fed(units: dict[str, Unit], edges: list[Edge], path: str, previous: str) -> Any:
    """Where the arrows into a block start: at a part of the block before, or outside."""
    number = {key: i for i, key in enumerate(_members(units, path))}
    before = {key: i for i, key in enumerate(_members(units, previous))}
    return {
        (before.get(e.source, e.source), number[e.target])
        for e in edges
        if e.target in number and e.source not in number
    }
