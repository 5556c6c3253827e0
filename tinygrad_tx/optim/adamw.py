"""SGD and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.tensor import Tensor, no_grad, sqrt, tensor, zeros_like

__all__ = ["SGD", "AdamW"]


class Optimizer:
    """Parameters with their state. `lr` is a tensor, so that a captured step sees its changes."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("optimizer: there are no parameters to train.")
        self._lr = tensor(np.float32(lr))

    @property
    def lr(self) -> Tensor:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr.assign_(np.float32(value))

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def _state(self) -> dict[str, Tensor]:
        return {"lr": self._lr}

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all state by name."""
        return {name: t.numpy().copy() for name, t in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """New values for all state. Errors: CheckpointError; then nothing has changed."""
        own = self._state()
        if own.keys() != state.keys():
            what = f"names differ: {sorted(own.keys() ^ state.keys())}"
            raise CheckpointError(explain("optimizer", what))
        for name, value in state.items():
            own[name].assign_(np.asarray(value, own[name].dtype))


class SGD(Optimizer):
    """Gradient descent with momentum: v = momentum v + g + decay p; p = p - lr v."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
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
                p.assign_(p - self._lr * change)

    def _state(self) -> dict[str, Tensor]:
        return super()._state() | {f"velocity.{i}": v for i, v in enumerate(self.velocity)}


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
    ) -> None:
        super().__init__(parameters, lr)
        self.betas = betas
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.first = [zeros_like(p) for p in self.parameters]
        self.second = [zeros_like(p) for p in self.parameters]
        # beta^t, kept as products: one number each for all parameters.
        self.powers = [tensor(np.float32(1)), tensor(np.float32(1))]

    def step(self) -> None:
        """One update from the gradients."""
        beta1, beta2 = self.betas
        with no_grad():
            power1, power2 = self.powers[0] * beta1, self.powers[1] * beta2
            self.powers[0].assign_(power1)
            self.powers[1].assign_(power2)
            rate = self._lr / (1.0 - power1)
            spread = 1.0 / sqrt(1.0 - power2)
            decayed = 1.0 - self._lr * self.weight_decay
            for p, m, v in zip(self.parameters, self.first, self.second, strict=True):
                if p.grad is None:
                    continue
                g = p.grad
                mean = m * beta1 + g * (1 - beta1)
                square = v * beta2 + g * g * (1 - beta2)
                kept = p * decayed if p.ndim > 1 else p
                m.assign_(mean)
                v.assign_(square)
                p.assign_(kept - rate * mean / (sqrt(square) * spread + self.epsilon))

    def _state(self) -> dict[str, Tensor]:
        state = super()._state() | {"power1": self.powers[0], "power2": self.powers[1]}
        for i, (m, v) in enumerate(zip(self.first, self.second, strict=True)):
            state |= {f"first.{i}": m, f"second.{i}": v}
        return state
