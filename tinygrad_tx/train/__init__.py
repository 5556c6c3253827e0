"""Training: a loop with validation, checkpoints and a run folder that tells what happened."""

from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.diagnose import explain_step
from tinygrad_tx.train.generations import Generation, generations_of, note_generation
from tinygrad_tx.train.loop import Progress, Result, fit, held_out_loss
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
    "CorpusFacts",
    "Forgetting",
    "Generation",
    "ModelFacts",
    "Parent",
    "Progress",
    "Record",
    "Result",
    "RunFolder",
    "TrainConfig",
    "ancestors",
    "explain_step",
    "fit",
    "generations_of",
    "held_out_loss",
    "note_generation",
    "read_record",
    "source_name",
    "write_record",
]
