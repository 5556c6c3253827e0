"""Averages of weights along a training run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_tx.errors import explain
from tinygrad_tx.optim.optimizer import assign_all
from tinygrad_tx.tensor import Tensor, minimum, no_grad, tensor

__all__ = ["Average"]


class Average:
    """An exponential moving average of parameters, which stay as they are.

    After t updates the decay is min(decay, (1 + t) / (10 + t)), so that the first weights, which
    know nothing, are soon forgotten. Source: Polyak and Juditsky 1992 for averaging; Tan and Le
    2019 for this form of it. Errors: ValueError for a decay that is not in (0, 1).
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]], decay: float) -> None:
        if not 0 < decay < 1:
            raise ValueError(explain("Average", f"decay is {decay}; it lies between 0 and 1"))
        self.parameters = dict(named)
        self.decay = decay
        self.values = {name: tensor(p.numpy()) for name, p in self.parameters.items()}
        self.count = tensor(np.float32(0))

    def update(self) -> None:
        """Takes in the present weights. Plain tensor code: part of a captured step."""
        with no_grad():
            kept = minimum((self.count + 1.0) / (self.count + 10.0), self.decay)
            for name, parameter in self.parameters.items():
                value = self.values[name]
                value.assign_(parameter + kept * (value - parameter))
            self.count.assign_(self.count + 1.0)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters have the averages as their values, until the end of the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self.parameters.items():
            average, present = self.values[name].buffer, parameter.buffer
            array = present.array
            present.replace(average.array)
            average.replace(array)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of the averages by path, and of how many updates they saw."""
        state = {f"weights.{name}": value.numpy() for name, value in self.values.items()}
        return {**state, "count": self.count.numpy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """New averages. Errors: CheckpointError; then nothing has changed."""
        own = {f"weights.{name}": value for name, value in self.values.items()}
        assign_all("average", {**own, "count": self.count}, state)
