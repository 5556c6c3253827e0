"""The settings that a search tries: values and ranges, as a grid or drawn by seed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = ["Axis", "Choice", "Range", "Settings", "Space"]

Settings = Mapping[str, Any]
"""A value for each name that varies."""

FAR_APART = 10
"""Ends of a range that differ by so large a factor are drawn from by their logarithm."""
MOST_TRIALS = 10_000
RANGE = re.compile(r"(log:|linear:)?(.+?)\.\.(.+)", re.S)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    @property
    def size(self) -> float:
        return len(self.values)

    @property
    def is_log(self) -> bool:
        """Whether they are shown best by their logarithm."""
        values = self.values
        return self.is_numeric and min(values) > 0 and max(values) >= FAR_APART * min(values)

    @property
    def is_numeric(self) -> bool:
        return all(isinstance(v, (int, float)) for v in self.values)

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def text(self) -> str:
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A number between two, both included: whole where both ends are."""

    low: float
    high: float
    is_log: bool

    is_numeric = True

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def size(self) -> float:
        return self.high - self.low + 1 if self.is_whole else math.inf

    def draw(self, rng: np.random.Generator) -> Any:
        """Uniform, or uniform in the logarithm; six digits are enough to write it."""
        at = float(rng.random())
        if self.is_whole:
            low, high = self.low - 0.5, self.high + 0.5
        else:
            low, high = self.low, self.high
        value = low * (high / low) ** at if self.is_log else low + (high - low) * at
        found = round(value) if self.is_whole else float(f"{value:.6g}")
        return min(max(found, self.low), self.high)

    def text(self) -> str:
        return f"{'log' if self.is_log else 'linear'}:{self.low}..{self.high}"


Axis = Choice | Range


@dataclass(frozen=True)
class Space:
    """What varies, by name: `Space.of(learning_rate="1e-4..1e-2", width=(64, 128))`."""

    axes: Mapping[str, Axis]

    @classmethod
    def of(cls, **given: str | Sequence[Any]) -> Space:
        """From values in a sequence, or a text: "64,128", "1e-4..1e-2", "log:1..4", "linear:1..90".

        Without a word before it a range is drawn from by its logarithm where its ends are both
        above 0 and differ by a factor of 10 or more. Errors: DataError.
        """
        if not given:
            remedy = "name a setting, as --vary learning_rate=1e-4..1e-2"
            raise DataError(explain("Space", "nothing varies", remedy=remedy))
        return cls({name: _axis(name, value) for name, value in given.items()})

    def points(self, random: int | None, seed: int) -> list[Settings]:
        """The grid, or so many random ones. Errors: DataError."""
        return self.grid() if random is None else self.draw(random, seed)

    def grid(self) -> list[Settings]:
        """All combinations; the last name varies fastest. Errors: DataError for a range."""
        for name, axis in self.axes.items():
            if isinstance(axis, Range):
                what = f"{name} is a range, which has no list of values"
                remedy = "name the values with commas between, or draw with --random"
                raise DataError(explain("grid", what, remedy=remedy))
        self._check_count(math.prod(axis.size for axis in self.axes.values()))
        values = [axis.values for axis in self.axes.values() if isinstance(axis, Choice)]
        return [dict(zip(self.axes, point, strict=True)) for point in itertools.product(*values)]

    def draw(self, count: int, seed: int = 0) -> list[Settings]:
        """So many points, none twice; fewer where there are no more. More points of the same seed
        begin with the same ones. Errors: DataError."""
        if count < 1:
            raise DataError(explain("random search", f"{count} trials are none"))
        self._check_count(count)
        count = int(min(count, math.prod(axis.size for axis in self.axes.values())))
        rng = np.random.Generator(np.random.Philox(seed))
        found: dict[tuple[Any, ...], Settings] = {}
        for _ in range(1000 + 30 * count):  # a narrow range has few numbers of six digits
            if len(found) == count:
                break
            point = tuple(axis.draw(rng) for axis in self.axes.values())
            found.setdefault(point, dict(zip(self.axes, point, strict=True)))
        return list(found.values())

    def text(self) -> dict[str, str | list[Any]]:
        """For a file; `Space.of(**text)` is the same space."""
        return {
            name: list(axis.values) if isinstance(axis, Choice) else axis.text()
            for name, axis in self.axes.items()
        }

    def _check_count(self, count: float) -> None:
        if count > MOST_TRIALS:
            what = f"{count:,.0f} trials are more than {MOST_TRIALS:,}"
            raise DataError(explain("search", what, remedy="draw some of them with --random"))


def _axis(name: str, given: str | Sequence[Any]) -> Axis:
    if not isinstance(given, str):
        return _choice(name, tuple(given))
    parts = RANGE.fullmatch(given)
    ends = [_value(parts[2]), _value(parts[3])] if parts else []
    if parts is None or (not parts[1] and any(isinstance(e, str) for e in ends)):
        return _choice(name, tuple(map(_value, given.split(","))))
    return _range(name, parts[1], *ends)


def _choice(name: str, values: tuple[Any, ...]) -> Choice:
    if not values or "" in values:
        raise DataError(explain(f"--vary {name}", "has an empty value, or none"))
    if len(set(map(repr, values))) < len(values):
        raise DataError(explain(f"--vary {name}", f"{_listed(values)} has a value twice"))
    return Choice(values)


def _range(name: str, word: str | None, low: Any, high: Any) -> Range:
    operation, shown = f"--vary {name}", f"{low}..{high}"
    if isinstance(low, str) or isinstance(high, str) or not low < high < math.inf:
        what = f"{shown} is no range of two finite numbers, the smaller one first"
        raise DataError(explain(operation, what))
    if low == -math.inf:
        raise DataError(explain(operation, f"{shown} has no finite beginning"))
    if word == "log:" and low <= 0:
        raise DataError(explain(operation, f"{shown} has no logarithm: it must begin above 0"))
    is_log = word == "log:" or (word is None and low > 0 and high >= FAR_APART * low)
    return Range(low, high, is_log)


def _value(text: str) -> Any:
    """A whole number, else a number, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))
