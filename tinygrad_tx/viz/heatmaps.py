"""Heat maps inside a box: tables of numbers from 0 to the hottest, in rows of maps."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HeatMap", "HeatMaps"]


@dataclass(frozen=True)
class HeatMap:
    """cells: rows from above, numbers of 0 or more; NaN is drawn as what it is. said: the same in
    words, for formats without pictures."""

    title: str
    cells: tuple[tuple[float, ...], ...]
    said: str


@dataclass(frozen=True)
class HeatMaps:
    """rows: a title, and maps side by side. hottest: the number in the hottest colour. lines: how
    to read them."""

    rows: tuple[tuple[str, tuple[HeatMap, ...]], ...]
    hottest: float
    lines: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """A line for each map, with the title of its row where there are several."""
        named = [(f"{name}, " if name else "", m) for name, maps in self.rows for m in maps]
        return tuple(f"{name}{m.title}: {m.said}" for name, m in named)
