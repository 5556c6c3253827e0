"""What attention and its gradient share: tiles of scores, one block of queries at a time.

For each head the keys are turned once into strips as a matmul packs its right operand. Scores live
in a block of QUERY_ROWS rows as long as the keys; nothing of size queries x keys is kept. Tiles
after Dao et al. 2022, "FlashAttention"; the tile is the matmul's.

Both kernels begin with the same operands, which `head_operands` writes:
    0 tasks, 1 query heads, 2 query heads of each key head, 3 queries, 4 keys, 5 width, 6 causal,
    7 scale, 8 bias or 0, 9-12 its strides (batch, head, query, key), 13 dropout, 14-16 offset, seed
    and counter of the draws, 17 scratch, 18 its floats for each share
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.graph.lowering import Lowering, Operand, View
from tinygrad_tx.graph.node import Node
from tinygrad_tx.ops.kernels.gemm import TILE_COLUMNS, TILE_ROWS, store_edge, tile
from tinygrad_tx.ops.kernels.kernel import as_float, floats, inline, int64s
from tinygrad_tx.ops.kernels.philox import WORD, rounds
from tinygrad_tx.ops.kernels.rowwise import row_max, row_sum
from tinygrad_tx.ops.kernels.vecmath import exp32, log32
from tinygrad_tx.shapes import Shape

__all__ = [
    "HEAD_OPERANDS",
    "QUERY_ROWS",
    "WORK_OF_A_SHARE",
    "add_bias",
    "clear_behind",
    "drop",
    "fits_heads",
    "head_operands",
    "matrix_view",
    "padded",
    "scaled",
    "score_tiles",
    "shown",
    "softmax_row",
    "visible",
    "weigh",
    "whole_rows",
]

WORK_OF_A_SHARE = 50_000  # multiply-adds
QUERY_ROWS = 48  # a multiple of TILE_ROWS; two blocks of scores stay in L2
HEAD_OPERANDS = 19

_HALF, _EIGHT, _ZERO = np.uint64(32), np.uint64(8), np.uint64(0)


@inline
def padded(count: int) -> int:
    """Row length of the scores: whole tiles, and room for a tile's height of zeros."""
    return (count + TILE_COLUMNS - 1) // TILE_COLUMNS * TILE_COLUMNS + TILE_COLUMNS


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


@inline
def softmax_row(row: int, n: int) -> Any:
    """The softmax of scores in place; their log-sum-exp. Zeros and 0 where nothing is seen."""
    x = floats(row, n)
    top = row_max(row, n)
    if top == -np.inf:
        for j in range(n):
            x[j] = np.float32(0)
        return np.float32(0)
    for j in range(n):
        x[j] = exp32(x[j] - top)
    total = row_sum(row, n)
    inverse = np.float32(1) / total
    for j in range(n):
        x[j] *= inverse
    return top + log32(total)


@inline
def weigh(
    depth: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_row: int,
    out: int,
    out_row: int,
    rows: int,
    width: int,
    accumulate: int,
    spare: int,
) -> None:
    """out (+)= A B for up to TILE_ROWS rows; rows of B hold whole tiles (see `whole_rows`)."""
    for n0 in range(0, width, TILE_COLUMNS):
        wide = min(TILE_COLUMNS, width - n0)
        if wide == TILE_COLUMNS:
            at = out + 4 * n0
            tile(depth, a, a_row, a_step, b + 4 * n0, b_row, at, out_row, rows, accumulate)
        else:
            step = 4 * TILE_COLUMNS
            tile(depth, a, a_row, a_step, b + 4 * n0, b_row, spare, step, rows, 0)
            store_edge(spare, out + 4 * n0, out_row, rows, wide, accumulate)


@inline
def whole_rows(source: int, step: int, count: int, width: int, target: int) -> Any:
    """Address and step of rows that may be read in whole tiles: those there are, or a copy."""
    if width % TILE_COLUMNS == 0:
        return source, step
    wide = padded(width) - TILE_COLUMNS
    for i in range(count):
        x, y = floats(source + i * step, width), floats(target + 4 * i * wide, wide)
        for j in range(width):
            y[j] = x[j]
        for j in range(width, wide):
            y[j] = np.float32(0)
    return target, 4 * wide


@inline
def clear_behind(row: int, n: int) -> None:
    """Zeros behind what a query sees, for the tile that crosses the diagonal."""
    rest = floats(row + 4 * n, TILE_ROWS)
    for j in range(TILE_ROWS):
        rest[j] = np.float32(0)


@inline
def add_bias(operands: Any, task: int, query: int, row: int, n: int) -> Any:
    """Adds the bias to scaled scores where there is one; the factor still to apply otherwise."""
    scale = np.float32(as_float(operands[7]))
    if operands[8] == 0:
        return scale
    batch, head = task // operands[1], task % operands[1]
    at = operands[8] + batch * operands[9] + head * operands[10] + query * operands[11]
    x, step = floats(row, n), operands[12]
    if step == 4:
        y = floats(at, n)
        for j in range(n):
            x[j] = x[j] * scale + y[j]
    else:
        for j in range(n):
            x[j] = x[j] * scale + floats(at + j * step, 1)[0]
    return np.float32(1)


@inline
def scaled(row: int, n: int, factor: Any) -> None:
    """Scores as they are stored: rounded before their softmax, so that it has the same bits
    whether it follows at once or starts from scores that somebody looked at."""
    x = floats(row, n)
    for j in range(n):
        x[j] *= factor


@inline
def shown(row: int, n: int, keys: int, target: int, behind: Any) -> None:
    """A row for somebody who looks; `behind` where the query does not see the key."""
    x, y = floats(row, keys), floats(target, keys)
    for j in range(keys):  # one loop: whole vectors where the number of keys allows it
        y[j] = x[j] if j < n else behind


@inline
def drop(operands: Any, task: int, query: int, row: int, n: int, draws: int) -> None:
    """Zero with the probability of dropout, else divided by what is kept: as random_uniform draws
    numbers for all scores in order. `draws`: room for n + 8 floats."""
    p = np.float32(as_float(operands[13]))
    if p == np.float32(0):
        return
    first = (task * operands[3] + query) * operands[4]
    key = np.uint64(int64s(operands[15], 1)[0])
    k0, k1 = key & WORD, key >> _HALF
    start = np.uint64(int64s(operands[16], 1)[0]) + np.uint64(operands[14] + first // 4)
    lead = first % 4
    u = floats(draws, n + 8)
    for i in range((lead + n + 3) // 4):
        at = start + np.uint64(i)
        a, b, c, d = rounds(at & WORD, at >> _HALF, _ZERO, _ZERO, k0, k1)
        u[4 * i] = np.float32(np.int32(a >> _EIGHT)) * np.float32(2.0**-24)
        u[4 * i + 1] = np.float32(np.int32(b >> _EIGHT)) * np.float32(2.0**-24)
        u[4 * i + 2] = np.float32(np.int32(c >> _EIGHT)) * np.float32(2.0**-24)
        u[4 * i + 3] = np.float32(np.int32(d >> _EIGHT)) * np.float32(2.0**-24)
    x, u = floats(row, n), floats(draws + 4 * lead, n)
    kept = np.float32(1) / (np.float32(1) - p)
    for j in range(n):
        x[j] = x[j] * kept if u[j] >= p else np.float32(0)


def fits_heads(q: Shape, k: Shape) -> bool:
    """Three or four axes, and nothing of size 0."""
    return len(q) in (3, 4) and 0 not in q and 0 not in k


def matrix_view(view: View) -> tuple[View | int, ...]:
    """A view's address and its strides in bytes for batch, head and time."""
    strides = (0, *view.strides)[-4:-1]
    return (view, *(view.dtype.itemsize * s for s in strides))


def head_operands(
    lowering: Lowering, node: Node, tasks: int, shares: int, floats_of_a_share: int
) -> list[Operand]:
    """The operands that both kernels begin with. What lies behind the floats that the kernel asked
    for: room for one ragged tile, and for a row of draws."""
    q, k = lowering.reads[:2]
    heads, (queries, width), keys = q.shape[-3], q.shape[-2:], k.shape[-2]
    found: list[Operand] = [tasks, heads, heads // k.shape[-3], queries, keys, width]
    found += [int(node.attrs["causal"]), float(node.attrs["scale"])]
    extras = list(lowering.reads[-node.attrs["extras"] :]) if node.attrs["extras"] else []
    if node.attrs["extras"] % 2:
        bias = extras.pop(0)
        found += [bias, *(4 * s for s in (0, *bias.strides)[-4:])]
    else:
        found += [0] * 5
    found += [float(node.attrs["dropout"]), node.attrs["offset"], *(extras or (0, 0))]
    floats_of_a_share += TILE_ROWS * TILE_COLUMNS + int(padded.py_func(keys))
    return [*found, lowering.workspace(shares * floats_of_a_share), floats_of_a_share]
