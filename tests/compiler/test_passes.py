"""The tuple of passes, and what a plan shows of its kernels."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.compiler.pipeline import PASSES, optional, passes
from tinygrad_tx.errors import CompileError

X = np.ones((4, 48), np.float32)


def test_what_is_left_out_leaves_its_place_to_something_else() -> None:
    """`fuse` cannot be dropped: elementwise nodes run in groups alone, of one node if need be."""
    whole = dict(passes(generate=True))
    for name in optional():
        left = dict(passes(True, frozenset([name])))
        assert left.keys() == whole.keys()
        assert [n for n in whole if left[n] is not whole[n]] == [name]


def test_what_cannot_be_left_out_is_refused() -> None:
    with pytest.raises(CompileError, match=r"compile: expand cannot be left out.*simplify"):
        passes(True, frozenset(["expand"]))
    with pytest.raises(CompileError, match="grouping"):
        passes(True, frozenset(["grouping", "fuse"]))


def test_outside_of_jit_nothing_is_grouped() -> None:
    found = [name for name, _ in passes(generate=False)]
    assert found == [p.name for p in PASSES if p.eager is not None]
    assert "fuse" not in found


def test_a_plan_shows_the_source_and_the_assembler_of_its_kernels() -> None:
    plan = tx.jit(lambda x: tx.softmax(x) * 2.0 + 1.0).plan(X)
    generated = next(name for name in plan.kernels if name.startswith("fused_"))
    assert "def entry(ith, nth, operands, arena):" in plan.source(generated)
    (written,) = set(plan.kernels) - {generated}
    assert "def " in plan.source(written)
    assert "ret" in plan.assembly(generated)
    with pytest.raises(KeyError, match=rf"'nothing'.*{written}"):
        plan.source("nothing")


def test_an_epilogue_is_a_kernel_of_the_plan_as_well() -> None:
    plan = tx.jit(lambda x, w: tx.exp(x @ w)).plan(np.ones((64, 48), np.float32), X.T.repeat(8, 1))
    steps = plan.program.steps
    inner = [o.name for s in steps for o in s.operands if hasattr(o, "source") and o.source]
    assert "exp" in plan.source(inner[0])
