"""A long training of a tiny model, and how much memory it holds as it goes.

python tests/train/soak.py --steps 1000000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.train import Progress, RunFolder, TrainConfig, fit
from tinygrad_tx.train.metrics import Metrics

TOKENS = np.tile(np.arange(11), 60)


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def soak(folder: Path, steps: int, samples: int = 10, most_rows: int = 20_000) -> list[int]:
    """Resident bytes after each of `samples` equal parts of `steps` steps, all guards and averages
    on, validating and saving a hundred times and more."""
    model = tx.models.GPT(tx.models.GPTConfig(11, 4, 1, 1, 8, dropout=0.1))
    batches, held_out = Windows(TOKENS, 1, 4, seed=1), Windows(TOKENS[:9], 1, 4)
    config = TrainConfig(
        steps=steps, batch=1, warmup=2, validate_every=max(50, steps // 500),
        on_bad="skip", spike=50.0, average=0.99,
    )  # fmt: skip
    found: list[int] = []
    began = time.perf_counter()

    def on_step(progress: Progress) -> None:
        if progress.step % (steps // samples) == 0:
            found.append(resident())
            done = time.perf_counter() - began
            print(f"{progress.step:>9,} steps {done:6.0f} s {found[-1] / 1e6:8.2f} MB", flush=True)

    # Rows fill their bound first, which is memory that grows: a short run has a smaller one.
    with mock.patch.object(Metrics.__init__, "__defaults__", (most_rows,)):
        result = fit(model, batches, held_out, config, RunFolder(folder), on_step=on_step)
    assert result.step == steps
    assert len(result.metrics) < most_rows + 2 * steps // config.validate_every + 2
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        sizes = soak(Path(folder), parser.parse_args().steps)
    print(f"grew by {(sizes[-1] - sizes[0]) / 1e6:.2f} MB from the first tenth to the last")
