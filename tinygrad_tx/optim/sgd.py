"""SGD: gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinygrad_tx.optim.optimizer import Optimizer
from tinygrad_tx.tensor import Tensor, no_grad, zeros_like

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum v + g + decay p; p = p - lr v."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        factors: Sequence[float] | None = None,
    ) -> None:
        super().__init__(parameters, lr, factors)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocity = [zeros_like(p) for p in self.parameters] if momentum else []

    def step(self) -> None:
        """One update from the gradients."""
        with no_grad():
            for i, p in enumerate(self.parameters):
                if p.grad is None:
                    continue
                change = p.grad + p * self.weight_decay if self.weight_decay else p.grad
                if self.momentum:
                    change = self.velocity[i] * self.momentum + change
                    self.velocity[i].assign_(change)
                p.assign_(p - self._rate(i) * change)

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {f"velocity.{i}": v for i, v in enumerate(self.velocity)}
