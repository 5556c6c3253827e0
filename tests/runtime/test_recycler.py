"""Results of a replayed function: memory is used again only when nobody can see it any more."""

from __future__ import annotations

import gc
import weakref

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.runtime.buffer import Recycler, Slab


def test_memory_that_somebody_holds_is_not_given_out_again() -> None:
    recycler = Recycler((4, 8), np.dtype(np.float32))
    held = [recycler.take() for _ in range(6)]
    starts = {a.ctypes.data for a in held}
    assert len(starts) == 6
    assert all(s % 64 == 0 for s in starts)
    view = held[0][1:, ::2].T
    del held
    taken = [recycler.take() for _ in range(3)]
    assert not any(np.shares_memory(view, t) for t in taken)
    del view, taken
    again = recycler.take().ctypes.data
    assert again in starts


def test_results_side_by_side_are_given_out_one_by_one() -> None:
    """In one slab each has memory of its own, and is used again whoever holds the others."""
    sizes = (100, 0, 64, 4000)
    slab = Slab(sizes)
    recyclers = [Recycler((n,), np.dtype(np.uint8), slab, i) for i, n in enumerate(sizes)]
    first = [r.take() for r in recyclers]
    for i, array in enumerate(first):
        array[...] = i
    assert all((array == i).all() for i, array in enumerate(first))
    assert all(a.ctypes.data % 64 == 0 for a in first if a.size)
    starts = [a.ctypes.data for a in first]
    view = first[3][1:].reshape(-1)
    del first[3], first[0], array
    assert recyclers[0].take().ctypes.data == starts[0]
    held = [recyclers[3].take() for _ in range(5)]
    assert not any(np.shares_memory(view, h) for h in held)
    assert len({h.ctypes.data for h in held}) == 5
    assert (view == 3).all()


def test_results_that_are_kept_keep_their_values() -> None:
    double = tx.jit(lambda x: (x * 2, x + 1))
    kept = [double(np.full((300, 300), i, np.float32)) for i in range(8)]
    parts = [tx.jit(lambda x: x * 3)(np.full(5, i, np.float32))[1:3] for i in range(8)]
    arrays = [np.asarray(double(np.full(3, i, np.float32))[0]) for i in range(8)]
    for i, (first, second) in enumerate(kept):
        assert (first.numpy() == 2 * i).all()
        assert (second.numpy() == i + 1).all()
        assert (parts[i].numpy() == 3 * i).all()
        assert (arrays[i] == 2 * i).all()


def test_a_result_that_is_state_of_the_next_call() -> None:
    """The memory that a call reads is not the memory that it writes."""
    step = tx.jit(lambda x: tx.flip(x) + 1)
    x = tx.arange(5, dtype="float32")
    expected = np.arange(5, dtype=np.float32)
    for _ in range(7):
        x = step(x)
        expected = expected[::-1] + 1
        np.testing.assert_array_equal(x.numpy(), expected)


def test_results_go_without_the_garbage_collector() -> None:
    """Nothing holds them in a cycle: a training loop's memory does not grow between collections."""
    double = tx.jit(lambda x: {"a": [x * 2, (x + 1,)]})
    gc.disable()
    try:
        found = [weakref.ref(double(tx.ones((4,)))["a"][0]) for _ in range(3)]
        assert [r() for r in found] == [None, None, None]
    finally:
        gc.enable()
