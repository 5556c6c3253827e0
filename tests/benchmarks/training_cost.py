"""What a training run pays beside its steps: checkpoints, and the drawing of batches.

python tests/benchmarks/training_cost.py --rounds 7

GPT A (4 layers, width 128, context 64, batch 12) trains with and without saving, in turns, at the
default interval; both validate. The cost is the median over rounds of the ratio of times, and its
range; how long the training waited for the writer, and for batches, is measured in the run itself.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.train import RunFolder, TrainConfig, fit
from tinygrad_tx.train.writer import Writer


class Clock:
    """Calls something and adds up how long that took."""

    def __init__(self, call: Any) -> None:
        self.call, self.seconds = call, 0.0

    def __call__(self, *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return self.call(*args)
        finally:
            self.seconds += time.perf_counter() - began


def run(tokens: np.ndarray[Any, Any], steps: int, saves: bool) -> tuple[float, float, float]:
    """(seconds, of them in saving, of them in drawing batches) of `steps` steps after a first."""
    model = tx.models.GPT(tx.models.GPTConfig(65, 64, 4, 4, 128))
    batches, held_out = Windows(tokens, 12, 64, seed=1), Windows(tokens[:50_000], 12, 64)
    config = TrainConfig(steps=steps + 1, batch=12, validation_batches=8)
    draw = Clock(batches.draw)
    batches.draw = draw  # type: ignore[method-assign]  # to time it
    save = Clock(Writer.save if saves else lambda *given: None)
    began = 0.0

    def on_step(progress: Any) -> None:
        nonlocal began
        if progress.step == 1:
            began, draw.seconds = time.perf_counter(), 0.0

    timed = lambda self, *given: save(self, *given)  # noqa: E731  # a method needs a function
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Writer, "save", timed):
        fit(model, batches, held_out, config, RunFolder(Path(folder)), on_step=on_step)
        return time.perf_counter() - began, save.seconds, draw.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=500)
    asked = parser.parse_args()
    tokens = np.random.default_rng(0).integers(0, 65, 1_000_000)
    ratios, waited, drawn = [], [], []
    for round_ in range(asked.rounds + 1):
        order = (True, False) if round_ % 2 else (False, True)
        found = {saves: run(tokens, asked.steps, saves) for saves in order}
        if round_ == 0:
            continue  # kernels are compiled, files are cached
        with_, without = found[True], found[False]
        ratios.append(with_[0] / without[0] - 1)
        waited.append(with_[1] / with_[0])
        drawn.append(with_[2] / with_[0])
        print(f"round {round_}: {with_[0]:.3f} s with, {without[0]:.3f} s without", flush=True)
    print(f"{asked.steps} steps, {tx.config.threads} threads, checkpoints every 250 steps")
    for name, values in (
        ("time with checkpoints beyond that without", ratios),
        ("training waits for the writer and copies", waited),
        ("training waits for batches", drawn),
    ):
        middle = statistics.median(values)
        print(f"{name}: {middle:+.2%} (from {min(values):+.2%} to {max(values):+.2%})")


if __name__ == "__main__":
    main()
