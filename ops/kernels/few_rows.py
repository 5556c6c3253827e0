"""Products of few rows with a large matrix, which is read once: logits, and writing by tokens.

A strip of B is packed just before it is used, so that no packed copy of all of B leaves the cache.
Very few rows read it where it stands: by the register tile where its rows are contiguous, as dot
products where its columns are (a transposed weight).

Operands of all three kernels: batches, m, n, k, sizes of three leading axes, then for A, B and C an
address and strides in bytes of three leading axes, rows and columns; scratch, its floats for each
share, and whether strips are packed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.ops.kernels.gemm import (
    DEPTH,
    ROW_COLUMNS,
    TILE_COLUMNS,
    TILE_ROWS,
    pack_columns,
    row_tile,
    store_edge,
    tile,
)
from tinygrad_tx.ops.kernels.kernel import floats, inline, kernel, share

__all__ = ["dots", "leading", "one_row", "scratch_of_strips", "strips"]


@inline
def leading(index: int, operands: Any, at: int) -> Any:
    """Byte offset of matrix `index` for the view whose strides begin at operand `at`."""
    i2 = index % operands[6]
    i1 = index // operands[6] % operands[5]
    i0 = index // operands[6] // operands[5]
    return i0 * operands[at] + i1 * operands[at + 1] + i2 * operands[at + 2]


def scratch_of_strips(k: int) -> int:
    """Floats that a share of `strips` needs: a tile of C, and a packed strip of B."""
    return TILE_ROWS * TILE_COLUMNS + min(k, DEPTH) * TILE_COLUMNS


@kernel("matmul.strips")
def strips(ith: int, nth: int, operands: Any, arena: int) -> None:
    """C strip by strip, each of them packed by its share just before it is used, or read where it
    stands ([27] is 0, for at most TILE_ROWS rows). Summed panel by panel like larger products."""
    m, n, k = operands[1], operands[2], operands[3]
    a_row, a_step, b_row, b_step = operands[11], operands[12], operands[17], operands[18]
    c_row, packs = operands[23], operands[27]
    count = (n + TILE_COLUMNS - 1) // TILE_COLUMNS
    spare = operands[25] + 4 * ith * operands[26]
    packed, wide_row = spare + 4 * TILE_ROWS * TILE_COLUMNS, 4 * TILE_COLUMNS
    low, high = share(operands[0] * count, ith, nth)
    for task in range(low, high):
        matrix, s = task // count, task % count
        a = operands[7] + leading(matrix, operands, 8)
        b = operands[13] + leading(matrix, operands, 14) + s * TILE_COLUMNS * b_step
        c = operands[19] + leading(matrix, operands, 20) + 4 * s * TILE_COLUMNS
        wide = min(TILE_COLUMNS, n - s * TILE_COLUMNS)
        for k0 in range(0, k, DEPTH):
            depth, adds = min(DEPTH, k - k0), 1 if k0 > 0 else 0
            source, step = b + k0 * b_row, b_row
            if packs or wide < TILE_COLUMNS:
                pack_columns(source, b_row, b_step, depth, wide, packed)
                source, step = packed, wide_row
            for first in range(0, m, TILE_ROWS):
                rows = min(TILE_ROWS, m - first)
                at, out = a + first * a_row + k0 * a_step, c + first * c_row
                if wide == TILE_COLUMNS:
                    tile(depth, at, a_row, a_step, source, step, out, c_row, rows, adds)
                else:
                    tile(depth, at, a_row, a_step, source, step, spare, wide_row, rows, 0)
                    store_edge(spare, out, c_row, rows, wide, adds)


@kernel("matmul.row")
def one_row(ith: int, nth: int, operands: Any, arena: int) -> None:
    """A single row of C, whose B has contiguous rows, in blocks of ROW_COLUMNS columns."""
    n, k = operands[2], operands[3]
    a_step, b_row = operands[12], operands[17]
    blocks = (n + ROW_COLUMNS - 1) // ROW_COLUMNS
    spare = operands[25] + 4 * ith * operands[26]
    packed = spare + 4 * TILE_ROWS * TILE_COLUMNS
    low, high = share(operands[0] * blocks, ith, nth)
    for task in range(low, high):
        matrix, first = task // blocks, task % blocks * ROW_COLUMNS
        a = operands[7] + leading(matrix, operands, 8)
        b = operands[13] + leading(matrix, operands, 14)
        c = operands[19] + leading(matrix, operands, 20)
        last = min(n, first + ROW_COLUMNS)
        for k0 in range(0, k, DEPTH):
            depth, adds = min(DEPTH, k - k0), 1 if k0 > 0 else 0
            at, source = a + k0 * a_step, b + k0 * b_row
            if last - first == ROW_COLUMNS:
                row_tile(depth, at, a_step, source + 4 * first, b_row, c + 4 * first, adds)
                continue
            for n0 in range(first, last, TILE_COLUMNS):
                wide, out = min(TILE_COLUMNS, last - n0), c + 4 * n0
                if wide == TILE_COLUMNS:
                    tile(depth, at, 0, a_step, source + 4 * n0, b_row, out, 0, 1, adds)
                else:
                    pack_columns(source + 4 * n0, b_row, 4, depth, wide, packed)
                    tile(depth, at, 0, a_step, packed, 4 * TILE_COLUMNS, spare, 0, 1, 0)
                    store_edge(spare, out, 0, 1, wide, adds)


@kernel("matmul.dots")
def dots(ith: int, nth: int, operands: Any, arena: int) -> None:
    """C_ij = A_i . B_j, where rows of A and columns of B are contiguous."""
    m, n, k = operands[1], operands[2], operands[3]
    low, high = share(operands[0] * n, ith, nth)
    for task in range(low, high):
        matrix, j = task // n, task % n
        column = operands[13] + leading(matrix, operands, 14) + j * operands[18]
        y = floats(column, k)
        for i in range(m):
            x = floats(operands[7] + leading(matrix, operands, 8) + i * operands[11], k)
            total = np.float32(0)
            for p in range(k):
                total += x[p] * y[p]
            at = operands[19] + leading(matrix, operands, 20) + i * operands[23]
            floats(at + j * operands[24], 1)[0] = total
