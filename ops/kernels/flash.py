"""What attention and its gradient share: sizes of tiles, scores of a block of queries."""

from __future__ import annotations

from typing import Any

from tinygrad_tx.graph.lowering import View
from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS, tile
from tinygrad_tx.ops.kernels.kernel import inline
from tinygrad_tx.shapes import Shape

__all__ = [
    "QUERY_ROWS",
    "WORK_OF_A_SHARE",
    "fits_heads",
    "matrix_view",
    "padded",
    "score_tiles",
    "scratch_floats",
    "scratch_size",
    "visible",
]

WORK_OF_A_SHARE = 50_000  # multiply-adds
QUERY_ROWS = 48  # a multiple of TILE_ROWS; two blocks of scores stay in L2


@inline
def padded(keys: int) -> int:
    """Row length of the scores: whole tiles, and room for a tile's height of zeros."""
    return (keys + TILE_COLUMNS - 1) // TILE_COLUMNS * TILE_COLUMNS + TILE_COLUMNS


@inline
def scratch_floats(keys: int, width: int) -> Any:
    """Floats of scratch for each share: keys and values turned, scores and their gradient."""
    return 2 * (width + QUERY_ROWS) * padded(keys)


def scratch_size(keys: int, width: int) -> int:
    """`scratch_floats` for Python: compiled functions without wrappers cannot be called there."""
    return 2 * (width + QUERY_ROWS) * int(padded.py_func(keys))


@inline
def visible(query: int, keys: int, offset: int, causal: int) -> int:
    """How many keys a query sees."""
    return min(keys, query + offset + 1) if causal else keys


@inline
def score_tiles(
    a: int,
    a_row: int,
    turned: int,
    width: int,
    q0: int,
    q1: int,
    keys: int,
    offset: int,
    causal: int,
    target: int,
    wide: int,
) -> None:
    """Rows q0 to q1 of A times the turned keys, but for tiles that no query sees."""
    for n0 in range(0, visible(q1 - 1, keys, offset, causal), TILE_COLUMNS):
        for m in range(q0, q1, TILE_ROWS):
            rows = min(TILE_ROWS, q1 - m)
            if visible(m + rows - 1, keys, offset, causal) > n0:
                tile(
                    width,
                    a + m * a_row,
                    a_row,
                    4,
                    turned + 4 * n0 * width,
                    4 * TILE_COLUMNS,
                    target + 4 * ((m - q0) * wide + n0),
                    4 * wide,
                    rows,
                    0,
                )


def fits_heads(q: Shape, k: Shape) -> bool:
    """Three or four axes, and heads as wide as whole tiles."""
    return len(q) in (3, 4) and q[-1] % TILE_COLUMNS == 0 and 0 not in q and 0 not in k


def matrix_view(view: View) -> tuple[View | int, ...]:
    """A view's address and its strides in bytes for batch, head and time."""
    strides = (0, *view.strides)[-4:-1]
    return (view, *(view.dtype.itemsize * s for s in strides))
