"""Shortening: a picture of any size made small enough to lay out and to look at.

Frames close from the innermost; what is still too long loses its middle. Both are said in the note.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tinygrad_tx.viz.picture import Arrow, Box, Change, Picture, frames_in

__all__ = ["BUDGET", "closed", "shortened"]

BUDGET = 600  # boxes: some seconds of layout, and more than a page shows


def shortened(picture: Picture, budget: int) -> Picture:
    """The picture itself, or a smaller one with at most `budget` boxes."""
    count = len(picture.boxes)
    depth = max((len(box.frame) for box in picture.boxes.values()), default=0)
    small = picture
    while len(small.boxes) > budget and depth > bool(picture.sides):
        depth -= 1
        small = closed(picture, frozenset(f for f in frames_in(picture) if len(f) <= depth))
    if len(small.boxes) > budget:
        small = _without_middle(small, budget)
    if small is picture:
        return picture
    note = f"{count:,} boxes drawn as {len(small.boxes)}"
    return replace(small, note=", ".join(n for n in (picture.note, note) if n))


def closed(picture: Picture, opened: frozenset[tuple[str, ...]]) -> Picture:
    """Frames that are not in `opened` become one box each, with all that is in them."""
    home: dict[str, str] = {}
    boxes: dict[str, Box] = {}
    inside: dict[str, list[Box]] = defaultdict(list)
    for key, box in picture.boxes.items():
        levels = (box.frame[:n] for n in range(1, len(box.frame) + 1))
        path = next((p for p in levels if p not in opened), None)
        if path is None:
            home[key], boxes[key] = key, box
            continue
        name = f"box {'.'.join(path)}"
        home[key] = name
        inside[name].append(box)
        title = picture.frames.get(path, path[-1])
        whole = ".".join(path)
        facts = (("module", whole),)
        boxes.setdefault(name, Box(name, title, box.role, path[:-1], facts=facts, opens=whole))
    for name, members in inside.items():
        count = f"{len(members)} box{'es' if len(members) > 1 else ''}"
        boxes[name] = _standing_for(members, replace(boxes[name], lines=(count,)))
    return _moved(picture, boxes, home)


def _standing_for(members: Sequence[Box], box: Box) -> Box:
    """`box` with what became of the operations that it stands for, marked if one of them is."""
    box = replace(box, marked=any(member.marked for member in members))
    changes: Counter[Change] = Counter()
    for member in members:
        changes.update(dict(member.holds) or ({member.change: 1} if member.change else {}))
    if not changes:
        return box
    words: dict[str, str] = {"group": "groups"}
    line = ", ".join(f"{n} {words.get(change, change)}" for change, n in changes.items())
    only: Change = next(iter(changes)) if len(changes) == 1 else ""
    held = tuple(changes.items())
    return replace(box, role="other", change=only, lines=(*box.lines, line), holds=held)


def _without_middle(picture: Picture, budget: int) -> Picture:
    """The first and the last boxes, and one for all between; on each side, where there are two."""
    boxes: dict[str, Box] = {}
    home: dict[str, str] = {}
    for side in picture.sides or ("",):
        keys = [k for k, b in picture.boxes.items() if side in ("", *b.frame[:1])]
        half = max(1, (budget * len(keys) // len(picture.boxes) - 1) // 2)
        middle = keys[half : len(keys) - half]
        name = f"box middle {side}".strip()
        boxes |= {k: picture.boxes[k] for k in keys[:half]}
        if middle:
            title, frame = f"… {len(middle):,} more …", (side,) if side else ()
            members = [picture.boxes[k] for k in middle]
            boxes[name] = _standing_for(members, Box(name, title, "other", frame))
        boxes |= {k: picture.boxes[k] for k in keys[half + len(middle) :]}
        home |= {k: k for k in keys} | dict.fromkeys(middle, name)
    return _moved(picture, boxes, home)


def _moved(picture: Picture, boxes: dict[str, Box], home: dict[str, str]) -> Picture:
    """Arrows between the boxes that stand for the old ones; none from a box to itself."""
    arrows: dict[Arrow, None] = {}
    for arrow in picture.arrows:
        source, target = home[arrow.source], home[arrow.target]
        if source != target:
            arrows[replace(arrow, source=source, target=target)] = None
    return replace(picture, boxes=boxes, arrows=list(arrows))
