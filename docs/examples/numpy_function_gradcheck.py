"""Gradients written by hand in NumPy, and why the usual check of them is not enough.

Four functions that people write often, each with a mistake that people make often. The usual check
compares with a difference quotient at one convenient input and allows a per cent. `gradcheck`
takes inputs that hurt, sharpens its differences until some ten digits are right, and names the
element that is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygrad_tx.testing import GradientError, gradcheck

Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """A scalar function, its gradient as it should be, and as somebody wrote it."""

    name: str
    mistake: str
    function: Callable[[Array], float]
    right: Callable[[Array], Array]
    wrong: Callable[[Array], Array]


def leaky(x: Array) -> float:
    return float(np.where(x > 0, x, 0.01 * x).sum())


def layer_norm_energy(x: Array) -> float:
    """The sum of cubes of a normalised row."""
    centred = x - x.mean()
    return float(((centred / np.sqrt((centred**2).mean() + 1e-5)) ** 3).sum())


def layer_norm_gradient(x: Array, with_variance: bool = True) -> Array:
    centred = x - x.mean()
    scale = 1 / np.sqrt((centred**2).mean() + 1e-5)
    normal = centred * scale
    cotangent = 3 * normal**2
    through_variance = normal * (cotangent * normal).mean() if with_variance else 0
    return scale * (cotangent - cotangent.mean() - through_variance)


def log_sum_exp(x: Array) -> float:
    return float(x.max() + np.log(np.exp(x - x.max()).sum()))


def softmax(x: Array) -> Array:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def norm(x: Array) -> float:
    return float(np.sqrt((x**2).sum()))


CASES = (
    Case("leaky relu", "forgets the slope on the left", leaky,
         lambda x: np.where(x > 0, 1.0, 0.01), lambda x: (x > 0).astype(float)),
    Case("layer norm", "takes the variance for a constant", layer_norm_energy,
         layer_norm_gradient, lambda x: layer_norm_gradient(x, with_variance=False)),
    Case("log-sum-exp", "stabilises by adding 0.001 below the line", log_sum_exp,
         softmax, lambda x: np.exp(x - x.max()) / (np.exp(x - x.max()).sum() + 1e-3)),
    Case("norm", "stabilises by adding 0.001 below the line", norm,
         lambda x: x / norm(x), lambda x: x / (norm(x) + 1e-3)),
)  # fmt: skip


def usual_check(function: Callable[[Array], float], gradient: Callable[[Array], Array]) -> bool:
    """Whether it passes: forward differences at ones, to one per cent."""
    x, step = np.ones(4), 1e-5
    found = np.array([(function(x + step * e) - function(x)) / step for e in np.eye(4)])
    return bool(np.allclose(gradient(x), found, rtol=1e-2, atol=1e-2))


def passes(case: Case, gradient: Callable[[Array], Array], samples: int) -> bool:
    """Whether gradcheck passes at random inputs of many sizes, small and large."""
    rng = np.random.default_rng(0)
    for number in range(samples):
        x = rng.normal(size=4) * 10.0 ** rng.uniform(-2, 1)
        try:
            gradcheck(case.function, x, gradient=gradient, name=case.name, seed=number)
        except GradientError as error:
            print(f"  {str(error).splitlines()[1].strip()}")
            return False
    return True


def main(samples: int) -> None:
    usual = ours = 0
    for case in CASES:
        print(f"{case.name}: {case.mistake}")
        if not passes(case, case.right, samples):
            raise AssertionError(f"{case.name}: the right gradient is refused")
        usual += not usual_check(case.function, case.wrong)
        ours += not passes(case, case.wrong, samples)
    print(f"mistakes found: gradcheck {ours} of {len(CASES)}, the usual check {usual}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks gradients written by hand in NumPy.")
    parser.add_argument("--quick", action="store_true", help="fewer inputs")
    main(samples=5 if parser.parse_args().quick else 50)
