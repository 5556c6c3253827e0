"""Training on token files: resumed to the same bits, also by the command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Mixture, Preparation, TokenSet, TokenWindows, default_text, prepare
from tinygrad_tx.train import Progress, RunFolder, TrainConfig, fit

CONFIG = TrainConfig(steps=12, batch=2, warmup=2, validate_every=6, learning_rate=3e-3)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[TokenSet]:
    """Two, with the same tokens."""
    folder, found = tmp_path_factory.mktemp("sets"), []
    for i in range(2):
        (folder / f"{i}.txt").write_text(default_text()[i * 9000 : i * 9000 + 9000])
        how = Preparation("byte", held_out=0.3, piece=300, shard_tokens=3000)
        found.append(prepare([folder / f"{i}.txt"], folder / f"set{i}", how))
    return found


def batches(sets: list[TokenSet], side: str, mixed: bool) -> TokenWindows | Mixture:
    parts = [TokenWindows(getattr(s, side), 2, 8, seed=1, documents=mixed) for s in sets]
    return Mixture(parts, [2, 1]) if mixed else parts[0]


@pytest.mark.parametrize("mixed", [False, True], ids=["one", "mixture"])
def test_a_resumed_run_ends_with_the_bits_of_one_that_never_stopped(
    sets: list[TokenSet], tmp_path: Path, mixed: bool
) -> None:
    def model(seed: int) -> tx.models.GPT:
        return tx.models.GPT(tx.models.GPTConfig(256, 8, 1, 1, 32), seed)

    def interrupt(progress: Progress) -> None:
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    def train(one: tx.models.GPT, folder: Path, **options: object) -> object:
        sides = [batches(sets, side, mixed) for side in ("learning", "held_out")]
        return fit(one, *sides, CONFIG, RunFolder(folder), **options)  # type: ignore[arg-type]  # any

    whole, other = model(0), model(5)
    train(whole, tmp_path / "whole")
    train(model(0), tmp_path / "parts", on_step=interrupt)
    train(other, tmp_path / "parts", resume=True)
    for name, value in whole.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name
    notes = [RunFolder(tmp_path / n).load_checkpoint()[1]["batches"] for n in ("whole", "parts")]
    assert notes[0] == notes[1]
    rows = json.loads(notes[0])["rows"]
    assert (sum(rows) if mixed else rows) == 24
