"""The block diagram of a graph: modules as boxes, the operations between them, and what flows.

A module that stands open is a frame around its parts; any other is one box.
Operations that only show memory in another shape are not drawn, but for points with a name; nor is
what depends on no input and no parameter, but for what a module gives to another. A module that is
called again, on what came of its first call, is another box.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.viz.names import (
    INSIDE_ATTENTION,
    Names,
    Opened,
    alike,
    components,
    inside_attention,
    stands_open,
)

__all__ = ["BACKWARD", "Diagram", "Edge", "Unit", "bare", "blocks_of"]

BACKWARD = "backward"

# Shown as an arrow that passes through: the same numbers, seen differently.
_PASSES = frozenset(("part", "barrier", "alias", "stop_gradient", "astype", "require_finite"))


@dataclass
class Unit:
    """One thing in the picture. path: of the module for a box, else of the frame it stands in.

    opens: the name of the module inside it that could stand open, if there is one.
    """

    key: str
    kind: Literal["box", "op", "input", "parameter", "output"]
    path: str
    nodes: list[Node] = field(default_factory=list)
    opens: str = ""

    @property
    def frame(self) -> tuple[str, ...]:
        """The open modules around it."""
        parts = components(self.path)
        return parts[:-1] if self.kind == "box" else parts


@dataclass(frozen=True)
class Edge:
    """What flows from one unit to another. tied: a weight that belongs to another module."""

    source: str
    target: str
    aval: Aval
    tied: bool = False


@dataclass
class Diagram:
    """Units by key, in order of computation. repeats: how often a folded frame or box stands.
    twins: for the key of a folded unit the others that it stands for, in order."""

    units: dict[str, Unit]
    edges: list[Edge]
    repeats: dict[str, int] = field(default_factory=dict)
    twins: dict[str, list[Unit]] = field(default_factory=dict)


def blocks_of(
    outputs: Sequence[Node],
    names: Names,
    opened: Opened,
    backward: Sequence[Node] = (),
) -> Diagram:
    """The diagram, before repeated blocks are folded.

    backward: gradients, which stand in a frame of their own beside that of the forward pass.
    """
    nodes = collect([*outputs, *backward])
    sides = dict.fromkeys(collect(outputs), "forward") if backward else {}
    return _Grouping(nodes, names, opened, sides).diagram(outputs)


class _Grouping:
    def __init__(
        self, nodes: list[Node], names: Names, opened: Opened, forward: Mapping[Node, str]
    ) -> None:
        self.nodes, self.names, self.opened = nodes, names, opened
        self.forward = forward
        self.units: dict[str, Unit] = {}
        self.edges: dict[Edge, None] = {}
        # Where the value of a node comes from in the picture, with its shape there.
        self.sources: dict[Node, dict[str, Aval]] = {}
        self.weights: dict[Node, Node] = {}
        # The box that reads a weight first.
        self.holders: dict[Node, Unit] = {}
        # What depends on no input and no parameter, with the node that it is a view of.
        self.constants: dict[Node, Node] = {}
        # For each unit the boxes that it depends on, one bit for each.
        self.bits: dict[str, int] = {}
        self.behind: Counter[str] = Counter()
        self.numbers: Counter[str] = Counter()
        self.keys: dict[Node, str] = {}
        # Modules that open: those with others inside, and attention that was taken apart.
        self.inner = {p[:i] for p in self._paths() for i in range(len(p))}
        self.inner |= {p for p in self._paths() if p[-1:] == (INSIDE_ATTENTION,)}

    def _key(self, kind: str, node: Node) -> str:
        """Made of module and operation, and a number within these, so that it seldom changes."""
        if node not in self.keys:
            word = node.op.name if kind == "op" else self.names.parameters.get(node, kind)
            stem = f"{kind} {self._scope(node)} {word}"
            self.numbers[stem] += 1
            self.keys[node] = f"{stem} {self.numbers[stem]}"
        return self.keys[node]

    def _paths(self) -> set[tuple[str, ...]]:
        return {components(self._scope(n)) for n in self.nodes}

    def _scope(self, node: Node) -> str:
        """The module path of a node, within its side where there are two."""
        if not self.forward:
            return node.scope
        return f"{self.forward.get(node, BACKWARD)}.{node.scope}".rstrip(".")

    def diagram(self, outputs: Sequence[Node]) -> Diagram:
        for node in self.nodes:
            if node.op.name == "buffer":
                self._add_leaf(node)
            elif node.op.name == "point" and node.name:
                self._add(node)
            elif node.op.view is not None or node.op.name in _PASSES:
                self._pass_through(node)
            else:
                self._add(node)
        for number, node in enumerate(outputs):
            key = f"output {number}"
            self.units[key] = Unit(key, "output", "", [node])
            for source, aval in self.sources.get(node, {}).items():
                self.edges[Edge(source, key, aval)] = None
        return Diagram(self.units, list(self.edges))

    def _add_leaf(self, node: Node) -> None:
        if self.names.is_parameter(node):
            self.weights[node] = node
        elif node in self.names.inputs or not self.names.inputs:
            key = self._key("input", node)
            self.units[key] = Unit(key, "input", "", [node])
            self.sources[node] = {key: node.aval}
        else:
            self.constants[node] = node

    def _pass_through(self, node: Node) -> None:
        found: dict[str, Aval] = {}
        for source in node.inputs:
            if source in self.weights:
                self.weights[node] = self.weights[source]
            for key, aval in self.sources.get(source, {}).items():
                # A module's own reshape belongs to what it gives out; its reader's does not.
                found[key] = node.aval if source.scope == node.scope else aval
        if found:
            self.sources[node] = found
        elif node not in self.weights:
            origin = self.constants.get(node.inputs[0], node) if node.inputs else node
            self.constants[node] = node if origin.op.name == "buffer" else origin

    def _add(self, node: Node) -> None:
        weights = [self.weights[i] for i in node.inputs if i in self.weights]
        if not weights and not any(i in self.sources for i in node.inputs):
            self.constants[node] = node
            return
        unit = self._unit_of(node)
        for source in node.inputs:
            if source in self.constants:
                self._add_constant(source, unit)
        unit.nodes.append(node)
        for source in node.inputs:
            for key, aval in self.sources.get(source, {}).items():
                if key != unit.key:
                    self.edges[Edge(key, unit.key, aval)] = None
                    self.behind[unit.key] |= self.behind[key] | self.bits.get(key, 0)
        for weight in weights:
            # The backward pass reads all weights once more: what it reads is not drawn.
            if not self.forward or node in self.forward:
                self._add_weight(weight, unit)
        self.sources[node] = {unit.key: node.aval}

    def _add_constant(self, node: Node, reader: Unit) -> None:
        """Draws numbers that come out of a module of their own, beside their reader's."""
        origin = self.constants[node]
        home, there = self._scope(origin), alike(reader.path)
        # Equal work of equal modules is one node: it stands with the first that asked for it.
        is_own = not home or _within(there, alike(home)) or alike(home) == there
        if is_own or node.dtype.kind != "f" or scalar_of(node) is not None:
            return
        unit = self._unit_of(origin)
        if unit.kind == "box" and unit is not reader:
            unit.nodes = unit.nodes or [origin]
            self.sources[node] = {unit.key: node.aval}
        elif not unit.nodes:
            del self.units[unit.key]

    def _unit_of(self, node: Node) -> Unit:
        """The outermost closed module around the node, or the node itself."""
        parts = components(self._scope(node))
        for level in range(1, len(parts) + 1):
            has_inside = parts[:level] in self.inner
            own = parts[1:level] if self.forward else parts[:level]
            if not (has_inside and stands_open(self.opened, own)):
                path = ".".join(parts[:level])
                opens = alike(".".join(own)) if has_inside else _attention_in(node)
                found = self._box(path, node)
                found.opens = found.opens or opens
                return found
        key = self._key("op", node)
        unit = Unit(key, "op", self._scope(node), opens=_attention_in(node))
        return self.units.setdefault(key, unit)

    def _box(self, path: str, node: Node) -> Unit:
        """The box of a module, for this call: the node must not depend on what came of it."""
        behind = 0
        for source in node.inputs:
            for key in self.sources.get(source, ()):
                own = self.units[key].kind == "box" and self.units[key].path == path
                behind |= self.behind[key] | (0 if own else self.bits.get(key, 0))
        number = 1
        while True:
            key = f"box {path}" if number == 1 else f"box {path} call {number}"
            if key not in self.units:
                self.units[key] = Unit(key, "box", path)
                self.bits[key] = 1 << len(self.bits)
            if not behind & self.bits[key]:
                return self.units[key]
            number += 1

    def _add_weight(self, weight: Node, unit: Unit) -> None:
        """A box holds its own weights; a weight of another box is tied, any other is drawn."""
        holder = self.holders.setdefault(weight, unit) if unit.kind == "box" else None
        holder = holder or self.holders.get(weight)
        if holder is not None:
            if holder is not unit:
                self.edges[Edge(holder.key, unit.key, weight.aval, tied=True)] = None
            return
        path = self.names.parameters.get(weight, "")
        owner = path.rpartition(".")[0]
        for other in self.units.values():
            if other.kind == "box" and owner and _within(owner, bare(other.path)):
                if other is not unit:
                    self.edges[Edge(other.key, unit.key, weight.aval, tied=True)] = None
                return
        if unit.kind == "box":
            return
        key = self._key("parameter", weight)
        self.units.setdefault(key, Unit(key, "parameter", unit.path, [weight]))
        self.edges[Edge(key, unit.key, weight.aval)] = None


def _attention_in(node: Node) -> str:
    return alike(inside_attention(node.scope)) if node.op.name == "attention" else ""


def bare(path: str) -> str:
    """A module path without its side."""
    side, _, rest = path.partition(".")
    return rest if side in ("forward", BACKWARD) else path


def _within(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.")
