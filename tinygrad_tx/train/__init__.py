"""Training: a loop with validation, checkpoints and a run folder that tells what happened.

Read config.py, run.py (the folder) and loop.py with step.py and guard.py; record.py and
history.py say how a run came to be, compare.py and search.py put several together.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.train.compare import Comparison, compare
from tinygrad_tx.train.config import TrainConfig
from tinygrad_tx.train.diagnose import explain_step
from tinygrad_tx.train.generations import Generation, generations_of, note_generation
from tinygrad_tx.train.halving import Halving
from tinygrad_tx.train.history import History, history_of
from tinygrad_tx.train.loop import fit, held_out_loss
from tinygrad_tx.train.progress import Pause, Progress, Result
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
from tinygrad_tx.train.search import Budget, read_plan, search
from tinygrad_tx.train.space import Space
from tinygrad_tx.train.tensorboard import TensorBoard
from tinygrad_tx.train.trials import Found, Trial

__all__ = [
    "Budget",
    "Comparison",
    "CorpusFacts",
    "Forgetting",
    "Found",
    "Generation",
    "Halving",
    "History",
    "ModelFacts",
    "Parent",
    "Pause",
    "Progress",
    "Record",
    "Result",
    "RunFolder",
    "Space",
    "TensorBoard",
    "TrainConfig",
    "Trial",
    "ancestors",
    "compare",
    "explain_step",
    "fit",
    "generations_of",
    "held_out_loss",
    "history_of",
    "note_generation",
    "read_plan",
    "read_record",
    "search",
    "source_name",
    "write_record",
]

__getattr__ = of_package(__name__, __all__)
