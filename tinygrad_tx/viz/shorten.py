"""Shortening: a picture of any size made small enough to lay out and to look at.

Frames close from the innermost; what is still too long loses its middle. Both are said in the note.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tinygrad_tx.viz.picture import Arrow, Box, Picture

__all__ = ["BUDGET", "shortened"]

BUDGET = 600  # boxes: some seconds of layout, and more than a page shows


def shortened(picture: Picture, budget: int) -> Picture:
    """The picture itself, or a smaller one with at most `budget` boxes."""
    count = len(picture.boxes)
    depth = max((len(box.frame) for box in picture.boxes.values()), default=0)
    small = picture
    while len(small.boxes) > budget and depth > 0:
        depth -= 1
        small = _closed(picture, depth)
    if len(small.boxes) > budget:
        small = _without_middle(small, budget)
    if small is picture:
        return picture
    note = f"{count:,} boxes drawn as {len(small.boxes)}"
    return replace(small, note=", ".join(n for n in (picture.note, note) if n))


def _closed(picture: Picture, depth: int) -> Picture:
    """Frames below `depth` become one box each."""
    home: dict[str, str] = {}
    boxes: dict[str, Box] = {}
    counts: Counter[str] = Counter()
    for key, box in picture.boxes.items():
        if len(box.frame) <= depth:
            home[key], boxes[key] = key, box
            continue
        path = box.frame[: depth + 1]
        name = f"box {'.'.join(path)}"
        home[key] = name
        counts[name] += 1
        title = picture.frames.get(path, path[-1])
        boxes.setdefault(name, Box(name, title, box.role, path[:-1]))
    for name, count in counts.items():
        boxes[name] = replace(boxes[name], lines=(f"{count} boxes",))
    return _moved(picture, boxes, home)


def _without_middle(picture: Picture, budget: int) -> Picture:
    """The first and the last boxes, and one for all between."""
    keys = list(picture.boxes)
    half = (budget - 1) // 2
    middle = keys[half : len(keys) - half]
    rest = Box("box middle", f"… {len(middle):,} more …", "other")
    boxes = {k: picture.boxes[k] for k in keys[:half]} | {rest.key: rest}
    boxes |= {k: picture.boxes[k] for k in keys[len(keys) - half :]}
    return _moved(picture, boxes, {k: k for k in boxes} | dict.fromkeys(middle, rest.key))


def _moved(picture: Picture, boxes: dict[str, Box], home: dict[str, str]) -> Picture:
    """Arrows between the boxes that stand for the old ones; none from a box to itself."""
    arrows: dict[Arrow, None] = {}
    for arrow in picture.arrows:
        source, target = home[arrow.source], home[arrow.target]
        if source != target:
            arrows[replace(arrow, source=source, target=target)] = None
    return replace(picture, boxes=boxes, arrows=list(arrows))
