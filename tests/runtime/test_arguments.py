"""What a replayed function does with the NumPy arrays that it is given."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "laid_out",
    [np.copy, np.asfortranarray, _read_only, lambda x: np.repeat(x, 2, 1)[:, ::2]],
    ids=["in order", "by columns", "read-only", "strided"],
)
def test_an_array_is_read_right_however_it_lies(laid_out) -> None:
    product = tx.jit(lambda x, y: x @ y)
    for seed in range(3):  # recorded, then replayed
        x, y = np.random.default_rng(seed).normal(size=(2, 5, 5)).astype(np.float32)
        np.testing.assert_allclose(product(laid_out(x), y).numpy(), x @ y, rtol=1e-5, atol=1e-6)


def test_a_result_shares_no_memory_with_the_array_that_was_passed() -> None:
    same = tx.jit(lambda x: x)
    given = np.arange(4, dtype=np.float32)
    for _ in range(3):
        found = same(given)
        given += 1
        np.testing.assert_array_equal(found.numpy(), given - 1)
