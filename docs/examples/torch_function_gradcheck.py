"""Two torch.autograd.Functions checked by tinygrad_tx, beside PyTorch's own gradcheck.

PyTorch compares with central differences, at the input that it is given, to one part in a thousand
unless told otherwise. A backward pass that is off by less, or elsewhere, goes through. Here inputs
are drawn, and some ten digits compared. Needs PyTorch:

    pip install torch 'tinygrad-tx[test]'
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from tinygrad_tx.testing import GradientError, from_torch, gradcheck

try:
    import torch
except ImportError:
    sys.exit("This example checks a function of PyTorch: pip install torch")


class GELU(torch.autograd.Function):
    """x Phi(x), with the derivative of its approximation by tanh: right to three digits."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.special.ndtr(x)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        inner = (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)
        slope = (2 / torch.pi) ** 0.5 * (1 + 3 * 0.044715 * x**2)
        tanh = torch.tanh(inner)
        return cotangent * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh**2) * slope)


class Clipped(torch.autograd.Function):
    """x where |x| < 1, else its sign; the backward pass lets gradients through as far as 2."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return cotangent * (x.abs() < 2)


CASES = {"GELU": GELU.apply, "clipped": Clipped.apply}
POINTS = np.array([-0.7, -0.2, 0.1, 0.6])


def torch_finds(function: Any) -> bool:
    """PyTorch's gradcheck as it comes, at one input."""
    x = torch.tensor(POINTS, requires_grad=True)
    return not torch.autograd.gradcheck(function, (x,), raise_exception=False)


def ours_finds(function: Any, samples: int) -> bool:
    rng = np.random.default_rng(0)
    for number in range(samples):
        try:
            gradcheck(from_torch(function), rng.normal(size=4) * 2, seed=number)
        except GradientError as error:
            print(f"  {str(error).splitlines()[1].strip()}")
            return True
    return False


def main(samples: int) -> None:
    found = {"tinygrad_tx": 0, "PyTorch": 0}
    for name, function in CASES.items():
        print(name)
        found["PyTorch"] += torch_finds(function)
        found["tinygrad_tx"] += ours_finds(function, samples)
    if ours_finds(torch.nn.functional.gelu, samples):
        raise AssertionError("PyTorch's own GELU is refused")
    print(
        f"mistakes found: tinygrad_tx {found['tinygrad_tx']} of {len(CASES)}, PyTorch's gradcheck "
        f"at one input {found['PyTorch']}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks functions of PyTorch.")
    parser.add_argument("--quick", action="store_true", help="fewer inputs")
    main(samples=5 if parser.parse_args().quick else 30)
