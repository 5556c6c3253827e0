"""waves: neighbouring rows that do not touch each other's memory share one fork of the threads.

A row alone costs a fork (about a microsecond) or leaves all threads but one idle. In a wave the
shares of all its rows are dealt out in CHUNKS parts of equal estimated work, whatever the number of
threads: the 26 updates of a small optimiser become one parallel region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinygrad_tx.compiler.program import KernelStep, Program
from tinygrad_tx.graph.lowering import MOST_SHARES, View

__all__ = ["CHUNKS", "Wave", "waves_of"]

CHUNKS = 16
LONGEST = 128  # rows: bounds the time it takes to compare them
FORK = 1.2  # microseconds
FLOPS, BYTES, LEAST = 30e3, 15e3, 0.3  # a share's rough pace in a microsecond, and its least time

Region = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Wave:
    """Steps first to first + count - 1; part c of the work is units[starts[c] : starts[c + 1]].

    A unit is (steps behind the first, share).
    """

    first: int
    count: int
    starts: tuple[int, ...]
    units: tuple[tuple[int, int], ...]


@dataclass
class _Open:
    """Steps collected so far, and the memory that they touch."""

    first: int
    steps: list[KernelStep] = field(default_factory=list)
    read: list[Region] = field(default_factory=list)
    written: list[Region] = field(default_factory=list)

    def takes(self, read: Sequence[Region], written: Sequence[Region]) -> bool:
        return not (
            _overlap(read, self.written)
            or _overlap(written, self.written)
            or _overlap(written, self.read)
        )


def waves_of(program: Program) -> dict[int, Wave]:
    """The waves worth a fork, by their first step."""
    found: dict[int, Wave] = {}
    current = _Open(0)
    for number, step in enumerate(program.steps):
        if not isinstance(step, KernelStep) or step.shares >= MOST_SHARES:
            _close(current, found)
            current = _Open(number + 1)
            continue
        views = [o for o in step.operands if isinstance(o, View)]
        regions = [_region(program, v.buffer) for v in views]
        written = [r for r, v in zip(regions, views, strict=True) if v.buffer in step.writes]
        read = [r for r, v in zip(regions, views, strict=True) if v.buffer not in step.writes]
        is_full = len(current.steps) == LONGEST or number == program.commit
        if is_full or not current.takes(read, written):
            _close(current, found)
            current = _Open(number)
        current.steps.append(step)
        current.read += read
        current.written += written
    _close(current, found)
    return found


def _region(program: Program, buffer: int) -> Region:
    home = program.memory[buffer]
    if home.kind == "arena":
        return ("arena", home.offset, home.offset + home.nbytes)
    return (home.kind, buffer, buffer + 1)


def _overlap(some: Sequence[Region], others: Sequence[Region]) -> bool:
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in some for b in others)


def _close(current: _Open, found: dict[int, Wave]) -> None:
    """Notes the wave if it saves more than its own fork costs."""
    steps = current.steps
    times = [max(s.flops / FLOPS, s.bytes / BYTES, LEAST * s.shares) for s in steps]
    alone = sum(t for t, s in zip(times, steps, strict=True) if s.shares == 1)
    saved = alone / 2 + FORK * (sum(s.shares > 1 for s in steps) - 1)
    if len(steps) < 2 or saved < FORK / 2:
        return
    units = [(i, ith) for i, s in enumerate(steps) for ith in range(s.shares)]
    whole, done, starts = sum(times), 0.0, [0]
    for number, (i, _) in enumerate(units):
        time = times[i] / steps[i].shares
        while len(starts) * whole <= (done + time / 2) * CHUNKS and len(starts) < CHUNKS:
            starts.append(number)
        done += time
    starts += [len(units)] * (CHUNKS + 1 - len(starts))
    found[current.first] = Wave(current.first, len(steps), tuple(starts), tuple(units))
