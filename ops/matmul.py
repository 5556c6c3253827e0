"""matmul: matrix product of the last two axes.

Maths: z_ij = sum_k x_ik y_kj; dL/dx = dL/dz y^T, dL/dy = x^T dL/dz.
Shapes: (..., m, k) and (..., k, n) with equal leading axes -> (..., m, n). A transposed operand is
a
view: the kernel packs from any strides. Cost: 2 m n k FLOPs a matrix. Errors: ShapeError,
DTypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import float32
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.lowering import Lowering, View, shares_of
from tinygrad_tx.graph.node import Aval, Cost, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register
from tinygrad_tx.ops.kernels.few_rows import dots, leading, one_row, scratch_of_strips, strips
from tinygrad_tx.ops.kernels.gemm import (
    BLOCK_ROWS,
    DEPTH,
    ROW_COLUMNS,
    STRIP_GAP,
    TILE_COLUMNS,
    TILE_ROWS,
    multiply_block,
    pack_columns,
    pack_rows,
)
from tinygrad_tx.ops.kernels.kernel import call, kernel, operand_address, share
from tinygrad_tx.shapes import size_of

WORK_OF_A_SHARE = 400_000  # FLOPs: a few µs
WORTH_A_SHARE = 65_536  # weights, for products of few rows: what matters is reading them
FEW_ROWS, FEW_COLUMNS = 512, 128  # of a left matrix that is read in place, whichever is contiguous
LARGE = 1 << 16  # elements of the right matrix: below, its packed copy costs next to nothing
VERY_LARGE = 1 << 18  # its packed copy shares no second cache with anything else
TALL_ROWS = 256  # of a block then: it is read once for each, from far away
MOST_DOTS = 4  # rows: with more of them the tile is faster than one product at a time


def infer(x: Aval, y: Aval) -> Aval:
    if len(x.shape) < 2 or len(y.shape) < 2:
        raise Rejected(ShapeError, f"needs matrices: {x.shape} @ {y.shape}")
    if x.shape[-1] != y.shape[-2]:
        what = f"inner sizes differ: {x.shape} @ {y.shape}: {x.shape[-1]} != {y.shape[-2]}"
        raise Rejected(ShapeError, what, "transpose an operand or check the width")
    if x.shape[:-2] != y.shape[:-2]:
        raise Rejected(ShapeError, f"leading axes differ: {x.shape} @ {y.shape}")
    if x.dtype != y.dtype or x.dtype.kind == "b":
        raise Rejected(DTypeError, f"dtypes {x.dtype} and {y.dtype}", "convert with astype")
    return Aval((*x.shape[:-1], y.shape[-1]), x.dtype)


def _transposed(b: Builder, x: Node) -> Node:
    n = len(x.shape)
    result: Node = b.permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))
    return result


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node, Node]:
    x, y = node.inputs
    return (
        b.matmul(cotangent, _transposed(b, y)),
        b.matmul(_transposed(b, x), cotangent),
    )


# Operands of all kernels: (batches, m, n, k), sizes of three leading axes, then for each matrix its
# address and its strides in bytes for those axes, rows and columns; what follows is said below.


@kernel("matmul.pack")
def pack(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Packs B, strip by strip: operands[7:13] are its view, [13] the packed memory."""
    n, k = operands[2], operands[3]
    strips = (n + TILE_COLUMNS - 1) // TILE_COLUMNS
    panels = (k + DEPTH - 1) // DEPTH
    low, high = share(operands[0] * panels * strips, ith, nth)
    for task in range(low, high):
        matrix, rest = task // (panels * strips), task % (panels * strips)
        k0, s = rest // strips * DEPTH, rest % strips
        depth = min(DEPTH, k - k0)
        source = operands[7] + leading(matrix, operands, 8)
        source += k0 * operands[11] + s * TILE_COLUMNS * operands[12]
        target = operands[13] + 4 * matrix * k * strips * TILE_COLUMNS
        target += 4 * (k0 * strips * TILE_COLUMNS + s * TILE_COLUMNS * depth)
        columns = min(TILE_COLUMNS, n - s * TILE_COLUMNS)
        pack_columns(source, operands[11], operands[12], depth, columns, target)


@kernel("matmul.pack_left")
def pack_left(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Packs A, as many strips of a panel at a time as a share has: operands[7:13] are its view,
    [13] the packed memory, [14] bytes from strip to strip."""
    m, k, bytes_of_strip = operands[1], operands[3], operands[14]
    strips = (m + TILE_ROWS - 1) // TILE_ROWS
    panels = (k + DEPTH - 1) // DEPTH
    task, high = share(operands[0] * panels * strips, ith, nth)
    while task < high:
        matrix, rest = task // (panels * strips), task % (panels * strips)
        k0, s = rest // strips * DEPTH, rest % strips
        count = min(high - task, strips - s)
        source = operands[7] + leading(matrix, operands, 8)
        source += k0 * operands[12] + s * TILE_ROWS * operands[11]
        rows = min(count * TILE_ROWS, m - s * TILE_ROWS)
        target = operands[13] + task * bytes_of_strip
        depth = min(DEPTH, k - k0)
        pack_rows(source, operands[11], operands[12], rows, depth, target, bytes_of_strip)
        task += count


@kernel("matmul.multiply")
def multiply(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Blocks of rows times groups of strips. operands[7:15] are A: its address, the strides of
    three leading axes, rows, columns, strips and panels; [15] packed B, [16:22] view C, [22]
    a spare tile for each share, [23] row blocks, [24] rows of a block, [25] strip groups; [26] the
    address of an epilogue or 0, its operands behind it: elementwise work on rows that are still in
    the cache, where one group has all strips."""
    m, n, k = operands[1], operands[2], operands[3]
    a_row, a_step, a_strip, a_panel = operands[11], operands[12], operands[13], operands[14]
    strips = (n + TILE_COLUMNS - 1) // TILE_COLUMNS
    blocks, block, groups = operands[23], operands[24], operands[25]
    spare = operands[22] + 4 * ith * TILE_ROWS * TILE_COLUMNS
    low, high = share(operands[0] * blocks * groups, ith, nth)
    for task in range(low, high):
        matrix, rest = task // (blocks * groups), task % (blocks * groups)
        first, group = rest // groups * block, rest % groups
        a = operands[7] + leading(matrix, operands, 8) + first // TILE_ROWS * a_strip
        c = operands[16] + leading(matrix, operands, 17) + first * operands[20]
        packed = operands[15] + 4 * matrix * k * strips * TILE_COLUMNS
        begin, end = share(strips, group, groups)
        c_row, rows = operands[20], min(block, m - first)
        multiply_block(
            a, a_row, a_step, a_strip, a_panel, packed, begin, end, n, c, c_row, rows, k, spare
        )
        if operands[26] != 0:
            behind, total = operand_address(operands, 27), operands[0] * m
            for row in range(matrix * m + first, matrix * m + first + rows):
                call(operands[26], row, total, behind, arena)


def fits(node: Node) -> bool:
    """The kernel is for float32 and up to three leading axes."""
    return node.dtype == float32 and len(node.shape) <= 5


def lower(lowering: Lowering, node: Node) -> None:
    (x, y), (z,) = lowering.reads, lowering.writes
    (m, k), n = x.shape[-2:], y.shape[-1]
    if z.size == 0:
        return
    if k == 0:
        lowering.fill(z, 0.0)
        return
    leading = (1, 1, 1, *z.shape[:-2])[-3:]
    batches = size_of(leading)
    sizes = (batches, m, n, k, *leading)
    if _lower_few_rows(lowering, x, y, z, sizes):
        return
    columns = -(-n // TILE_COLUMNS)
    packed = lowering.workspace(batches * columns * TILE_COLUMNS * k)
    panels = batches * columns * -(-k // DEPTH)
    shares = shares_of(batches * n * k, 32768, panels)
    lowering.call(pack, *sizes, *_strided(y), packed, shares=shares)
    left = _left(lowering, x, sizes)
    wanted = shares_of(2 * batches * m * n * k, WORK_OF_A_SHARE)
    blocks = _row_blocks(batches, m, n * k, wanted)
    block = -(-m // blocks)
    block += -block % TILE_ROWS
    blocks = -(-m // block)
    groups = min(columns, -(-wanted // (batches * blocks)))
    shares = min(wanted, batches * blocks * groups)
    spare = lowering.workspace(shares * TILE_ROWS * TILE_COLUMNS)
    operands = (*sizes, *left, packed, *_strided(z), spare, blocks, block, groups)
    after = lowering.epilogue
    if after is not None and groups == 1:
        lowering.call(multiply, *operands, after.kernel, *after.operands, shares=shares)
        return
    lowering.call(multiply, *operands, 0, shares=shares)
    if after is not None:
        lowering.call(after.kernel, *after.operands, shares=after.shares)


def _left(lowering: Lowering, x: View, sizes: tuple[int, ...]) -> tuple[View | int, ...]:
    """Where `multiply` finds A: as it stands if its rows are contiguous, else packed."""
    if x.strides[-1] == 1:
        strided = _strided(x)
        return (*strided, strided[4] * TILE_ROWS, 4 * DEPTH)
    batches, m, _, k, _, second, third = sizes
    strips, panels = -(-m // TILE_ROWS), -(-k // DEPTH)
    strip = TILE_ROWS * min(k, DEPTH) + STRIP_GAP
    packed = lowering.workspace(batches * panels * strips * strip)
    shares = shares_of(batches * m * k, 32768, batches * panels * strips)
    lowering.call(pack_left, *sizes, *_strided(x), packed, 4 * strip, shares=shares)
    panel = 4 * strips * strip
    of_matrix = panels * panel
    leading = (second * third * of_matrix, third * of_matrix, of_matrix)
    return (packed, *leading, 4, 4 * TILE_ROWS, 4 * strip, panel)


def _row_blocks(batches: int, m: int, right: int, wanted: int) -> int:
    """How many blocks of rows; what is still wanted then are groups of strips.

    Blocks of 32 rows read 3.5 MB of B sixteen times: 96 GFLOPS on 512 rows, 190 with tall ones.
    """
    if right >= VERY_LARGE:
        return -(-m // TALL_ROWS)
    blocks = -(-m // BLOCK_ROWS)
    while batches * blocks < wanted and m // (blocks + 1) >= 2 * TILE_ROWS:
        blocks += 1
    return blocks


def _lower_few_rows(lowering: Lowering, x: View, y: View, z: View, sizes: tuple[int, ...]) -> bool:
    """A product of few rows, whose right matrix is read once; whether this is one."""
    batches, m, n, k = sizes[:4]
    in_rows, in_columns = y.strides[-1] == 1, y.strides[-2] == 1
    reads_in_place = m <= TILE_ROWS and in_rows
    as_dots = m <= MOST_DOTS and in_columns and x.strides[-1] == 1
    most = FEW_ROWS if x.strides[-1] == 1 else FEW_COLUMNS if x.strides[-2] == 1 else 0
    is_large = m <= most and n * k >= LARGE and (in_rows or in_columns)
    if not (reads_in_place or as_dots or is_large):
        return False
    as_dots = as_dots and not reads_in_place
    is_row = m == 1 and reads_in_place
    columns = 1 if as_dots else ROW_COLUMNS if is_row else TILE_COLUMNS
    items = batches * -(-n // columns)
    shares = shares_of(batches * n * k * -(-m // TILE_ROWS), WORTH_A_SHARE, items)
    floats = 1 if as_dots else scratch_of_strips(k)
    views = (*_strided(x), *_strided(y), *_strided(z))
    scratch = lowering.workspace(shares * floats)
    kernel = dots if as_dots else one_row if is_row else strips
    lowering.call(kernel, *sizes, *views, scratch, floats, int(not reads_in_place), shares=shares)
    after = lowering.epilogue
    if after is not None:
        lowering.call(after.kernel, *after.operands, shares=after.shares)
    return True


def _strided(view: View) -> tuple[View, int, int, int, int, int]:
    """A view's address, then its strides in bytes: three leading axes, rows, columns."""
    first, second, third, rows, columns = (0, 0, 0, *view.strides)[-5:]
    return (view, 4 * first, 4 * second, 4 * third, 4 * rows, 4 * columns)


def cost(node: Node) -> Cost:
    x, y = node.inputs
    return Cost(2 * node.aval.size * x.shape[-1], x.aval.nbytes + y.aval.nbytes + node.aval.nbytes)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, y in (
        ((2, 3), (3, 4)),
        ((2, 1, 3), (2, 3, 2)),
        ((3, 3), (3, 3)),
        ((1, 1), (1, 1)),
        ((2, 0), (0, 3)),
    ):
        yield Sample((rng.normal(size=x), rng.normal(size=y)))


register(
    Operator(
        "matmul",
        infer=infer,
        linear_in=(0, 1),
        gradient=gradient,
        reference=np.matmul,
        lower=lower,
        fits=fits,
        reads="any",
        writes="matrix",
        epilogue=True,
        cost=cost,
        row=TestRow(samples),
        formula="Σₖ xᵢₖ yₖⱼ",
    )
)
