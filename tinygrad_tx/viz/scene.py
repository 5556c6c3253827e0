"""Scene: the graph behind a picture, box by box, for overlays that run it on the real input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, users_of
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.runtime.values import values_of
from tinygrad_tx.viz.blocks import Diagram
from tinygrad_tx.viz.names import Names

__all__ = ["Place", "Scalar", "Scene", "behind_units"]

Place = tuple[str, int]
"""A box, and which of the blocks that it stands for."""


@dataclass(frozen=True)
class Scalar:
    """The sum of all elements of `nodes`, and what it is called."""

    nodes: Sequence[Node] = ()
    name: str = ""


@dataclass(frozen=True)
class Scene:
    """outputs: what is computed; gradients: the backward pass beside it, where that is drawn.

    behind: the nodes of each box, once for every block that the box stands for. scalar: what
    gradients are asked of. given: what leaves stand for, where that is not their own memory.
    """

    outputs: Sequence[Node]
    behind: Mapping[str, Sequence[Sequence[Node]]]
    names: Names
    gradients: Sequence[Node] = ()
    scalar: Scalar = Scalar()
    given: Mapping[Node, Array] = field(default_factory=dict)

    @property
    def roots(self) -> list[Node]:
        return [*self.outputs, *self.gradients]

    def values(self, nodes: Sequence[Node]) -> Iterator[tuple[Node, Array]]:
        """Each node with its value, inputs before users. Errors: those of the operators."""
        return values_of(sorted(set(nodes), key=lambda n: n.serial), self.given)

    def places(self) -> Iterator[tuple[Place, Sequence[Node]]]:
        """The nodes of each box, apart for each block that it stands for."""
        for key, blocks in self.behind.items():
            for number, nodes in enumerate(blocks):
                yield (key, number), nodes

    def leaving(self) -> dict[Place, list[Node]]:
        """The real numbers that each box gives out: values that something outside of it reads."""
        home: dict[Node, Place] = {}
        for place, nodes in self.places():
            for node in nodes:
                home.setdefault(node, place)
        every = collect(self.roots)
        users = users_of(every)
        forward = set(collect(self.outputs))
        if not self.gradients:
            forward = set(every)
        roots = set(self.roots)
        found: dict[Place, list[Node]] = {}
        for place, nodes in self.places():
            given_out: dict[Node, None] = {}
            for node in nodes:
                single = len(node.outputs) == 1
                for result in (node,) if single else users.get(node, ()):
                    own = home.get(node) == place
                    # What the backward pass reads of a forward box is not what the box is for.
                    side = forward if node in forward else None
                    if result in roots or not own or _is_read(result, place, home, users, side):
                        given_out[result] = None
            kept = [n for n in given_out if n.dtype.kind == "f" and len(n.outputs) == 1]
            if kept:
                found[place] = kept
        return found


def behind_units(diagram: Diagram) -> dict[str, list[list[Node]]]:
    """The nodes of each box of a diagram, with those of the equal boxes folded into it."""
    return {
        key: [unit.nodes, *(twin.nodes for twin in diagram.twins.get(key, ()))]
        for key, unit in diagram.units.items()
    }


def _is_read(
    node: Node,
    place: Place,
    home: Mapping[Node, Place],
    users: Mapping[Node, Sequence[Node]],
    side: set[Node] | None,
) -> bool:
    """Whether another box reads a node, seen through what stands in no box, as views do."""
    stack, seen = [node], {node}
    while stack:
        for user in users.get(stack.pop(), ()):
            if user in seen or (side is not None and user not in side):
                continue
            seen.add(user)
            if user not in home:
                stack.append(user)
            elif home[user] != place:
                return True
    return False
