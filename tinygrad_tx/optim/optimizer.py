"""What all optimisers share. Their steps are plain tensor code, so that `tx.jit` captures them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, GraphError, explain
from tinygrad_tx.tensor import Tensor, tensor

__all__ = ["Optimizer", "assign_all"]


class Optimizer:
    """Parameters with their state. `lr` is a tensor, so that a captured step sees its changes.

    factors: what each parameter's learning rate is multiplied with; 1 for all if not given.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, factors: Sequence[float] | None = None
    ) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("optimizer: there are no parameters to train.")
        for i, parameter in enumerate(self.parameters):
            if not isinstance(parameter, Tensor) or not parameter.requires_grad:
                what = f"parameter {i} asks for no gradient"
                raise GraphError(explain("optimizer", what, remedy="use requires_grad=True"))
        if not lr >= 0:
            raise ValueError(f"optimizer: the learning rate is {lr}, not a number of at least 0.")
        self._lr = tensor(np.float32(lr))
        self.factors = list(factors) if factors is not None else [1.0] * len(self.parameters)
        if len(self.factors) != len(self.parameters) or not all(f >= 0 for f in self.factors):
            what = f"{self.factors} are not {len(self.parameters)} factors of at least 0"
            raise ValueError(explain("optimizer", what))

    def __repr__(self) -> str:
        numbers = sum(p.size for p in self.parameters)
        return f"{type(self).__name__} ({numbers:,} parameters, lr {self._lr!r})"

    @property
    def lr(self) -> Tensor:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr.assign_(np.float32(value))

    def _rate(self, i: int) -> Tensor:
        """The learning rate of parameter `i`."""
        return self._lr if self.factors[i] == 1 else self._lr * self.factors[i]

    def step(self) -> None:
        """One update from the gradients."""
        raise NotImplementedError

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
        assign_all("optimizer", self._state(), state)


def assign_all(what: str, own: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """New values for tensors by name. Errors: CheckpointError; then nothing has changed."""
    if own.keys() != state.keys():
        raise CheckpointError(explain(what, f"names differ: {sorted(own.keys() ^ state.keys())}"))
    for name, value in state.items():
        if np.shape(value) != own[name].shape:
            wrong = f"{name} is {np.shape(value)}, not {own[name].shape}"
            raise CheckpointError(explain(what, wrong))
    for name, value in state.items():
        own[name].assign_(np.asarray(value, own[name].dtype))
