"""Matrix product on float32 from any strides: packed panels and a register tile.

    B  packed once: panels DEPTH deep, in strips TILE_COLUMNS wide, zero beyond the edge
    A  read where it stands if its rows are contiguous, else packed once in strips TILE_ROWS high
    C  TILE_ROWS x TILE_COLUMNS tiles in registers, written once for each panel

    for block of rows:  for panel of k:  for strip of B:  for strip of A:  tile

Each element of C is summed in the order of k whatever the blocks, so shares change no bit.
Blocking after Goto and van de Geijn 2008. Addresses and strides are in bytes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_tx.ops.kernels.kernel import floats, inline
from tinygrad_tx.ops.kernels.simd import LANES, ZERO, Emitter, copy_lanes, transpose

__all__ = [
    "BLOCK_ROWS",
    "DEPTH",
    "ROW_COLUMNS",
    "STRIP_GAP",
    "TILE_COLUMNS",
    "TILE_ROWS",
    "multiply_block",
    "pack_columns",
    "pack_rows",
    "row_tile",
    "store_edge",
    "tile",
]

TILE_VECTORS = 2
ROW_VECTORS = 8
TILE_ROWS = {16: 8, 8: 6, 4: 4}[LANES]  # accumulators and operands fill the register file
TILE_COLUMNS = TILE_VECTORS * LANES
ROW_COLUMNS = ROW_VECTORS * LANES
DEPTH = 384
BLOCK_ROWS = 96  # a multiple of every TILE_ROWS
STRIP_GAP = 16  # floats between strips of A: a power of two apart, all would share a few lines
UNROLL = 4

_copy_rows, _copy_columns = copy_lanes(TILE_ROWS), copy_lanes(TILE_COLUMNS)


class _Tile(Emitter):
    """The register tile: C[rows, columns] (+)= A[rows, k] B[k, columns], `vectors` columns wide.

    Rows beyond `rows` repeat the last one and are not stored: short tiles need no second kernel.
    """

    def __init__(self, builder: Any, height: int, vectors: int, unroll: int) -> None:
        super().__init__(builder)
        self.height, self.vectors, self.unroll = height, vectors, unroll

    def write(self, args: Any) -> None:
        b = self.builder
        k, a, a_row, self.a_step, self.b, self.b_step, c, c_row, rows, accumulate = args
        self.rows = [a]
        for i in range(1, self.height):
            live = b.icmp_signed("<", self.long(i), rows)
            self.rows.append(b.select(live, b.add(self.rows[-1], a_row), self.rows[-1]))
        self.prefetch(c, c_row)
        sums = [ZERO] * (self.height * self.vectors)
        zero = self.long(0)
        shift, rest = self.long(self.unroll.bit_length() - 1), self.long(self.unroll - 1)
        at, sums = self.loop(b.ashr(k, shift), (zero, zero), sums, self.unroll)
        if self.unroll > 1:
            _, sums = self.loop(b.and_(k, rest), at, sums, 1)
        adds = b.icmp_signed("!=", accumulate, zero)
        for i in range(self.height):
            with b.if_then(b.icmp_signed("<", self.long(i), rows)):
                for j in range(self.vectors):
                    value = sums[i * self.vectors + j]
                    with b.if_else(adds) as (yes, no):
                        with yes:
                            self.store(b.fadd(value, self.load(c, j * LANES)), c, j * LANES)
                        with no:
                            self.store(value, c, j * LANES)
            c = b.add(c, c_row)

    def prefetch(self, c: Any, c_row: Any) -> None:
        """C is wanted only k steps from now."""
        b = self.builder
        byte = ir.IntType(8).as_pointer()
        flags = [ir.Constant(ir.IntType(32), n) for n in (1, 3, 1)]  # to write, keep, data
        kind = ir.FunctionType(ir.VoidType(), [byte] + [f.type for f in flags])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        line = 64 // 4 // LANES  # vectors in a cache line
        for _ in range(self.height):
            for j in range(0, self.vectors, max(line, 1)):
                at = b.add(c, self.long(4 * j * LANES)) if j else c
                b.call(function, [b.inttoptr(at, byte), *flags])
            c = b.add(c, c_row)

    def step(self, at: Any, sums: list[Any]) -> list[Any]:
        b = self.builder
        columns = [self.load(b.add(self.b, at[1]), j * LANES) for j in range(self.vectors)]
        found = []
        for i in range(self.height):
            row = self.splat(b.add(self.rows[i], at[0]))
            part = sums[i * self.vectors : (i + 1) * self.vectors]
            found += [self.multiply_add(row, c, s) for c, s in zip(columns, part, strict=True)]
        return found

    def loop(self, count: Any, at: Any, sums: list[Any], unroll: int) -> tuple[Any, list[Any]]:
        """`count` rounds of `unroll` steps with every sum in a register."""
        b = self.builder
        head = b.block
        body, done = b.append_basic_block("k.body"), b.append_basic_block("k.done")
        b.cbranch(b.icmp_signed(">", count, self.long(0)), body, done)
        b.position_at_end(body)
        before = [self.long(0), *at, *sums]
        phis = [b.phi(value.type) for value in before]
        place, current = (phis[1], phis[2]), phis[3:]
        for _ in range(unroll):
            current = self.step(place, current)
            place = (b.add(place[0], self.a_step), b.add(place[1], self.b_step))
        after = [b.add(phis[0], self.long(1)), *place, *current]
        b.cbranch(b.icmp_signed("<", after[0], count), body, done)
        for phi, first, again in zip(phis, before, after, strict=True):
            phi.add_incoming(first, head)
            phi.add_incoming(again, body)
        b.position_at_end(done)
        results = []
        for first, last in zip(before[1:], after[1:], strict=True):
            phi = b.phi(first.type)
            phi.add_incoming(first, head)
            phi.add_incoming(last, body)
            results.append(phi)
        return (results[0], results[1]), results[2:]


def _tile_where(unroll: int, fixed_row: int = 0, fixed_step: int = 0) -> Any:
    """The tile as an intrinsic, for A whose rows or steps of k are so many bytes apart.

    With both strides open LLVM keeps an address for each row and step, most of them on the stack;
    a constant becomes part of the instruction: 197 GFLOPS instead of 150 on one core that can do
    220. Tiles whose rows are fixed are always whole.
    """

    @intrinsic
    def written(
        typingctx: Any,
        k: Any,
        a: Any,
        a_row: Any,
        a_step: Any,
        b: Any,
        b_step: Any,
        c: Any,
        c_row: Any,
        rows: Any,
        accumulate: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            k, a, a_row, a_step, b, b_step, c, c_row, rows, accumulate = args
            if fixed_row:
                a_row, rows = (ir.Constant(k.type, n) for n in (fixed_row, TILE_ROWS))
            if fixed_step:
                a_step = ir.Constant(k.type, fixed_step)
            strided = (k, a, a_row, a_step, b, b_step, c, c_row, rows, accumulate)
            _Tile(builder, TILE_ROWS, TILE_VECTORS, unroll).write(strided)
            return context.get_dummy_value()

        return types.void(*([types.int64] * 10)), codegen

    return written


_tile_of_rows = _tile_where(UNROLL, fixed_step=4)
_tile_of_columns = _tile_where(UNROLL, fixed_row=4)
_tile_of_any = _tile_where(1)


@intrinsic
def _row_tile(
    typingctx: Any,
    k: Any,
    a: Any,
    a_step: Any,
    b: Any,
    b_step: Any,
    c: Any,
    accumulate: Any,
) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        k, a, a_step, b, b_step, c, accumulate = args
        none, one = (ir.Constant(k.type, n) for n in (0, 1))
        written = (k, a, none, a_step, b, b_step, c, none, one, accumulate)
        _Tile(builder, 1, ROW_VECTORS, 2).write(written)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 7)), codegen


@inline
def tile(
    k: int,
    a: int,
    a_row: int,
    a_step: int,
    b: int,
    b_step: int,
    c: int,
    c_row: int,
    rows: int,
    accumulate: int,
) -> None:
    """One register tile; a function of its own, so that it is compiled once for each kernel."""
    if a_step == 4:
        _tile_of_rows(k, a, a_row, a_step, b, b_step, c, c_row, rows, accumulate)
    elif a_row == 4 and rows == TILE_ROWS:
        _tile_of_columns(k, a, a_row, a_step, b, b_step, c, c_row, rows, accumulate)
    else:
        _tile_of_any(k, a, a_row, a_step, b, b_step, c, c_row, rows, accumulate)


@inline
def row_tile(k: int, a: int, a_step: int, b: int, b_step: int, c: int, accumulate: int) -> None:
    """One row of C, ROW_COLUMNS wide: as many sums as hide the time that one addition takes."""
    _row_tile(k, a, a_step, b, b_step, c, accumulate)


@inline
def pack_columns(source: int, k_step: int, n_step: int, k: int, columns: int, target: int) -> None:
    """Up to TILE_COLUMNS columns of B to rows of TILE_COLUMNS floats, zero beyond `columns`."""
    if columns == TILE_COLUMNS and n_step == 4:
        for _ in range(k):
            _copy_columns(target, source)
            target += 4 * TILE_COLUMNS
            source += k_step
        return
    if columns < TILE_COLUMNS:
        out = floats(target, k * TILE_COLUMNS)
        for i in range(k * TILE_COLUMNS):
            out[i] = 0.0
    squares = k // LANES * LANES if k_step == 4 else 0
    whole = columns // LANES * LANES if squares > 0 else 0
    for j in range(0, whole, LANES):
        for i in range(0, squares, LANES):
            at = target + 4 * (i * TILE_COLUMNS + j)
            transpose(source + j * n_step + 4 * i, n_step, at, 4 * TILE_COLUMNS)
    _pack_one_by_one(source, k_step, n_step, squares, k, 0, whole, target)
    _pack_one_by_one(source, k_step, n_step, 0, k, whole, columns, target)


@inline
def _pack_one_by_one(
    source: int, k_step: int, n_step: int, k0: int, k1: int, j0: int, j1: int, target: int
) -> None:
    """What no square covers: rows k0 to k1 of columns j0 to j1."""
    out = floats(target, k1 * TILE_COLUMNS)
    for j in range(j0, j1):
        at = source + j * n_step + k0 * k_step
        for i in range(k0, k1):
            out[i * TILE_COLUMNS + j] = floats(at, 1)[0]
            at += k_step


@inline
def pack_rows(
    source: int, m_step: int, k_step: int, rows: int, k: int, target: int, strip_bytes: int
) -> None:
    """Rows of A to strips of TILE_ROWS rows, k by k. Beyond the last row nothing is written."""
    whole = rows // TILE_ROWS * TILE_ROWS if m_step == 4 else 0
    for step in range(
        k if whole > 0 else 0
    ):  # along rows of the source: a step of GPT B 2 % faster
        begin, out = source + step * k_step, target + 4 * TILE_ROWS * step
        for _ in range(0, whole, TILE_ROWS):
            _copy_rows(out, begin)
            begin += 4 * TILE_ROWS
            out += strip_bytes
    for first in range(whole, rows, TILE_ROWS):
        strip = floats(target + first // TILE_ROWS * strip_bytes, k * TILE_ROWS)
        for i in range(min(TILE_ROWS, rows - first)):
            at = source + (first + i) * m_step
            for step in range(k):
                strip[step * TILE_ROWS + i] = floats(at, 1)[0]
                at += k_step


@inline
def multiply_block(
    a: int,
    a_row: int,
    a_step: int,
    a_strip: int,
    a_panel: int,
    packed: int,
    first_strip: int,
    last_strip: int,
    n: int,
    c: int,
    c_row: int,
    rows: int,
    k: int,
    spare: int,
) -> None:
    """C[rows, strips] = A[rows, k] B for the strips [first, last) of a packed B.

    Strides of A in bytes: from row to row and from k to k within a strip of TILE_ROWS rows, from
    strip to strip, and from panel to panel. `c` is the address of column 0. `spare` holds a tile.
    """
    strips = (n + TILE_COLUMNS - 1) // TILE_COLUMNS
    for k0 in range(0, k, DEPTH):
        depth = min(DEPTH, k - k0)
        accumulate = 1 if k0 > 0 else 0
        base = a + k0 // DEPTH * a_panel
        panel = packed + 4 * k0 * strips * TILE_COLUMNS
        for s in range(first_strip, last_strip):
            strip = panel + 4 * s * TILE_COLUMNS * depth
            wide = min(TILE_COLUMNS, n - s * TILE_COLUMNS)
            at, out = base, c + 4 * s * TILE_COLUMNS
            b_row = 4 * TILE_COLUMNS
            for first in range(0, rows, TILE_ROWS):
                high = min(TILE_ROWS, rows - first)
                if wide == TILE_COLUMNS:
                    tile(depth, at, a_row, a_step, strip, b_row, out, c_row, high, accumulate)
                else:
                    tile(depth, at, a_row, a_step, strip, b_row, spare, b_row, high, 0)
                    store_edge(spare, out, c_row, high, wide, accumulate)
                at += a_strip
                out += c_row * TILE_ROWS


@inline
def store_edge(spare: int, c: int, c_row: int, rows: int, wide: int, accumulate: int) -> None:
    """The part of a tile that lies inside C."""
    for i in range(rows):
        source = floats(spare + 4 * i * TILE_COLUMNS, wide)
        target = floats(c + i * c_row, wide)
        if accumulate:
            for j in range(wide):
                target[j] += source[j]
        else:
            for j in range(wide):
                target[j] = source[j]
