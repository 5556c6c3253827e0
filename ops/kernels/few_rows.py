"""Products of few rows, as in writing token by token: the right matrix is read once, not packed.

Where rows of B are contiguous the register tile reads them in place; where its columns are (a
transposed weight), each element is a dot product. Operands of both kernels: batches, m, n, k, sizes
of three leading axes, then for A, B and C an address and strides in bytes of three leading axes,
rows and columns; scratch, and its floats for each share.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.ops.kernels.gemm import (
    DEPTH,
    TILE_COLUMNS,
    TILE_ROWS,
    pack_columns,
    store_edge,
    tile,
)
from tinygrad_tx.ops.kernels.kernel import floats, inline, kernel, share

__all__ = ["dots", "few_rows", "leading", "scratch_of_few_rows"]


@inline
def leading(index: int, operands: Any, at: int) -> Any:
    """Byte offset of matrix `index` for the view whose strides begin at operand `at`."""
    i2 = index % operands[6]
    i1 = index // operands[6] % operands[5]
    i0 = index // operands[6] // operands[5]
    return i0 * operands[at] + i1 * operands[at + 1] + i2 * operands[at + 2]


def scratch_of_few_rows(k: int) -> int:
    """Floats that a share of `few_rows` needs: a tile of C, and a packed strip at the edge."""
    return TILE_ROWS * TILE_COLUMNS + min(k, DEPTH) * TILE_COLUMNS


@kernel("matmul.few_rows")
def few_rows(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Strips of C, for at most TILE_ROWS rows; summed panel by panel like larger products."""
    m, n, k = operands[1], operands[2], operands[3]
    a_row, a_step, b_row, c_row = operands[11], operands[12], operands[17], operands[23]
    strips = (n + TILE_COLUMNS - 1) // TILE_COLUMNS
    spare = operands[25] + 4 * ith * operands[26]
    packed = spare + 4 * TILE_ROWS * TILE_COLUMNS
    low, high = share(operands[0] * strips, ith, nth)
    for task in range(low, high):
        matrix, s = task // strips, task % strips
        a = operands[7] + leading(matrix, operands, 8)
        b = operands[13] + leading(matrix, operands, 14) + 4 * s * TILE_COLUMNS
        c = operands[19] + leading(matrix, operands, 20) + 4 * s * TILE_COLUMNS
        wide = min(TILE_COLUMNS, n - s * TILE_COLUMNS)
        for k0 in range(0, k, DEPTH):
            depth, adds = min(DEPTH, k - k0), 1 if k0 > 0 else 0
            at, source = a + k0 * a_step, b + k0 * b_row
            if wide == TILE_COLUMNS:
                tile(depth, at, a_row, a_step, source, b_row, c, c_row, m, adds)
            else:
                step = 4 * TILE_COLUMNS
                pack_columns(source, b_row, 4, depth, wide, packed)
                tile(depth, at, a_row, a_step, packed, step, spare, step, m, 0)
                store_edge(spare, c, c_row, m, wide, adds)


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
