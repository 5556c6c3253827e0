"""Training: a loop with validation, checkpoints and a run folder that tells what happened."""

from tinygrad_tx.train.compare import Comparison, compare
from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.diagnose import explain_step
from tinygrad_tx.train.generations import Generation, generations_of, note_generation
from tinygrad_tx.train.loop import Pause, Progress, Result, fit, held_out_loss
from tinygrad_tx.train.record import (
    CorpusFacts,
    Forgetting,
    ModelFacts,
    Parent,
    Record,
    ancestors,
    read_record,
    source_name,
    write_record,
)
from tinygrad_tx.train.run import RunFolder

__all__ = [
    "Comparison",
    "CorpusFacts",
    "Forgetting",
    "Generation",
    "ModelFacts",
    "Parent",
    "Pause",
    "Progress",
    "Record",
    "Result",
    "RunFolder",
    "TrainConfig",
    "ancestors",
    "compare",
    "explain_step",
    "fit",
    "generations_of",
    "held_out_loss",
    "note_generation",
    "read_record",
    "source_name",
    "write_record",
]
