"""The sheets of a page: the picture with one module more or less standing open, and so on.

A page cannot lay out a graph, so its states are drawn beforehand, as many as keep it small; opening
a module goes to the nearest sheet where it stands open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinygrad_tx.viz.blocks import bare
from tinygrad_tx.viz.names import alike, components
from tinygrad_tx.viz.picture import Picture, frames_in
from tinygrad_tx.viz.shorten import BUDGET, closed, shortened

__all__ = ["MOST_PARTS", "MOST_SHEETS", "Opening", "of_modules", "of_whole", "sheets_of"]

MOST_SHEETS = 60
MOST_PARTS = 4000
"""Boxes, arrows and frames of all sheets together: some three megabytes."""
_DEEPEST = 12


@dataclass(frozen=True)
class Opening:
    """How a picture opens. remake: with the named modules open and all others closed.
    name_of: the name of the module that a frame's path stands for; empty if it never closes.
    """

    remake: Callable[[frozenset[str]], Picture]
    name_of: Callable[[str], str]

    def of(self, picture: Picture) -> frozenset[str]:
        """The names of the modules that stand open in a picture."""
        names = {self.name_of(".".join(frame)) for frame in frames_in(picture)}
        return frozenset(names) - {""}


def of_modules(remake: Callable[[frozenset[str]], Picture]) -> Opening:
    """Modules that repeat open together, and so do the two sides of a gradient."""
    return Opening(remake, lambda path: alike(bare(path)))


def of_whole(picture: Picture) -> Opening:
    """Frames of a picture that is there already, each by itself."""

    def remake(opened: frozenset[str]) -> Picture:
        frames = frozenset(f for f in frames_in(picture) if ".".join(f) in opened)
        return shortened(closed(picture, frames), BUDGET)

    return Opening(remake, str)


def sheets_of(shown: Picture, opening: Opening) -> list[Picture]:
    """`shown` first, one for each depth, then those that differ by one module from one there is."""
    found = {opening.of(shown): shown}
    tried = set(found)
    room = MOST_PARTS - _parts(shown)

    def add(opened: frozenset[str]) -> Picture | None:
        """The picture, if it is new; it becomes a sheet where there is room for it."""
        nonlocal room
        if opened in tried or len(found) >= MOST_SHEETS:
            return None
        tried.add(opened)
        picture = opening.remake(opened)
        if _parts(picture) <= room and opening.of(picture) not in found:
            room -= _parts(picture)
            found[opening.of(picture)] = picture
        return picture

    opened: frozenset[str] = frozenset()
    for _ in range(_DEEPEST):
        picture = found.get(opened) or add(opened)
        deeper = opened | _could_open(picture) if picture else opened
        if deeper == opened:
            break
        opened = deeper
    reached: set[frozenset[str]] = set()
    while left := [names for names in found if names not in reached]:
        # The smallest first: a module that stands open alone is more of use than one that does not.
        smallest = min(left, key=lambda names: _parts(found[names]))
        reached.add(smallest)
        for other in _one_step_from(smallest, found[smallest]):
            add(other)
    return list(found.values())


def _parts(picture: Picture) -> int:
    return len(picture.boxes) + len(picture.arrows) + len(frames_in(picture))


def _could_open(picture: Picture) -> frozenset[str]:
    names = {box.opens for box in picture.boxes.values() if box.opens}
    return frozenset(above for name in names for above in _with_those_above(name))


def _with_those_above(name: str) -> Iterator[str]:
    parts = components(name)
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _one_step_from(opened: frozenset[str], picture: Picture) -> Iterator[frozenset[str]]:
    for name in dict.fromkeys(box.opens for box in picture.boxes.values() if box.opens):
        yield opened | frozenset(_with_those_above(name))
    for name in sorted(opened):
        yield frozenset(n for n in opened if n != name and not n.startswith(f"{name}."))
