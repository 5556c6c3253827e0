"""Readings: what an overlay says in each box, put into the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tinygrad_tx.viz.heatmaps import HeatMaps
from tinygrad_tx.viz.picture import Picture

__all__ = ["Reading", "heats", "read_into", "spread"]

_WIDE = 10.0  # from here on a linear scale shows little but the largest


@dataclass(frozen=True)
class Reading:
    """lines: into the box. brief: the one for a sign in its circle, which has no room for more.
    facts: for a page. heat: from 0 to 1. marked: the box to look at."""

    lines: tuple[str, ...] = ()
    brief: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    heat: float | None = None
    marked: bool = False
    maps: HeatMaps | None = None


def read_into(picture: Picture, readings: Mapping[str, Reading], note: str) -> Picture:
    """The picture with a reading in each box that has one, and `note` under its title."""
    boxes = dict(picture.boxes)
    for key, reading in readings.items():
        if key not in boxes:
            continue
        box = boxes[key]
        lines = reading.lines
        if box.role == "sign":
            lines = (reading.brief,) if reading.brief else ()
        boxes[key] = replace(
            box,
            lines=(*box.lines, *lines),
            facts=(*box.facts, *reading.facts),
            heat=box.heat if reading.heat is None else reading.heat,
            marked=box.marked or reading.marked,
            maps=reading.maps or box.maps,
        )
    return replace(picture, boxes=boxes, note="; ".join(n for n in (picture.note, note) if n))


def heats(values: Mapping[str, float]) -> tuple[dict[str, float], str]:
    """Heat from 0 to 1 for each magnitude, and the name of the scale.

    Linear from nothing; by orders of magnitude where the largest is over 10 times the least. What
    is zero or not finite is cold.
    """
    real = [v for v in values.values() if math.isfinite(v) and v > 0]
    most, least = max(real, default=0.0), min(real, default=0.0)
    wide = most > _WIDE * least
    found = {}
    for key, value in values.items():
        if not math.isfinite(value) or value <= 0:
            found[key] = 0.0
        elif wide:
            found[key] = math.log(value / least) / math.log(most / least)
        else:
            found[key] = value / most
    return found, "log scale" if wide else "linear scale"


def spread(values: Sequence[float]) -> str:
    """One figure, or the least and the greatest of several."""
    low, high = (f"{f(values):.3g}".replace("-", "−") for f in (min, max))
    return low if low == high else f"{low} … {high}"
