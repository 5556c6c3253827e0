"""The tape: rows of (kernel address, shares, first operand, kind, rows of the wave that begins here
or 1, its table) that one compiled loop walks. Operands and tables are one array of int64.

`prange` over the shares of a row is the whole threading layer: a row ends before the next begins.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numba
import numpy as np

from tinygrad_tx.compiler.waves import CHUNKS
from tinygrad_tx.config import config
from tinygrad_tx.runtime.kernels import load_generated
from tinygrad_tx.runtime.stored import StoredKernel

__all__ = ["COMMIT", "PLAIN", "walk"]

PLAIN, COMMIT = 0, 1

_SIGNATURE = "void(int64[:,::1], int64, int64[::1], int64)"

_WALKER = '''"""The walker of tapes."""

from numba import prange

from tinygrad_tx.ops.kernels.kernel import call, int64s


def walk(rows, operands, status, arena):
    """A row of kind 1 changes state: it and all after it run only while the status is clean."""
    i = 0
    while i < rows.shape[0]:
        if rows[i, 3] == 1 and status[0] != 0:
            return
        address = rows[i, 0]
        nth = rows[i, 1]
        start = operands + 8 * rows[i, 2]
        if rows[i, 4] > 1:
            # A wave: bounds of its parts, then its units.
            parts = int64s(operands + 8 * rows[i, 5], {chunks} + 1)
            units = operands + 8 * (rows[i, 5] + {chunks} + 1)
            for part in {range}({chunks}):
                for u in range(parts[part], parts[part + 1]):
                    unit = int64s(units + 16 * u, 2)
                    row = i + unit[0]
                    call(rows[row, 0], unit[1], rows[row, 1], operands + 8 * rows[row, 2], arena)
        elif nth == 1:
            call(address, 0, 1, start, arena)
        else:
            for ith in {range}(nth):
                call(address, ith, nth, start, arena)
        i += rows[i, 4]
'''

# Two Python threads may not enter Numba's workqueue layer at once; the other layers do not mind.
_lock = threading.Lock()


@cache
def _walker(parallel: bool) -> Any:
    text = _WALKER.replace("{parallel}", str(parallel))
    text = text.replace("{range}", "prange" if parallel else "range")
    text = text.replace("{chunks}", str(CHUNKS))

    def compiled(function: Any, stored: StoredKernel) -> Any:
        made = numba.njit(function, parallel=parallel, nogil=True, error_model="numpy")
        made._cache = stored
        made.compile(_SIGNATURE)
        made.disable_compile()
        return made

    return load_generated("walk_parallel" if parallel else "walk_serial", "walk", text, compiled)


def walk(
    rows: np.ndarray[Any, Any],
    operands: int,
    status: np.ndarray[Any, Any],
    arena: int,
    is_shared: bool,
) -> None:
    """Runs the rows in order; on as many threads as `config.threads` says where one `is_shared`.

    operands, arena: addresses; the status words are where the arena begins.
    """
    threads = min(config.threads, numba.config.NUMBA_NUM_THREADS)
    if threads == 1 or not is_shared:
        _walker(False)(rows, operands, status, arena)
        return
    with _lock:
        before = numba.get_num_threads()
        if before != threads:
            numba.set_num_threads(threads)
        try:
            _walker(True)(rows, operands, status, arena)
        finally:
            if before != threads:
                numba.set_num_threads(before)
