"""Kernels that measure the machine: what its multiply-adds and its memory can do at best."""

from __future__ import annotations

from typing import Any

from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS, tile
from tinygrad_tx.ops.kernels.kernel import floats, kernel, share

__all__ = ["DEPTH", "FLOPS_OF_A_TILE", "idle", "multiply_add", "stream"]

DEPTH = 64  # of the tile: both operands stay in the first cache
FLOPS_OF_A_TILE = 2 * TILE_ROWS * TILE_COLUMNS * DEPTH


@kernel("probe.idle")
def idle(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Nothing: what a row of the tape costs by itself."""


@kernel("probe.multiply_add")
def multiply_add(ith: int, nth: int, operands: Any, arena: int) -> None:
    """The register tile again and again. Operands: times, scratch of one share, in floats."""
    base = operands[1] + 4 * ith * operands[2]
    b = base + 4 * TILE_ROWS * DEPTH
    c = b + 4 * TILE_COLUMNS * DEPTH
    for _ in range(operands[0]):
        tile(DEPTH, base, 4, 4 * TILE_ROWS, b, 4 * TILE_COLUMNS, c, 4 * TILE_COLUMNS, TILE_ROWS, 1)


@kernel("probe.stream")
def stream(ith: int, nth: int, operands: Any, arena: int) -> None:
    """z = x + y over memory that no cache holds. Operands: count, x, y, z."""
    low, high = share(operands[0], ith, nth)
    x = floats(operands[1] + 4 * low, high - low)
    y = floats(operands[2] + 4 * low, high - low)
    z = floats(operands[3] + 4 * low, high - low)
    for i in range(high - low):
        z[i] = x[i] + y[i]
