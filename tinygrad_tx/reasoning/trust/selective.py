"""Selective prediction: the errors that are left when a model answers only where it is sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Picture

from tinygrad_tx.errors import DataError, NonFiniteError, ShapeError, explain
from tinygrad_tx.reasoning.trust.intervals import bounds, resampled
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.picture import levels, panels
from tinygrad_tx.tasks.task import Figure

__all__ = ["Selective", "selective"]

Array = np.ndarray[Any, Any]


@shown_as_table
@dataclass(frozen=True)
class Selective:
    """How many errors are left where a model may leave questions unanswered.

    coverage, risk: share answered and share of errors in it, from the surest example to all.

    area: the mean risk over coverages; excess: what it is above that of the best order of the same
    answers (all right ones first). A random order has the area `error`, the risk of answering all.
    """

    coverage: Array
    risk: Array
    area: Figure
    excess: Figure
    error: float

    def coverage_at(self, risk: float) -> float:
        """The largest share that can be answered with no more than this share of errors."""
        good = self.coverage[self.risk <= risk]
        return float(good.max()) if len(good) else 0.0

    def table(self) -> Table:
        rows: list[tuple[Any, ...]] = [
            ("area under risk and coverage", self.area.value, bounds(self.area)),
            ("its excess over the best order", self.excess.value, bounds(self.excess)),
            ("error when all is answered", self.error, None),
        ]
        for share in (0.5, 0.8, 0.9):
            at = min(len(self.risk) - 1, math.ceil(share * len(self.risk)) - 1)
            rows.append((f"error at {share:.0%} coverage".replace("%", " %"), self.risk[at], None))
        notes = ("A random order has the area of the error when all is answered.",)
        return Table(
            "Selective prediction", ("measure", "value", "95 % interval"), tuple(rows), notes
        )

    def picture(self) -> Picture:
        picture, (axes,) = panels()
        axes.plot(self.coverage, self.risk, color="#1f5f99")
        levels(axes, {"random order": self.error})
        axes.set(xlabel="coverage", ylabel="share of errors", xlim=(0, 1), ylim=(0, None))
        return picture


def selective(confidence: Any, right: Any, groups: Any = None, seed: int = 0) -> Selective:
    """The curve of risk over coverage when the least confident examples are left unanswered.

    Shapes: confidence and right (examples,), as `Calibration` has them; any score will do whose
    order is that of trust. Examples of equal confidence count with the mean of their errors: no
    order among them is invented. Errors: ShapeError, DataError, NonFiniteError.
    Source: El-Yaniv and Wiener 2010; Geifman et al. 2019, section 3 (area and excess).
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape:
        what = f"confidence is {confidence.shape}, right is {right.shape}"
        raise ShapeError(explain("selective", what, remedy="give one of each for an example"))
    if not len(right):
        raise DataError(explain("selective", "there are no examples"))
    if np.isnan(confidence).any():
        what = f"{int(np.isnan(confidence).sum())} confidences are NaN"
        raise NonFiniteError(explain("selective", what))
    wrong, count = 1 - right, len(right)
    area = resampled(lambda i: float(_risk(confidence[i], wrong[i]).mean()), count, groups, seed)

    def excess(rows: Array) -> float:
        best = _risk(-wrong[rows], wrong[rows])
        return float((_risk(confidence[rows], wrong[rows]) - best).mean())

    return Selective(
        np.arange(1, count + 1) / count,
        _risk(confidence, wrong),
        area,
        resampled(excess, count, groups, seed),
        float(wrong.mean()),
    )


def _risk(confidence: Array, wrong: Array) -> Array:
    """The share of errors among the k surest, for k from 1."""
    order = np.argsort(-confidence, kind="stable")
    _, place, sizes = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    shared = (np.bincount(place, wrong[order]) / sizes)[place]
    return np.asarray(np.cumsum(shared) / np.arange(1, len(wrong) + 1))
