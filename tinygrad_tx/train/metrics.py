"""The rows of a run in bounded memory; the file has them all."""

from __future__ import annotations

from typing import Any

__all__ = ["Metrics"]

Row = dict[str, Any]


class Metrics(list[Row]):
    """Rows by step: all as long as they are few, then those of every second, fourth, ... step.

    Rows with a held-out loss stay: each cost a validation. most: rows without one, at the end of
    any number of steps.
    """

    def __init__(self, most: int = 20_000) -> None:
        super().__init__()
        self.most, self.every = most, 1
        self._thin = 0

    def note(self, row: Row) -> None:
        """Adds the row of a step."""
        if not self._is_kept(row):
            return
        self.append(row)
        self._thin += "validation" not in row
        if self._thin > self.most:
            self.every *= 2
            self[:] = filter(self._is_kept, self)
            self._thin = sum("validation" not in r for r in self)

    def _is_kept(self, row: Row) -> bool:
        return row["step"] % self.every == 0 or "validation" in row
