"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tinygrad_tx.errors import ArgumentError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.optim.optimizer import Optimizer
from tinygrad_tx.tensor import Tensor, no_grad, sqrt, tensor, zeros_like

__all__ = ["Adam", "AdamW"]


@knows_arguments
class AdamW(Optimizer):
    """Adam with decoupled weight decay. Loshchilov and Hutter 2019, algorithm 2.

    Only parameters with at least two axes decay: not biases and not norms.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        epsilon: float = 1e-8,
        weight_decay: float = 0.1,
        factors: Sequence[float] | None = None,
    ) -> None:
        super().__init__(parameters, lr, factors)
        if not isinstance(betas, Sequence) or len(betas) != 2:
            remedy = "give two numbers, as betas=(0.9, 0.95)"
            raise ArgumentError(explain("AdamW", f"betas are {betas!r}", remedy=remedy))
        if not (0 <= betas[0] < 1 and 0 <= betas[1] < 1 and epsilon >= 0 and weight_decay >= 0):
            what = f"betas {betas}, epsilon {epsilon}, weight_decay {weight_decay}"
            remedy = "need betas in [0, 1), the others at least 0"
            raise ArgumentError(explain("AdamW", what, remedy=remedy))
        self.betas = betas
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.first = [zeros_like(p) for p in self.parameters]
        self.second = [zeros_like(p) for p in self.parameters]
        # beta^t, kept as products: one number each for all parameters.
        self.powers = [tensor(np.float32(1)), tensor(np.float32(1))]

    def step(self) -> None:
        """One update from the gradients. Errors: GraphError where there are none."""
        self._check_gradients()
        beta1, beta2 = self.betas
        with no_grad():
            power1, power2 = self.powers[0] * beta1, self.powers[1] * beta2
            self.powers[0].assign_(power1)
            self.powers[1].assign_(power2)
            corrected = 1.0 - power1
            spread = 1.0 / sqrt(1.0 - power2)
            for i, (p, m, v) in enumerate(
                zip(self.parameters, self.first, self.second, strict=True)
            ):
                if p.grad is None:
                    continue
                g, lr = p.grad, self._rate(i)
                mean = m * beta1 + g * (1 - beta1)
                square = v * beta2 + g * g * (1 - beta2)
                kept = p * (1.0 - lr * self.weight_decay) if p.ndim > 1 else p
                m.assign_(mean)
                v.assign_(square)
                p.assign_(kept - lr / corrected * mean / (sqrt(square) * spread + self.epsilon))

    def _state(self) -> dict[str, Tensor]:
        state = super()._state() | {"power1": self.powers[0], "power2": self.powers[1]}
        for i, (m, v) in enumerate(zip(self.first, self.second, strict=True)):
            state |= {f"first.{i}": m, f"second.{i}": v}
        return state


@knows_arguments
class Adam(AdamW):
    """Adam without weight decay. Kingma and Ba 2015, algorithm 1."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr, betas, epsilon, weight_decay=0.0)
