"""SGD: gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinygrad_tx.errors import ArgumentError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.optim.optimizer import Optimizer
from tinygrad_tx.tensor import Tensor, no_grad, zeros_like

__all__ = ["SGD"]


@knows_arguments
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
        if not (0 <= momentum < 1 and weight_decay >= 0):
            what = f"momentum {momentum}, weight_decay {weight_decay}"
            remedy = "need momentum in [0, 1), weight_decay of at least 0"
            raise ArgumentError(explain("SGD", what, remedy=remedy))
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocity = [zeros_like(p) for p in self.parameters] if momentum else []

    def step(self) -> None:
        """One update from the gradients. Errors: GraphError where there are none."""
        self._check_gradients()
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
