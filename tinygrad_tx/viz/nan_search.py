"""The overlay "nan": the box in which the first NaN or infinity arises, in order of computation."""

from __future__ import annotations

from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect, users_of
from tinygrad_tx.runtime.not_finite import NotFinite, first_not_finite
from tinygrad_tx.viz.facts import place_of
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.readings import Reading, read_into
from tinygrad_tx.viz.scene import Scene

__all__ = ["with_first_nan"]


def with_first_nan(picture: Picture, scene: Scene) -> Picture:
    """The picture with the box marked whose value is the first that is not finite.

    The note says what and where, or that all is finite.
    """
    found = first_not_finite(scene.roots, scene.given)
    if found is None:
        return read_into(picture, {}, "every value is finite")
    lines = _lines(found, scene)
    key = _box_of(found.node, scene)
    facts = (("first not finite", "; ".join(lines)),)
    reading = Reading(lines, lines[1], facts, marked=True)
    readings = {} if key is None else {key: reading}
    return read_into(picture, readings, "first not finite: " + ", ".join(lines))


def _lines(found: NotFinite, scene: Scene) -> tuple[str, ...]:
    node = found.node
    what = node.path + " " + node.op.name
    if node.op.name == "buffer":
        known = scene.names.parameters.get(node) or scene.names.inputs.get(node)
        what = known or "data"
    at = f" at ({', '.join(map(str, found.index))})" if found.index else ""
    lines = [
        what.strip(),
        f"not finite: {found.count:,} / {node.aval.size:,}",
        f"{found.value}{at}",
    ]
    if node.where:
        lines.append(f"made at: {place_of(node.where)}")
    return tuple(lines)


def _box_of(node: Node, scene: Scene) -> str | None:
    """The box that holds a node; for a leaf in no box the first that reads it, for a view or a
    part the one whose value it shows."""
    home: dict[Node, str] = {}
    for (key, _), nodes in scene.places():
        for own in nodes:
            home.setdefault(own, key)
    below = node
    while below not in home and below.inputs and not below.op.is_composite:
        below = below.inputs[0]
    if below in home:
        return home[below]
    users = users_of(collect(scene.roots))
    waiting = [node]
    while waiting:
        readers = sorted({u for n in waiting for u in users.get(n, ())}, key=lambda n: n.serial)
        inside = [home[u] for u in readers if u in home]
        if inside:
            return inside[0]
        waiting = readers
    return None
