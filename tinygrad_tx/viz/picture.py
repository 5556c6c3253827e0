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

__all__ = ["Arrow", "Box", "Link", "Picture", "Role", "measured", "quantity", "shape_text"]

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
]
"""What a box does or is: each has its colour and shape. sign: +, − and the like in a circle."""

Link = Literal["flow", "tied", "weight", "back", "saved"]
"""flow: a value. tied: a weight of another box. weight: a weight of no box. back: a gradient, drawn
against the direction of the picture. saved: a value that the backward pass reads."""


@dataclass(frozen=True)
class Box:
    """frame: the open modules around it. lines: small text under the title. facts: what a page
    shows of it. heat: from 0 to 1, in place of the role's colour. marked: the one to look at."""

    key: str
    title: str
    role: Role
    frame: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    heat: float | None = None
    is_result: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Arrow:
    source: str
    target: str
    label: str = ""
    link: Link = "flow"


@dataclass
class Picture:
    """frames: the title of each open module. note: a line under the title."""

    title: str
    boxes: dict[str, Box]
    arrows: list[Arrow]
    frames: dict[tuple[str, ...], str] = field(default_factory=dict)
    note: str = ""


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


def quantity(value: float, unit: str) -> str:
    """`3.2 M parameters`, `1.5 GFLOP`, `12 MB`, `340 µs`: three digits, and a prefix."""
    if unit == "s":
        scale, prefix = next(
            (s, p) for s, p in ((1.0, ""), (1e-3, "m"), (0.0, "µ")) if abs(value) >= s
        )
        return f"{value / (scale or 1e-6):.3g} {prefix}s"
    for scale, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit.strip()}".strip()


def shape_text(aval: Aval) -> str:
    return "×".join(map(str, aval.shape)) or "number"
