"""The overlay "statistics": mean, deviation and greatest magnitude of what each box gives out."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.readings import Reading, heats, read_into, spread
from tinygrad_tx.viz.scene import Place, Scene

__all__ = ["Summary", "summary_of", "with_statistics"]

_CHUNK = 1 << 20  # elements taken to float64 at once
_MANY_ZEROS = 0.01  # a share worth a line: of a ReLU, of a mask, of dropout


@dataclass(frozen=True)
class Summary:
    """Of the finite elements: their number, mean, sum of squared distances from it, greatest
    magnitude and how many are exactly 0. not_finite: how many others there are."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    greatest: float = 0.0
    zeros: int = 0
    not_finite: int = 0

    @property
    def deviation(self) -> float:
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @property
    def total(self) -> int:
        return self.count + self.not_finite

    def joined(self, other: Summary) -> Summary:
        """The summary of both, by the pairwise formula of Chan et al. 1983."""
        count = self.count + other.count
        if not count:
            return Summary(not_finite=self.not_finite + other.not_finite)
        apart = other.mean - self.mean
        return Summary(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart**2 * self.count * other.count / count,
            max(self.greatest, other.greatest),
            self.zeros + other.zeros,
            self.not_finite + other.not_finite,
        )


def summary_of(value: Array) -> Summary:
    """In float64, some elements at a time."""
    total, flat = Summary(), np.ravel(value)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK].astype(np.float64)
        real = part[np.isfinite(part)]
        if real.size:
            mean = float(real.mean())
            squares = float(np.square(real - mean).sum())
            greatest, zeros = float(np.abs(real).max()), int((real == 0).sum())
            found = Summary(real.size, mean, squares, greatest, zeros, part.size - real.size)
        else:
            found = Summary(not_finite=part.size)
        total = total.joined(found)
    return total


def with_statistics(picture: Picture, scene: Scene) -> Picture:
    """The picture with the statistics of what each box gives out; heat by deviation.

    A box that stands for several blocks shows the least and the greatest of their figures. What is
    not finite is counted, and left out of the figures.
    """
    places: dict[str, dict[int, Summary]] = defaultdict(dict)
    readers: dict[object, list[Place]] = defaultdict(list)
    leaving = scene.leaving()
    for place, nodes in leaving.items():
        for node in nodes:
            readers[node].append(place)
    for node, value in scene.values([n for nodes in leaving.values() for n in nodes]):
        found = summary_of(value)
        for key, number in readers[node]:
            places[key][number] = places[key].get(number, Summary()).joined(found)
    blocks = {
        k: [v[n] for n in sorted(v)] for k, v in places.items() if any(s.total for s in v.values())
    }
    shown, scale = heats({k: max(s.deviation for s in v) for k, v in blocks.items()})
    readings = {key: _reading(found, shown[key]) for key, found in blocks.items()}
    note = f"what each box gives out; colour: standard deviation σ, {scale}"
    return read_into(picture, readings, note)


def _reading(found: list[Summary], heat: float) -> Reading:
    real = [s for s in found if s.count]
    lines: list[str] = []
    brief = ""
    facts: list[tuple[str, str]] = []
    if real:
        mean = spread([_against(s.mean, s.deviation) for s in real])
        deviation = spread([s.deviation for s in real])
        brief, greatest = f"σ {deviation}", spread([s.greatest for s in real])
        lines = [f"mean: {mean}", f"σ: {deviation}", f"max |x|: {greatest}"]
        if max(s.zeros / s.count for s in real) >= _MANY_ZEROS:
            lines.append(f"zeros: {spread([100 * s.zeros / s.count for s in real])} %")
        for name, figures in (
            ("mean", [s.mean for s in real]),
            ("standard deviation", [s.deviation for s in real]),
            ("greatest magnitude", [s.greatest for s in real]),
            ("zeros", [float(s.zeros) for s in real]),
        ):
            facts.append((name, ", ".join(f"{f:.4g}" for f in figures)))
    bad, total = sum(s.not_finite for s in found), sum(s.total for s in found)
    if bad:
        lines.append(f"not finite: {bad:,} / {total:,}")
        facts.append(("not finite", f"{bad:,} / {total:,}"))
    return Reading(tuple(lines), brief, tuple(facts), heat, marked=bad > 0)


def _against(mean: float, deviation: float) -> float:
    """A mean rounded to a thousandth of the deviation: below are rounding errors of the sum."""
    if not deviation:
        return mean
    return round(mean, 3 - math.floor(math.log10(deviation)))
