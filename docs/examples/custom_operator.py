"""An operator of your own: a function of SciPy's with its gradient, checked, and trained through.

Maximum likelihood needs log Gamma, which is no operator here. `tx.custom_op` makes it one: the
function works on NumPy arrays, `result=` says what it gives before it is run, and a rule says what
its derivative is. It is a node of the graph like any other, under `tx.jit` too.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import special

import tinygrad_tx as tx
from tinygrad_tx.testing import GradientError, gradcheck


def like(x: tx.Tensor) -> tuple[tuple[int, ...], object]:
    """Shape and dtype of the result: those of x."""
    return x.shape, x.dtype


@tx.custom_op(result=like)
def log_gamma(x: np.ndarray) -> np.ndarray:
    return special.gammaln(x)


@tx.custom_op(result=like)
def digamma(x: np.ndarray) -> np.ndarray:
    return special.digamma(x)


@tx.custom_op(result=like)
def trigamma(x: np.ndarray) -> np.ndarray:
    return special.polygamma(1, x)


# Rules are written with tensors: what they return is differentiated in its turn, as far as there
# is a rule. Here that gives second derivatives of log Gamma, and ends at trigamma.
@log_gamma.gradient
def log_gamma_gradient(cotangent: tx.Tensor, output: tx.Tensor, x: tx.Tensor) -> tx.Tensor:
    return cotangent * digamma(x)


@digamma.gradient
def digamma_gradient(cotangent: tx.Tensor, output: tx.Tensor, x: tx.Tensor) -> tx.Tensor:
    return cotangent * trigamma(x)


@tx.custom_op(result=like)
def careless(x: np.ndarray) -> np.ndarray:
    return special.gammaln(x)


@careless.gradient
def careless_gradient(cotangent: tx.Tensor, output: tx.Tensor, x: tx.Tensor) -> tx.Tensor:
    return cotangent * tx.log(x)  # close for large x, and wrong


def fit(sample: np.ndarray, steps: int) -> tuple[float, float]:
    """Shape and scale of a Gamma distribution, the likeliest for the sample."""
    # Logarithms of both, so that no step can make them negative.
    free = tx.tensor(np.zeros(2), requires_grad=True)
    optimizer = tx.optim.Adam([free], lr=0.05)
    mean, mean_log = float(sample.mean()), float(np.log(sample).mean())

    @tx.jit
    def step() -> tx.Tensor:
        optimizer.zero_grad()
        shape, log_scale = tx.exp(free[0]), free[1]
        loss = log_gamma(shape) + shape * log_scale
        loss = loss - (shape - 1) * mean_log + mean / tx.exp(log_scale)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(steps):
        step()
    shape, scale = np.exp(free.numpy())
    return float(shape), float(scale)


def main(steps: int, size: int) -> None:
    points = np.array([0.2, 1.0, 3.7, 40.0])
    report = gradcheck(log_gamma, points, modes=("reverse",), order=2)
    print(report.text())
    try:
        gradcheck(careless, points, modes=("reverse",))
    except GradientError as error:
        # It names the element, both values, and the file and line of the rule.
        print("\nthe careless rule is found:\n" + "\n".join(str(error).splitlines()[:6]) + "\n")
    else:
        raise AssertionError("a wrong rule passed")

    sample = np.random.default_rng(0).gamma(2.5, 0.7, size)
    shape, scale = fit(sample, steps)
    by_moments = float(sample.mean() ** 2 / sample.var())
    print(f"scale {scale:.3f}, drawn with 0.7")
    print(f"shape {shape:.3f} by likelihood, {by_moments:.3f} by moments, drawn with 2.5")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes SciPy's log Gamma an operator.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=20, size=200)
    else:
        main(steps=1000, size=2000)
