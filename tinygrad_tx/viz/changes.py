"""What became of each operation between two graphs: kept, moved into a group, gone or new.

Groups that the compiler makes are taken apart into their operations first, so that an operation is
found again wherever it runs. Then operations are paired, inputs before users.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_tx.compiler.epilogue import WITH_EPILOGUE, product_of
from tinygrad_tx.compiler.fuse import FUSED
from tinygrad_tx.compiler.simplify import scalar_of
from tinygrad_tx.compiler.sums import SUMMED
from tinygrad_tx.graph.node import Aval, Node
from tinygrad_tx.graph.walk import collect

__all__ = ["GROUPS", "Changes", "changes_of", "is_operation", "operations_in"]

GROUPS = (FUSED, WITH_EPILOGUE, SUMMED)
NEAR = 32  # origins of a value that are compared: those nearest to it


@dataclass(frozen=True)
class Changes:
    """From `before` to `after`, both as nodes that compute something.

    kept: node before -> node after, the same object or rebuilt on other inputs. moved: node before
    -> the node after that it now runs inside. gone and new: those with no counterpart.
    """

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    kept: Mapping[Node, Node]
    moved: Mapping[Node, Node]

    @property
    def gone(self) -> tuple[Node, ...]:
        return tuple(n for n in self.before if n not in self.kept and n not in self.moved)

    @property
    def new(self) -> tuple[Node, ...]:
        found = set(self.kept.values())
        return tuple(n for n in self.after if n not in found)


@dataclass(frozen=True, eq=False)
class _Atom:
    """One operation, alone in its node or inside a group. attrs, scope: None where not known."""

    home: Node
    name: str
    attrs: frozenset[Any] | None
    outputs: tuple[Aval, ...]
    inputs: tuple[_Atom, ...]
    scope: str | None
    number: int

    @property
    def key(self) -> Any:
        return self.name, self.outputs


@dataclass
class _Graph:
    """A graph as atoms, inputs before users."""

    nodes: list[Node]
    atoms: list[_Atom] = field(default_factory=list)
    of_node: dict[Node, list[_Atom]] = field(default_factory=dict)

    def add(
        self,
        home: Node,
        name: str,
        attrs: Mapping[str, Any] | None,
        outputs: tuple[Aval, ...],
        inputs: Iterable[_Atom],
        scope: str | None = None,
    ) -> _Atom:
        known = None
        if attrs is not None:
            known = frozenset((k, type(v).__name__, v) for k, v in attrs.items())
        number = len(self.atoms)
        self.atoms.append(_Atom(home, name, known, outputs, tuple(inputs), scope, number))
        self.of_node.setdefault(home, []).append(self.atoms[-1])
        return self.atoms[-1]


def changes_of(before: Sequence[Node], after: Sequence[Node]) -> Changes:
    """What a pass did, from the outputs of the graph that it took and of the one that it gave.

    A node is kept if the very object is there again (nodes are hash-consed), or one that does the
    same, asked for by the same module, on inputs that correspond.
    """
    old, new = _taken_apart(collect(before)), _taken_apart(collect(after))
    twins = _Pairing(old, new).twins
    kept: dict[Node, Node] = {}
    moved: dict[Node, Node] = {}
    for node in filter(is_operation, old.nodes):
        found = [twins[a] for a in old.of_node[node] if a in twins]
        homes = {a.home for a in found}
        if len(homes) == 1 and _is_rebuilt(node, found[0].home, old, new, len(found)):
            kept[node] = found[0].home
        elif found:
            moved[node] = found[-1].home
    operations = tuple(filter(is_operation, old.nodes)), tuple(filter(is_operation, new.nodes))
    return Changes(*operations, kept, moved)


def is_operation(node: Node) -> bool:
    """Whether a node computes: no data, no constant, and not one of the results of another."""
    return node.op.name not in ("buffer", "part") and scalar_of(node) is None


def operations_in(node: Node) -> list[str]:
    """The names of what a node computes: its own, or those inside a group, in order."""
    if node.op not in GROUPS:
        return [node.op.name]
    first = [node.attrs["operator"].name] if node.op is WITH_EPILOGUE else []
    last = ["sum"] if node.op is SUMMED else []
    return [*first, *(line.op.name for line in node.attrs["body"].lines), *last]


def _is_rebuilt(node: Node, other: Node, old: _Graph, new: _Graph, found: int) -> bool:
    """Whether `other` holds all that `node` held and nothing else."""
    same = found == len(old.of_node[node]) == len(new.of_node[other])
    return same and (node.op in GROUPS) == (other.op in GROUPS)


def _taken_apart(nodes: list[Node]) -> _Graph:
    graph = _Graph(nodes)
    value: dict[Node, _Atom] = {}
    results: dict[Node, list[_Atom]] = {}
    for node in nodes:
        if node.op.name == "part" and node.inputs[0] in results:
            value[node] = results[node.inputs[0]][node.attrs["index"]]
            continue
        inputs = [value[i] for i in node.inputs]
        if node.op in GROUPS:
            results[node] = _group(graph, node, inputs)
            value[node] = results[node][0]
        else:
            parts = (node.op.name, node.attrs, node.outputs, inputs, node.scope)
            value[node] = graph.add(node, *parts)
    return graph


def _group(graph: _Graph, node: Node, inputs: list[_Atom]) -> list[_Atom]:
    """Adds what a group computes; gives its results."""
    body = node.attrs["body"]
    if node.op is WITH_EPILOGUE:
        factors, at = node.attrs["factors"], node.attrs["at"]
        product = product_of(node)
        made = graph.add(
            node, product.op.name, {}, product.outputs, inputs[:factors], product.scope
        )
        inputs = [*inputs[factors : factors + at], made, *inputs[factors + at :]]
    values = list(inputs)
    for line in body.lines:
        outputs = (Aval(body.avals[0].shape, line.dtype),)
        args = (values[i] for i in line.args)
        values.append(graph.add(node, line.op.name, dict(line.attrs), outputs, args))
    found = [values[len(inputs) + r] for r in body.results]
    if node.op is SUMMED:
        found = [graph.add(node, "sum", None, node.outputs, found)]
    return found


class _Pairing:
    """Pairs the atoms of two graphs: equal ones first, then those whose inputs correspond."""

    def __init__(self, old: _Graph, new: _Graph) -> None:
        self.twins: dict[_Atom, _Atom] = {}
        self.taken: set[_Atom] = set()
        self.stands: dict[_Atom, _Atom] = {}
        """For an operation that is gone: the value that its readers find in its place."""
        for node in old.nodes:
            pairs = zip(old.of_node.get(node, ()), new.of_node.get(node, ()), strict=False)
            for one, other in pairs:
                self._pair(one, other)
        self.exact: dict[Any, list[_Atom]] = defaultdict(list)
        self.alike: dict[Any, list[_Atom]] = defaultdict(list)
        for atom in new.atoms:
            self.exact[atom.key, atom.inputs].append(atom)
            self.alike[atom.key].append(atom)
        for atom in old.atoms:
            self._pair_exactly(atom)
        # What is left stands behind something that changed: origins say what it was made of.
        origins = _origins(old, self.twins), _origins(new, {a: a for a in self.taken})
        for atom in old.atoms:
            self.stands.pop(atom, None)
            if not self._pair_exactly(atom):
                self._pair_nearly(atom, *origins)

    def _pair(self, one: _Atom, other: _Atom) -> None:
        self.twins[one] = other
        self.taken.add(other)

    def _value(self, atom: _Atom) -> _Atom | None:
        return self.twins.get(atom) or self.stands.get(atom)

    def _pair_exactly(self, atom: _Atom) -> bool:
        if atom in self.twins:
            return True
        values = tuple(self._value(i) for i in atom.inputs)
        found = [a for a in self.exact.get((atom.key, values), ()) if _does(a, atom)]
        free = [a for a in found if a not in self.taken]
        if free:
            self._pair(atom, min(free, key=lambda a: a.scope not in (None, atom.scope)))
            return True
        # An equal operation took its place, or it passed its one input on.
        changing = [i for i in atom.inputs if scalar_of(i.home) is None]
        if found:
            self.stands[atom] = found[0]
        elif len(changing) == 1 and changing[0].outputs == atom.outputs:
            passed = self._value(changing[0])
            if passed is not None:
                self.stands[atom] = passed
        return False

    def _pair_nearly(
        self,
        atom: _Atom,
        old: Mapping[_Atom, frozenset[_Atom]],
        new: Mapping[_Atom, frozenset[_Atom]],
    ) -> None:
        """Pairs with the first of those that share most inputs, and the origins of the others."""
        best, score = None, -1
        values = [self._value(i) for i in atom.inputs]
        for other in self.alike[atom.key]:
            if other in self.taken or not _does(other, atom) or not _may_be(other, atom):
                continue
            if len(other.inputs) != len(values):
                continue
            equal = [v is i for v, i in zip(values, other.inputs, strict=True)]
            near = all(
                e or old[a] & new[b]
                for e, a, b in zip(equal, atom.inputs, other.inputs, strict=True)
            )
            # A line of a group has no scope to tell it by, so that an input must.
            if near and sum(equal) > score and (other.scope is not None or any(equal)):
                best, score = other, sum(equal)
        if best is not None:
            self._pair(atom, best)
            self.stands.pop(atom, None)


def _does(one: _Atom, other: _Atom) -> bool:
    return one.attrs == other.attrs or one.attrs is None or other.attrs is None


def _may_be(one: _Atom, other: _Atom) -> bool:
    return one.scope == other.scope or one.scope is None or other.scope is None


def _origins(graph: _Graph, twins: Mapping[_Atom, _Atom]) -> dict[_Atom, frozenset[_Atom]]:
    """For each atom the paired values that it was made of, as atoms of the graph after."""
    found: dict[_Atom, frozenset[_Atom]] = {}
    for atom in graph.atoms:
        if atom in twins:
            found[atom] = frozenset((twins[atom],))
            continue
        made = {a for i in atom.inputs for a in found[i]}
        found[atom] = frozenset(sorted(made, key=lambda a: -a.number)[:NEAR])
    return found
