"""Points: the named places of a graph, found by path or glob; also inside of fused operators."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinygrad_tx.autodiff.expansion import expanded, open_where
from tinygrad_tx.dtypes import DType
from tinygrad_tx.errors import PointError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.shapes import Shape

__all__ = ["Point", "matching", "opened_at", "points_of"]

_LEADING = ("batch", "time")


@dataclass(frozen=True, repr=False)
class Point:
    """A named place. path: module path and name, as `blocks.0.attention.pattern`; a module that is
    called again gives `path@2`. axes: the name of each axis. where: the user's file and line."""

    path: str
    axes: tuple[str, ...]
    shape: Shape
    dtype: DType
    where: str = ""

    @property
    def module(self) -> str:
        """The path without the name."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].partition("@")[0]

    def axis(self, *names: str) -> int | None:
        """Which axis has one of these names, if any."""
        return next((self.axes.index(n) for n in names if n in self.axes), None)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{a} {s}" for a, s in zip(self.axes, self.shape, strict=True))
        return f"{self.path}: {self.dtype} ({sizes})"


def points_of(
    outputs: Iterable[Node], stop: frozenset[Node] = frozenset()
) -> dict[str, tuple[Point, Node]]:
    """The points that stand open in a graph, by path, in the order of computation.

    The walk goes no further than `stop`.
    """
    found: dict[str, tuple[Point, Node]] = {}
    calls: dict[str, int] = {}
    for node in collect(outputs, stop=stop.__contains__):
        if node.op.name == "point" and node.name and node not in stop:
            calls[node.path] = number = calls.get(node.path, 0) + 1
            path = node.path if number == 1 else f"{node.path}@{number}"
            found[path] = _point(path, node), node
    return found


def opened_at(
    outputs: Sequence[Node], patterns: Sequence[str], stop: frozenset[Node] = frozenset()
) -> tuple[Node, ...]:
    """The graph with those operators opened that hold a point which one of `patterns` names.

    An operator opened for one point alone stays closed everywhere else. Nodes in `stop` stay.
    """
    wanted = [_plain(p) for p in patterns]
    names = {p.rpartition(".")[2] for p in wanted}

    def holds(node: Node) -> bool:
        inside = collect(expanded(node), stop=set(node.inputs).__contains__)
        return any(
            n.op.name == "point"
            and any(fnmatch.fnmatchcase(n.name, name) for name in names)
            and any(fnmatch.fnmatchcase(n.path, p) for p in wanted)
            for n in inside
            if n not in node.inputs
        )

    return open_where(outputs, tuple(stop), holds)


def matching(patterns: Sequence[str], known: Mapping[str, object]) -> list[str]:
    """The known paths that the patterns name, in order. Errors: PointError for one without any."""
    found = set()
    for pattern in patterns:
        hits = fnmatch.filter(known, pattern)
        if not hits:
            raise unknown(pattern, known)
        found.update(hits)
    return [path for path in known if path in found]


def unknown(pattern: str, known: Iterable[str]) -> PointError:
    """The error for a pattern that names no point: the nearest ones are offered."""
    paths = list(known)
    near = difflib.get_close_matches(pattern, paths, 3, 0.5)
    if not near:
        last = pattern.rpartition(".")[2]
        near = [p for p in paths if p.rpartition(".")[2] == last][:3]
    nearest = f"nearest: {', '.join(near)}; " if near else ""
    remedy = f"{nearest}points(model) lists all that there are"
    what = f"no point is called {pattern!r}" if paths else f"nothing is named here: {pattern!r}"
    return PointError(explain("reasoning", what, remedy=remedy))


def _plain(pattern: str) -> str:
    """Without the number of the call: all calls of a module are opened alike."""
    head, _, tail = pattern.rpartition("@")
    return head if tail.isdigit() else pattern


def _point(path: str, node: Node) -> Point:
    named: tuple[str, ...] = node.attrs.get("axes", ())
    leading = len(node.shape) - len(named)
    first = _LEADING[:leading] if leading <= len(_LEADING) else ()
    axes = first or tuple(f"axis {i}" for i in range(leading))
    return Point(path, (*axes, *named), node.shape, node.dtype, node.where)
