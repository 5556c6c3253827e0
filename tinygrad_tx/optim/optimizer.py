"""What all optimisers share. Their steps are plain tensor code, so that `tx.jit` captures them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_tx.elsewhere import OPTIMIZER
from tinygrad_tx.errors import ArgumentError, GraphError, explain
from tinygrad_tx.missing import knows_arguments, no_such_name
from tinygrad_tx.state import check_state
from tinygrad_tx.tensor import Tensor, tensor

__all__ = ["Optimizer", "assign_all"]


class Optimizer:
    """Parameters with their state. `lr` is a tensor, so that a captured step sees its changes.

    factors: what each parameter's learning rate is multiplied with; 1 for all if not given.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, factors: Sequence[float] | None = None
    ) -> None:
        self.parameters = _checked(parameters)
        self._lr = tensor(_rate_of(lr))
        self.factors = list(factors) if factors is not None else [1.0] * len(self.parameters)
        if len(self.factors) != len(self.parameters) or not all(f >= 0 for f in self.factors):
            what = f"{self.factors} are not {len(self.parameters)} factors of at least 0"
            raise ArgumentError(explain("optimizer", what, remedy="1 leaves a rate as it is"))

    def __repr__(self) -> str:
        numbers = sum(p.size for p in self.parameters)
        return f"{type(self).__name__} ({numbers:,} parameters, lr {self._lr!r})"

    @property
    def lr(self) -> Tensor:
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr.assign_(_rate_of(value))

    def _rate(self, i: int) -> Tensor:
        """The learning rate of parameter `i`."""
        return self._lr if self.factors[i] == 1 else self._lr * self.factors[i]

    if not TYPE_CHECKING:  # else a type checker would take every name for there

        def __getattr__(self, name: str) -> Any:
            raise no_such_name(type(self).__name__, name, dir(self), OPTIMIZER)

    def step(self) -> None:
        """One update from the gradients."""
        raise NotImplementedError

    def _check_gradients(self) -> None:
        """Errors: GraphError where no parameter has one: such a step would do nothing."""
        if all(p.grad is None for p in self.parameters):
            remedy = (
                "call loss.backward() before step(); under tx.jit both stand in one function: "
                "gradients that are made in there end with it"
            )
            raise GraphError(explain("optimizer", "no parameter has a gradient", remedy=remedy))

    @knows_arguments
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
    check_state(what, {name: t.shape for name, t in own.items()}, state)
    for name, value in state.items():
        own[name].assign_(np.asarray(value, own[name].dtype))


def _checked(parameters: Any) -> list[Tensor]:
    """Errors: ArgumentError, GraphError for what is no list of parameters."""
    if hasattr(parameters, "named_parameters"):
        remedy = "give its parameters: model.parameters()"
        raise ArgumentError(explain("optimizer", "a model is no list of tensors", remedy=remedy))
    if isinstance(parameters, Tensor):
        remedy = "put it into a list: [parameter]"
        raise ArgumentError(explain("optimizer", "a tensor is no list of tensors", remedy=remedy))
    found = list(parameters)
    if not found:
        remedy = "is a generator used up, or does the model have none?"
        raise ArgumentError(explain("optimizer", "there are no parameters to train", remedy=remedy))
    for i, parameter in enumerate(found):
        what, remedy = "", "give tensors, as model.parameters(); factors= for rates of their own"
        if not isinstance(parameter, Tensor):
            what = f"parameter {i} is a {type(parameter).__name__}, not a tensor"
        elif not parameter.requires_grad:
            what, remedy = f"parameter {i} asks for no gradient", "use requires_grad=True"
        elif not parameter.is_leaf:
            what, remedy = f"parameter {i} is the result of an operation", "train its inputs"
        if what:
            raise GraphError(explain("optimizer", what, remedy=remedy))
    return found


def _rate_of(value: Any) -> np.float32:
    """Errors: ArgumentError for anything but a number of at least 0."""
    rate = value.item() if isinstance(value, Tensor) else value
    if isinstance(rate, (int, float, np.number)) and rate >= 0:
        return np.float32(rate)
    shown, remedy = repr(rate), "give a number, as 1e-3"
    if callable(rate):
        shown, remedy = "a function", "ask a schedule at each step: optimizer.lr = schedule(step)"
    what = f"the learning rate is {shown}, not a number of at least 0"
    raise ArgumentError(explain("optimizer", what, remedy=remedy))
