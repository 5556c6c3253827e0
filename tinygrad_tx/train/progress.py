"""What a training tells while it goes on, and what came of it: what `fit` in loop.py gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygrad_tx.train.guard import PassedOver
from tinygrad_tx.train.metrics import Metrics

__all__ = ["Pause", "Progress", "Result"]


@dataclass(frozen=True)
class Progress:
    """One finished step. Losses in nats for each token; validation only where it was measured.

    tokens, seconds: since the first step, with what was lost to interruptions left out.
    """

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    validation: float | None = None
    tokens: int = 0
    seconds: float = 0.0


class Pause(Exception):  # noqa: N818  # no error: it asks for something
    """Raised by who is told of a step: the run ends there, saved as after Ctrl-C."""


@dataclass
class Result:
    """What came of a run.

    first, validation, best: held-out losses before the first step, the last, the lowest after one
    (`best_step`). stopped: why it ended before its last step, if it did.
    """

    step: int = 0
    seconds: float = 0.0
    first: float = float("nan")
    validation: float = float("nan")
    best: float = float("inf")
    best_step: int = 0
    interrupted: bool = False
    stopped: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    passed_over: PassedOver = field(default_factory=PassedOver)
    recovered: str = ""
    """Why the run went on from the last checkpoint but one, if it did."""
