"""Training on token files: resumed to the same bits, also where a file was cut short meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Mixture, Preparation, TokenSet, TokenWindows, default_text, prepare
from tinygrad_tx.errors import DataError
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


def model(seed: int) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(256, 8, 1, 1, 32), seed)


def assert_same_weights(one: tx.models.GPT, other: tx.models.GPT) -> None:
    for name, value in one.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name


@pytest.mark.parametrize("mixed", [False, True], ids=["one", "mixture"])
def test_a_resumed_run_ends_with_the_bits_of_one_that_never_stopped(
    sets: list[TokenSet], tmp_path: Path, mixed: bool
) -> None:
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
    assert_same_weights(whole, other)
    notes = [RunFolder(tmp_path / n).load_checkpoint()[1]["batches"] for n in ("whole", "parts")]
    assert notes[0] == notes[1]
    rows = json.loads(notes[0])["rows"]
    assert (sum(rows) if mixed else rows) == 24


def test_a_file_cut_short_ends_training_and_the_last_checkpoint_stands(
    sets: list[TokenSet], tmp_path: Path
) -> None:
    shutil.copytree(sets[0].path, tmp_path / "set")
    files = {p: p.read_bytes() for p in (tmp_path / "set").glob("learning-*.tokens")}

    def cut(progress: Progress) -> None:
        if progress.step == 9:
            for path in files:
                os.truncate(path, 4)

    def train(one: tx.models.GPT, folder: str, **options: object) -> None:
        found = TokenSet.open(tmp_path / "set")
        sides = [batches([found], side, False) for side in ("learning", "held_out")]
        fit(one, *sides, CONFIG, RunFolder(tmp_path / folder), **options)  # type: ignore[arg-type]  # any

    whole, other = model(0), model(5)
    train(whole, "whole")
    with pytest.raises(DataError, match="is cut short: 4 bytes, not"):
        train(model(0), "cut", on_step=cut)
    assert RunFolder(tmp_path / "cut").load_checkpoint()[1]["step"] == "6"
    with pytest.raises(DataError, match="is damaged: 4 bytes, not"):  # still short
        train(other, "cut", resume=True)
    for path, raw in files.items():
        path.write_bytes(raw)
    train(other, "cut", resume=True)
    assert_same_weights(whole, other)
