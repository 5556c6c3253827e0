"""Training: a loop with validation, checkpoints and a run folder that tells what happened."""

from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.loop import Progress, Result, fit
from tinygrad_tx.train.run import RunFolder

__all__ = ["Progress", "Result", "RunFolder", "TrainConfig", "fit"]
