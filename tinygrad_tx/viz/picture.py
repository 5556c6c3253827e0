"""Picture: what a drawing shows, before any format: boxes in frames, and arrows between them.

Views make pictures (blocks, ops, gradient, program); writers turn them into DOT, Mermaid and pages.
Keys are made of module paths and names, so that a small change of a model is a small change of its
drawing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tinygrad_tx.graph.node import Aval
from tinygrad_tx.viz.heatmaps import HeatMaps

__all__ = [
    "Arrow",
    "Box",
    "Change",
    "Direction",
    "Link",
    "Picture",
    "Role",
    "duration",
    "frames_in",
    "measured",
    "quantity",
    "readable",
    "shape_text",
]

Role = Literal[
    "attention",
    "norm",
    "embedding",
    "product",
    "other",
    "sign",
    "input",
    "output",
    "parameter",
    "data",
    "corpus",
    "process",
    "model",
    "text",
]
"""What a box does or is: each has its colour and shape. sign: +, − and the like in a circle.
corpus, process, model, text: in the history of a run."""

Change = Literal["", "kept", "moved", "gone", "new", "group"]
"""What became of an operation in a rewrite. moved: it runs inside a group. group: a new node that
holds several operations."""

Direction = Literal["BT", "LR"]
"""Where arrows point: from below to above, or from left to right."""

Link = Literal["flow", "tied", "weight", "back", "saved"]
"""flow: a value. tied: a weight of another box. weight: a weight of no box. back: a gradient, drawn
against the direction of the picture. saved: a value that the backward pass reads."""


@dataclass(frozen=True)
class Box:
    """frame: the open modules around it. lines: small text under the title. facts: what a page
    shows of it. heat: from 0 to 1, in place of the role's colour. marked: the one to look at.
    opens: the name of the module that stands open instead of it on another sheet of a page.
    holds: how many operations of each change stand in it, where it is a closed frame.
    maps: drawn under the lines where a format can, else said in words."""

    key: str
    title: str
    role: Role
    frame: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    heat: float | None = None
    is_result: bool = False
    marked: bool = False
    opens: str = ""
    change: Change = ""
    holds: tuple[tuple[Change, int], ...] = ()
    maps: HeatMaps | None = None


@dataclass(frozen=True)
class Arrow:
    """shape: what flows, for a page; arrows that differ in nothing else are one arrow.
    effect: from -1 to 1, what the arrow does: its size is the width, its sign the colour."""

    source: str
    target: str
    label: str = ""
    link: Link = "flow"
    shape: str = field(default="", compare=False)
    effect: float | None = None


@dataclass
class Picture:
    """frames: the title of each open module. note: lines under the title. sides: the outermost
    frames where the picture compares; they stay open however small it gets."""

    title: str
    boxes: dict[str, Box]
    arrows: list[Arrow]
    frames: dict[tuple[str, ...], str] = field(default_factory=dict)
    note: str = ""
    direction: Direction = "BT"
    sides: tuple[str, ...] = ()


def frames_in(picture: Picture) -> frozenset[tuple[str, ...]]:
    """Every frame that stands open around some box."""
    frames = {box.frame for box in picture.boxes.values()}
    return frozenset(frame[:n] for frame in frames for n in range(1, len(frame) + 1))


def measured(picture: Picture, values: Mapping[str, float], unit: str) -> Picture:
    """The picture with a figure in each box that has one, coloured from least to most."""
    most = max(values.values(), default=0.0)
    boxes = dict(picture.boxes)
    for key, value in values.items():
        # A sign in its circle has no room for a figure.
        if key in boxes and boxes[key].role != "sign":
            line = quantity(value, unit)
            heat = value / most if most > 0 else 0.0
            lines, facts = boxes[key].lines, boxes[key].facts
            boxes[key] = replace(
                boxes[key], lines=(*lines, line), facts=(*facts, ("figure", line)), heat=heat
            )
    return replace(picture, boxes=boxes)


def duration(seconds: float) -> str:
    """`1.8 minutes`: one digit behind the point, of the largest unit that it fills."""
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {word}"
    return f"{seconds:.1f} seconds"


def quantity(value: float, unit: str) -> str:
    """`3.2 M parameters`, `1.5 GFLOP`, `12 MB`, `340 µs`: three digits, and a prefix.

    Parameters are counted in billions (B), as everybody does.
    """
    if unit == "s":
        scale, prefix = next(
            (s, p) for s, p in ((1.0, ""), (1e-3, "m"), (0.0, "µ")) if abs(value) >= s
        )
        return f"{value / (scale or 1e-6):.3g} {prefix}s"
    billions = "B" if unit == " parameters" else "G"
    for scale, prefix in ((1e15, "P"), (1e12, "T"), (1e9, billions), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit.strip()}".strip()


_UNREADABLE = {
    **{c: 0x2400 + c for c in range(32) if chr(c) not in "\t\n"},  # the sign that stands for it
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), 0xFFFD),
}


def readable(text: str) -> str:
    """Text with a visible sign for each character that XML or UTF-8 has no place for."""
    return text.translate(_UNREADABLE)


def shape_text(aval: Aval) -> str:
    return "×".join(map(str, aval.shape)) or "number"
