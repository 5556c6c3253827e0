"""matmul at sizes that choose between its ways: few rows or many, packed or read in place."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx


def _strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, 0), 2, 1)


LAYOUTS = {  # an array to pass, and how the function sees the matrix in it
    "rows": (np.copy, lambda t: t),
    "columns": (np.transpose, lambda t: t.T),
    "strided": (_strided, lambda t: t[::2, ::2]),
}


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 300, 257), (7, 301, 33), (9, 385, 200), (129, 390, 257), (530, 70, 1000)]
)
def test_a_product_is_right_in_every_layout(m: int, k: int, n: int, left: str, right: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((m, k), (k, n)))
    (lay_x, see_x), (lay_y, see_y) = LAYOUTS[left], LAYOUTS[right]
    product = tx.jit(lambda x, y: see_x(x) @ see_y(y))
    found = product(np.ascontiguousarray(lay_x(x)), np.ascontiguousarray(lay_y(y)))
    truth = x.astype(np.float64) @ y
    np.testing.assert_allclose(found.numpy(), truth, rtol=0, atol=1e-6 * k)


@pytest.mark.parametrize("leading", [(2,), (3, 2), (2, 1, 3)])
def test_batches_whose_left_matrices_are_packed(leading: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*leading, 390, 140)).astype(np.float32)
    y = rng.normal(size=(*leading, 390, 70)).astype(np.float32)
    found = tx.jit(lambda x, y: tx.matrix_transpose(x) @ y)(x, y)
    truth = np.swapaxes(x, -1, -2).astype(np.float64) @ y
    np.testing.assert_allclose(found.numpy(), truth, rtol=0, atol=4e-4)


def test_a_large_product_is_the_same_with_any_number_of_threads() -> None:
    x, y = (np.random.default_rng(s).normal(size=(600, 600)).astype(np.float32) for s in (1, 2))
    before, found = tx.config.threads, []
    try:
        for threads in (1, 2):
            tx.config.threads = threads
            found.append(tx.jit(lambda x, y: tx.gelu(x @ y))(x, y).numpy())
    finally:
        tx.config.threads = before
    np.testing.assert_array_equal(*found)
