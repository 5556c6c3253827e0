"""plan memory: lifetimes of buffers, and offsets in one arena by best fit."""

from __future__ import annotations

import bisect
from dataclasses import replace

from tinygrad_tx.compiler.program import KernelStep, Program
from tinygrad_tx.graph.lowering import View

__all__ = ["STATUS_BYTES", "plan_memory"]

ALIGNMENT = 64
STATUS_BYTES = 64  # the status words have the arena's first cache line to themselves


def plan_memory(program: Program) -> Program:
    """`program` with every arena buffer at an offset where no living buffer is."""
    memory = [replace(m) for m in program.memory]
    for i, step in enumerate(program.steps):
        views = step.operands if isinstance(step, KernelStep) else (*step.reads, *step.writes)
        for view in views:
            if isinstance(view, View):
                home = memory[view.buffer]
                home.first = i if home.first < 0 else home.first
                home.last = i
    starts: dict[int, list[int]] = {}
    for number, home in enumerate(memory):
        if home.kind == "arena" and home.first >= 0:
            starts.setdefault(home.first, []).append(number)
    free = _FreeList()
    ends: dict[int, list[int]] = {}
    for i in range(len(program.steps)):
        for number in starts.get(i, ()):
            home = memory[number]
            home.offset = STATUS_BYTES + free.take(_rounded(home.nbytes))
            ends.setdefault(home.last, []).append(number)
        for number in ends.get(i, ()):
            home = memory[number]
            free.give(home.offset - STATUS_BYTES, _rounded(home.nbytes))
    return replace(program, memory=tuple(memory), arena_bytes=STATUS_BYTES + free.top)


def _rounded(nbytes: int) -> int:
    return -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT


class _FreeList:
    """Gaps in the arena: best fit, neighbours merged."""

    def __init__(self) -> None:
        self.top = 0
        self.gaps: list[tuple[int, int]] = []  # (start, size), by start

    def take(self, size: int) -> int:
        fitting = [(gap[1], i) for i, gap in enumerate(self.gaps) if gap[1] >= size]
        if fitting:
            _, i = min(fitting)
            start, length = self.gaps[i]
            if length == size:
                del self.gaps[i]
            else:
                self.gaps[i] = (start + size, length - size)
            return start
        if self.gaps and sum(self.gaps[-1]) == self.top:
            start, _ = self.gaps.pop()
        else:
            start = self.top
        self.top = start + size
        return start

    def give(self, start: int, size: int) -> None:
        i = bisect.bisect(self.gaps, (start, 0))
        if i < len(self.gaps) and start + size == self.gaps[i][0]:
            size += self.gaps.pop(i)[1]
        if i > 0 and sum(self.gaps[i - 1]) == start:
            start, before = self.gaps[i - 1]
            self.gaps[i - 1] = (start, before + size)
        else:
            self.gaps.insert(i, (start, size))
