"""How parameters lie in buckets, and which part of each bucket a rank keeps.

Arithmetic alone: no tensor, no message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Bucket", "Piece", "buckets_of"]

ALIGNMENT = 16  # elements: a share begins where a vector of 64 bytes does


@dataclass(frozen=True)
class Piece:
    """Elements [low, high) of a parameter, counted from `start` in the share they belong to."""

    parameter: int
    low: int
    high: int
    start: int


@dataclass(frozen=True)
class Bucket:
    """Parameters one behind the other, and padding: `length` elements in `ranks` equal shares."""

    parameters: tuple[int, ...]
    sizes: tuple[int, ...]
    ranks: int

    @property
    def share(self) -> int:
        """Elements of each rank."""
        return -(-sum(self.sizes) // (self.ranks * ALIGNMENT)) * ALIGNMENT

    @property
    def length(self) -> int:
        return self.share * self.ranks

    @property
    def padding(self) -> int:
        return self.length - sum(self.sizes)

    def starts(self) -> Iterator[tuple[int, int, int]]:
        """Each parameter with the places where it begins and ends."""
        at = 0
        for parameter, size in zip(self.parameters, self.sizes, strict=True):
            yield parameter, at, at + size
            at += size

    def pieces(self, rank: int) -> list[Piece]:
        """What of the parameters lies in the share of `rank`, in order."""
        first, last = rank * self.share, (rank + 1) * self.share
        found = []
        for parameter, begin, end in self.starts():
            low, high = max(begin, first), min(end, last)
            if low < high:
                found.append(Piece(parameter, low - begin, high - begin, low - first))
        return found


def buckets_of(sizes: Sequence[int], order: Sequence[int], ranks: int, least: int) -> list[Bucket]:
    """Buckets of at least `least` elements, parameters in `order`; the last may be smaller."""
    found: list[Bucket] = []
    open_: list[int] = []
    for parameter in order:
        open_.append(parameter)
        if sum(sizes[p] for p in open_) >= least or parameter == order[-1]:
            found.append(Bucket(tuple(open_), tuple(sizes[p] for p in open_), ranks))
            open_ = []
    return found
