"""What a training run is asked to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.train.guard import POLICIES

__all__ = ["TrainConfig"]


@knows_arguments
@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run. Rates are per step; `clip` bounds the joint norm of the gradients."""

    steps: int = 2000
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.1
    clip: float = 1.0
    validate_every: int = 250
    validation_batches: int = 64
    """At most so many; a shorter held-out part is read whole."""
    seed: int = 0
    on_bad: str = "stop"
    """What a NaN, an infinity or a leap of the loss leads to: stop, skip or rollback."""
    spike: float = 0.0
    """A loss above so many times the median of the last ones counts as bad; 0: none does."""
    accumulate: int = 1
    """Batches in a step: the weights move along the mean of their gradients."""
    average: float = 0.0
    """Decay of a moving average of the weights, which is what is validated and used; 0: none."""
    patience: int = 0
    """Validations without a new best loss before the run ends, with the best weights; 0: never."""

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "warmup": 0, "validate_every": 1}
        least |= {"validation_batches": 1, "accumulate": 1}
        if self.on_bad not in POLICIES:
            what = f"on_bad is {self.on_bad!r}, not one of {', '.join(POLICIES)}"
            raise DataError(explain("TrainConfig", what))
        if not isinstance(self.average, (int, float)) or not self.average < 1:
            raise DataError(explain("TrainConfig", f"average is {self.average}, not below 1"))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "on_bad":
                continue
            low = least.get(field.name, 0)
            is_number = isinstance(value, (int, float)) and math.isfinite(value)
            if not is_number or value < low:
                what = f"{field.name} is {value!r}; it must be a number of at least {low}"
                raise DataError(explain("TrainConfig", what))
