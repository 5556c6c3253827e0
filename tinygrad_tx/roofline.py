"""What this machine can do at best: multiply-adds in the first cache, and streaming memory.

Source: Williams et al. 2009, "Roofline: an insightful visual performance model".
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tinygrad_tx.config import config
from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS
from tinygrad_tx.ops.kernels.probe import DEPTH, FLOPS_OF_A_TILE, multiply_add, stream
from tinygrad_tx.runtime.buffer import address_of_array, aligned
from tinygrad_tx.runtime.kernels import address_of
from tinygrad_tx.runtime.tape import walk

__all__ = ["Roofline", "cpu_name", "roofline", "timed_rows"]

REPEATS = 7
TIMES = 20_000
STREAM_FLOATS = 16_000_000


@dataclass(frozen=True)
class Roofline:
    """flops: float32 operations a second. bytes: a second, read and written."""

    threads: int
    flops: float
    bytes: float

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for so much work."""
        return max(flops / self.flops, moved / self.bytes)


def cpu_name() -> str:
    """As the system calls the processor, else its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def timed_rows(kernel: Kernel, shares: int, operands: list[int], repeats: int) -> float:
    """The best time of one row of the tape, in seconds."""
    rows = np.array([[address_of(kernel), shares, 0, 0, 1, 0]], np.int64)
    words = np.array(operands, np.int64)
    status = np.zeros(8, np.int64)
    first, arena = address_of_array(words), address_of_array(status)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        walk(rows, first, status, arena, shares > 1)
        best = min(best, time.perf_counter() - started)
    return best


def roofline() -> Roofline:
    """Measured once for each number of threads; takes about a second."""
    return _measured(config.threads)


@cache
def _measured(threads: int) -> Roofline:
    scratch = TILE_ROWS * DEPTH + TILE_COLUMNS * DEPTH + TILE_ROWS * TILE_COLUMNS + 64
    memory = aligned((threads * scratch,), float32)
    memory[...] = 0.0
    operands = [TIMES, address_of_array(memory), scratch]
    seconds = timed_rows(multiply_add, threads, operands, REPEATS)
    arrays = [np.ones(STREAM_FLOATS, np.float32) for _ in range(3)]
    words = [STREAM_FLOATS, *map(address_of_array, arrays)]
    moved = timed_rows(stream, threads, words, REPEATS)
    return Roofline(
        threads, threads * TIMES * FLOPS_OF_A_TILE / seconds, 3 * 4 * STREAM_FLOATS / moved
    )
