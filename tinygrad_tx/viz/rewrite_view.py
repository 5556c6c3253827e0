"""The picture of what compiler passes do: the graph before and after them, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from tinygrad_tx.compiler.pipeline import passes
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, users_of
from tinygrad_tx.viz.changes import GROUPS, Changes, changes_of, is_operation, operations_in
from tinygrad_tx.viz.facts import facts_of
from tinygrad_tx.viz.names import Names, components, titled
from tinygrad_tx.viz.picture import Arrow, Box, Change, Picture, Role, shape_text

__all__ = ["rewrite_picture", "rewritten"]

SIDES = ("before", "after")
LEGEND = "dashed: gone; dotted: moved into a group; bold: new"
LINES, LINE = 4, 30  # of what a group holds, in its box; a page shows all of it


def rewritten(
    outputs: Sequence[Node], chosen: str | Sequence[str] | None = None
) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The graph before and after the chosen passes (None: all), as `tx.jit` runs them.

    They run in their own order; passes that stand before the first of them have run already.
    Errors: DrawError for a name that is no pass.
    """
    found = passes(generate=True)
    known = [name for name, _ in found]
    names = known if chosen is None else (chosen,) if isinstance(chosen, str) else tuple(chosen)
    unknown = [n for n in names if n not in known]
    if unknown or not names:
        what = f"passes {', '.join(map(repr, unknown)) or 'is empty'}"
        remedy = f"give one or several of {', '.join(known)}"
        raise DrawError(explain("draw", what + " is no pass" * bool(unknown), remedy=remedy))
    before = after = tuple(outputs)
    has_begun = False
    for name, run in found:
        has_begun = has_begun or name in names
        if name in names:
            after = run(after)
        elif not has_begun:
            before = after = run(after)
    return before, after


def rewrite_picture(
    before: Sequence[Node], after: Sequence[Node], names: Names, shapes: bool
) -> tuple[Picture, Changes]:
    """Both graphs in frames of their own, each operation marked by what became of it."""
    changes = changes_of(before, after)
    groups = [n for n in changes.new if n.op in GROUPS]
    number = {node: i for i, node in enumerate(groups, 1)}
    boxes: dict[str, Box] = {}
    arrows: dict[Arrow, None] = {}
    for side, outputs in zip(SIDES, (before, after), strict=True):
        drawn = _Side(side, outputs, names, changes, number)
        boxes |= drawn.boxes
        arrows |= drawn.arrows(shapes)
    frames: dict[tuple[str, ...], str] = {(side,): side for side in SIDES}
    note = f"{LEGEND}\n{_counts(changes)}"
    picture = Picture(names.title, boxes, list(arrows), frames, note=note, sides=SIDES)
    return picture, changes


def _counts(changes: Changes) -> str:
    parts = [("gone", len(changes.gone)), ("moved into groups", len(changes.moved))]
    parts += [("new", len(changes.new))]
    said = ", ".join(f"{n:,} {word}" for word, n in parts if n) or "nothing changed"
    return f"{len(changes.before):,} operations before, {len(changes.after):,} after: {said}"


class _Side:
    """One of the two graphs as boxes and arrows."""

    def __init__(
        self,
        side: str,
        outputs: Sequence[Node],
        names: Names,
        changes: Changes,
        number: Mapping[Node, int],
    ) -> None:
        self.side, self.names, self.changes, self.number = side, names, changes, number
        self.rebuilt = {n for n in changes.kept.values() if n not in changes.kept}
        self.results = set(outputs)
        nodes = collect(outputs)
        self.nodes = [n for n in nodes if n.op.name != "part" and self._is_drawn(n)]
        self.users = users_of(nodes)
        self.key_of: dict[Node, str] = {}
        self.boxes: dict[str, Box] = {}
        found = set(changes.new)
        counts: Counter[str] = Counter()
        for node in self.nodes:
            frame = (side, *components(self._scope(node)))
            stem = f"{'.'.join(frame)} {node.op.name}"
            counts[stem] += 1
            key = self.key_of[node] = f"{stem} {counts[stem]}"
            self.boxes[key] = self._box(key, node, frame, self._change(node, found))

    def _is_drawn(self, node: Node) -> bool:
        """Constants stand in the title of their reader."""
        return scalar_of(node) is None or node in self.results

    def arrows(self, shapes: bool) -> dict[Arrow, None]:
        """What flows between the boxes; several results of one box are one."""
        found: dict[Arrow, None] = {}
        for node in self.nodes:
            for value in node.inputs:
                maker = value.inputs[0] if value.op.name == "part" else value
                if maker in self.key_of:
                    label = shape_text(value.aval) if shapes else ""
                    found[Arrow(self.key_of[maker], self.key_of[node], label)] = None
        return found

    def _scope(self, node: Node) -> str:
        """A leaf stands in the frame of who reads it first, an input outside of all."""
        if node.op.name != "buffer" or node in self.names.inputs or not self.users[node]:
            return node.scope
        return self.users[node][0].scope

    def _change(self, node: Node, new: set[Node]) -> Change:
        if not is_operation(node):
            return ""
        if self.side == "before":
            if node in self.changes.moved:
                return "moved"
            return "kept" if node in self.changes.kept else "gone"
        if node not in new:
            return "kept"
        return "group" if node in self.number else "new"

    def _box(self, key: str, node: Node, frame: tuple[str, ...], change: Change) -> Box:
        is_result, facts = node in self.results, facts_of(node)
        if node.op.name == "buffer":
            known = self.names.parameters.get(node) or self.names.inputs.get(node) or ""
            known = known.removeprefix(f"{'.'.join(frame[1:])}.")
            role: Role = "parameter" if self.names.is_parameter(node) else "data"
            return Box(key, known or "data", role, frame, (shape_text(node.aval),), facts)
        lines: tuple[str, ...] = ()
        title = titled(node)
        if node.op in GROUPS:
            held = operations_in(node)
            title = f"group {self.number[node]}" if change == "group" else "group"
            lines = _wrapped(held)
            facts = (("inside", ", ".join(held)), *facts)
        elif change == "moved":
            lines = (f"→ group {self.number[self.changes.moved[node]]}",)
        facts = self._said(node, change, facts)
        return Box(key, title, "other", frame, lines, facts, is_result=is_result, change=change)

    def _said(
        self, node: Node, change: Change, facts: tuple[tuple[str, str], ...]
    ) -> tuple[tuple[str, str], ...]:
        """Facts, with what became of the node in words."""
        word: str = change
        if change == "kept":
            twin = self.changes.kept.get(node)
            is_same = node not in self.rebuilt if self.side == "after" else twin is node
            word = "kept as it is" if is_same else "kept, on other inputs"
        elif change == "moved":
            word = f"moved into group {self.number[self.changes.moved[node]]}"
        return (("change", word), *facts) if word else facts


def _wrapped(held: Iterable[str]) -> tuple[str, ...]:
    """What a group holds in a few short lines; runs of one operation as `add ×3`."""
    runs = ((name, len(list(same))) for name, same in groupby(held))
    words = [name if n == 1 else f"{name} ×{n}" for name, n in runs]
    lines = [""]
    for at, word in enumerate(words):
        longer = f"{lines[-1]} · {word}" if lines[-1] else word
        if len(longer) <= LINE or not lines[-1]:
            lines[-1] = longer
        elif len(lines) == LINES:
            return (*lines[:-1], f"{lines[-1]} … {len(words) - at} more")
        else:
            lines.append(word)
    return tuple(lines)
