"""Executable: a Program bound to memory, ready to run again and again."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_tx.compiler.program import ArrayStep, KernelStep, Program
from tinygrad_tx.compiler.waves import waves_of
from tinygrad_tx.errors import IndexRangeError, NonFiniteError, TinygradTxError, explain
from tinygrad_tx.graph.lowering import Kernel, View
from tinygrad_tx.ops.kernels.kernel import BAD_INDEX
from tinygrad_tx.runtime.buffer import Array, Recycler, Slab, address_of_array, aligned
from tinygrad_tx.runtime.kernels import address_of
from tinygrad_tx.runtime.tape import walk

__all__ = ["Executable"]


class Executable:
    """Runs a Program: kernel steps as slices of a tape, NumPy steps between them.

    is_replayed: it will run again and again, so that its results lie in one Slab.
    """

    def __init__(self, program: Program, is_replayed: bool = False) -> None:
        self.program = program
        self._arena = aligned((program.arena_bytes,), np.dtype(np.uint8))
        self._status = self._arena[:64].view(np.int64)
        self._status_at = address_of_array(self._status)
        self._bases: list[Array | None] = [None] * len(program.memory)
        self._addresses: list[int] = [0] * len(program.memory)
        for i, home in enumerate(program.memory):
            if home.kind == "arena":
                self._bind(i, self._arena[home.offset : home.offset + home.nbytes])
            elif home.kind == "constant":
                assert home.data is not None
                self._bind(i, home.data)
        sizes = [v.size * v.dtype.itemsize for v in program.outputs]
        slab = Slab(sizes) if is_replayed else None
        results = enumerate(program.outputs)
        self._outputs = [Recycler(v.shape, v.dtype, slab, i) for i, v in results]
        homes = list(enumerate(program.memory))
        self._leaf_homes = [(i, home.slot) for i, home in homes if home.kind == "leaf"]
        self._output_homes = [(i, home.slot) for i, home in homes if home.kind == "output"]
        self._segments = _segments(program)
        kernels = [s for s in program.steps if isinstance(s, KernelStep)]
        self._waves = waves_of(program)
        self._is_shared = bool(self._waves) or any(s.shares > 1 for s in kernels)
        self._write_tape()

    def run(self, leaves: Sequence[Array]) -> list[Array]:
        """The outputs, in memory that nobody else holds.

        Errors: what a kernel reported; then no state has changed.
        """
        results: list[Array] = []
        program = self.program
        for i, slot in self._leaf_homes:
            if self._bases[i] is not leaves[slot]:
                self._rebind(i, leaves[slot], address_of_array(leaves[slot]))
        for i, slot in self._output_homes:
            result, address = self._outputs[slot].take_with_address()
            results.append(result)
            self._rebind(i, result, address)
        self._status.fill(0)
        for low, high, steps in self._segments:
            if steps is None:
                rows = self._rows if high - low == len(self._rows) else self._rows[low:high]
                walk(rows, self._operands_at, self._status, self._status_at, self._is_shared)
                continue
            for number, step in steps:
                if number >= program.commit and self._status[0]:
                    break
                reads = [self._array(v) for v in step.reads]
                with np.errstate(all="ignore"):
                    step.function(reads, [self._array(v) for v in step.writes])
        if self._status[0]:
            raise self._reported()
        return results

    @property
    def tape(self) -> Array:
        """The rows that the compiled loop walks: see tape.py for what stands in each."""
        return self._rows.copy()

    def run_step(self, number: int) -> float:
        """Runs one step by itself, on whatever its buffers hold; the seconds that it took."""
        step = self.program.steps[number]
        if isinstance(step, KernelStep):
            row = sum(isinstance(s, KernelStep) for s in self.program.steps[:number])
            alone = self._rows[row : row + 1].copy()
            alone[0, 4] = 1
            started = time.perf_counter()
            walk(alone, self._operands_at, self._status, self._status_at, step.shares > 1)
            return time.perf_counter() - started
        reads, writes = [self._array(v) for v in step.reads], [self._array(v) for v in step.writes]
        started = time.perf_counter()
        step.function(reads, writes)
        return time.perf_counter() - started

    def _bind(self, buffer: int, array: Array) -> None:
        self._bases[buffer] = array
        self._addresses[buffer] = address_of_array(array)

    def _rebind(self, buffer: int, array: Array, address: int) -> None:
        """Another array for a buffer: its addresses on the tape move along."""
        moved = address - self._addresses[buffer]
        self._bases[buffer] = array
        if moved:
            self._addresses[buffer] = address
            for at in self._places.get(buffer, ()):
                self._words[at] += moved

    def _array(self, view: View) -> Array:
        base = self._bases[view.buffer]
        assert base is not None
        if view.size == 0:
            return np.empty(view.shape, view.dtype)
        size = view.dtype.itemsize
        flat = base.reshape(-1).view(np.uint8)
        strides = tuple(s * size for s in view.strides)
        return np.ndarray(view.shape, view.dtype, flat, view.offset * size, strides)

    def _write_tape(self) -> None:
        rows: list[tuple[int, ...]] = []
        operands: list[int] = []
        self._places: dict[int, list[int]] = {}
        for number, step in enumerate(self.program.steps):
            if not isinstance(step, KernelStep):
                continue
            is_commit = int(number >= self.program.commit)
            place = (len(operands), is_commit, 1, 0)
            rows.append((address_of(step.kernel), step.shares, *place))
            for operand in step.operands:
                if isinstance(operand, View):
                    self._places.setdefault(operand.buffer, []).append(len(operands))
                    start = self._addresses[operand.buffer]
                    operands.append(start + operand.offset * operand.dtype.itemsize)
                elif isinstance(operand, Kernel):
                    operands.append(address_of(operand))
                elif isinstance(operand, float):
                    operands.append(struct.unpack("q", struct.pack("d", operand))[0])
                else:
                    operands.append(int(operand))
        self._rows = np.array(rows, np.int64).reshape(-1, 6)
        row_of = accumulate((isinstance(s, KernelStep) for s in self.program.steps), initial=0)
        row_numbers = list(row_of)
        for wave in self._waves.values():
            self._rows[row_numbers[wave.first], 4:] = wave.count, len(operands)
            operands += [*wave.starts, *(n for unit in wave.units for n in unit)]
        self._operands = np.array(operands or [0], np.int64)
        self._operands_at = address_of_array(self._operands)
        self._words = self._operands.data  # changes one of them faster than the array does

    def _reported(self) -> TinygradTxError:
        code, tag, value = (int(w) for w in self._status[:3])
        place = self.program.places[tag] if tag < len(self.program.places) else "a kernel"
        if code == BAD_INDEX:
            remedy = (
                "an axis of size n has indices 0 to n - 1; tokens come from the model's tokenizer"
            )
            if place.startswith("cross_entropy"):
                remedy = "targets are 0 to classes - 1; what does not count is ignore_index=-100"
            return IndexRangeError(explain(place, f"index {value} is out of range", remedy=remedy))
        return NonFiniteError(explain(place, "is not finite"))


def _segments(program: Program) -> list[tuple[int, int, list[tuple[int, ArrayStep]] | None]]:
    """Runs of kernel rows (as a range of the tape), and runs of NumPy steps with their numbers."""
    segments: list[Any] = []
    row = 0
    for number, step in enumerate(program.steps):
        if isinstance(step, KernelStep):
            if segments and segments[-1][2] is None:
                segments[-1][1] = row + 1
            else:
                segments.append([row, row + 1, None])
            row += 1
        elif segments and segments[-1][2] is not None:
            segments[-1][2].append((number, step))
        else:
            segments.append([0, 0, [(number, step)]])
    return [tuple(s) for s in segments]
