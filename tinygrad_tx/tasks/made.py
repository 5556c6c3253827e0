"""Batches that are made as they are read: each is a function of a number, so a run can go on."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_tx.data import Batch

__all__ = ["MadeRows"]


class MadeRows:
    """Batches 1, 2, ... to learn from and -1, -2, ... to validate on. A kind defines `_made`."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self) -> Batch:
        """The next batch."""
        self._drawn += 1
        return self._made(self._drawn)

    def in_order(self, most: int | None = None) -> Iterator[Batch]:
        """The same few batches at each call, of problems that training may have met."""
        return (self._made(-1 - i) for i in range(min(most or 4, 4)))

    def state(self) -> str:
        return str(self._drawn)

    def restore(self, state: str) -> None:
        self._drawn = int(state)

    def _made(self, number: int) -> Batch:
        raise NotImplementedError(f"{type(self).__name__} makes no batches")
