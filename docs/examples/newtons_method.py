"""Newton's method with exact second derivatives: logistic regression in eight steps.

`tx.hessian` gives the matrix of second derivatives; where that is too large, `tx.jvp` of `tx.grad`
gives its product with a vector, and conjugate gradients need no more. Both stand beside gradient
descent with the best fixed step of six.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinygrad_tx as tx


def problem(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different scales, on which gradient descent is slow, and labels."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns)) * np.logspace(0, 1.5, columns)
    chance = 1 / (1 + np.exp(-X @ (rng.normal(size=columns) / np.logspace(0, 1.5, columns))))
    return X, (rng.random(rows) < chance).astype(float)


def conjugate_gradients(product, b: np.ndarray, most: int) -> np.ndarray:
    """x with A x = b, from products with A alone (Hestenes and Stiefel 1952)."""
    x, r = np.zeros_like(b), b.copy()
    p, square = r.copy(), float(r @ r)
    for _ in range(most):
        if square < 1e-24:
            break
        Ap = product(p)
        step = square / float(p @ Ap)
        x, r = x + step * p, r - step * Ap
        before, square = square, float(r @ r)
        p = r + square / before * p
    return x


def main(rows: int, columns: int, descents: int) -> None:
    X, y = problem(rows, columns)
    sign = 2 * y - 1

    def loss(w: tx.Tensor) -> tx.Tensor:
        """Mean negative log-likelihood, and a little ridge. log(1 + exp(-m)) without overflow."""
        margin = tx.as_tensor(sign) * (tx.as_tensor(X) @ w)
        return tx.logaddexp(0.0, -margin).mean() + 1e-3 * (w * w).sum()

    gradient = tx.jit(tx.grad(loss))
    hessian = tx.jit(tx.hessian(loss))
    # The derivative of the gradient along v is the Hessian times v; the matrix is never made.
    along = tx.jit(lambda w, v: tx.jvp(tx.grad(loss), (w,), (v,))[1])
    value = tx.jit(loss)

    def norm(w: np.ndarray) -> float:
        return float(np.linalg.norm(gradient(w).numpy()))

    w = np.zeros(columns)
    steps = 0
    while norm(w) > 1e-10 and steps < 50:
        w = w - np.linalg.solve(hessian(w).numpy(), gradient(w).numpy())
        steps += 1
        print(f"Newton {steps}: loss {value(w).item():.10f}, gradient {norm(w):.1e}")

    free, products = np.zeros(columns), 0
    for _ in range(steps):

        def product(v: np.ndarray, at: np.ndarray = free) -> np.ndarray:
            nonlocal products
            products += 1
            return along(at, v).numpy()

        free = free - conjugate_gradients(product, gradient(free).numpy(), 4 * columns)
    print(f"without the matrix: gradient {norm(free):.1e} after {products} products with it")

    ends = []
    for rate in 10.0 ** np.arange(-4, 2):
        u = np.zeros(columns)
        for _ in range(descents):
            u = u - rate * gradient(u).numpy()
        ends.append((value(u).item(), rate, norm(u)))
    _, rate, left = min(ends)
    print(
        f"Newton: gradient {norm(w):.0e} after {steps} steps; gradient descent at its best rate, "
        f"{rate:g}: {left:.0e} after {descents:,}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Newton's method with exact Hessians.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(rows=50, columns=4, descents=20)
    else:
        main(rows=2000, columns=20, descents=2000)
