"""Files that version 0.1.0 wrote are read; those of later formats are refused and left alone.

The folder v0_1 was written once, by `tinygrad-tx train`, `data prepare` and `SoftPrompt.save`: it
is never written anew. A version that changes a format adds a folder of its own.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from typer.testing import CliRunner

from tinygrad_tx.cli.main import app
from tinygrad_tx.data import TokenSet, Windows, split
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.models import from_run
from tinygrad_tx.prompt import load_tuned
from tinygrad_tx.train import RunFolder, held_out_loss
from tinygrad_tx.train.record import read_record
from tinygrad_tx.train.run import FORMAT, NewerFormatError

OLD = Path(__file__).parent / "v0_1"
TEXT = (OLD / "text.txt").read_text(encoding="utf-8")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def test_weights_of_an_old_run_have_the_loss_that_was_noted(old: Path) -> None:
    model, units = from_run(old / "run")
    held = Windows(split(units.encode(TEXT))[1], 2, 8)
    noted = read_record(RunFolder(old / "run")).loss
    assert noted is not None
    assert held_out_loss(model, held, 64) == pytest.approx(noted, rel=1e-6)


def test_training_goes_on_from_an_old_checkpoint(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(old)
    config = json.loads(Path("run/config.json").read_text())
    assert "format" not in config
    config["training"]["steps"] = 6
    Path("run/config.json").write_text(json.dumps(config))
    done = CliRunner().invoke(app, ["train", "--resume", "--out", "run"])
    assert done.exit_code == 0, (done.output, done.exception)
    steps = [row["step"] for row in RunFolder("run").read_metrics()]
    assert steps == [1, 2, 3, 4, 5, 6]
    _, notes = RunFolder("run").load_checkpoint()
    assert notes["step"] == "6"


def test_old_token_files_hold_the_text(old: Path) -> None:
    found = TokenSet.open(old / "tokens")
    pieces = []
    for side in (found.learning, found.held_out):
        (shard,) = side.shards
        raw = np.fromfile(side.folder / shard.tokens_name, "<u2").tolist()
        begin = 0
        for end in np.fromfile(side.folder / shard.borders_name, "<u8").tolist():
            pieces.append(found.tokenizer.decode(raw[begin:end]).replace("<|endoftext|>", ""))
            begin = end
    assert sum(map(len, pieces)) == len(TEXT)
    assert all(piece in TEXT for piece in pieces)


def test_an_old_soft_prompt_is_taken(old: Path) -> None:
    model, _ = from_run(old / "run")
    assert load_tuned(model, old / "prompt.safetensors").length == 2


def test_what_is_written_says_its_format(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_config({"model": 1})
    assert json.loads(run.config.read_text()) == {"format": FORMAT, "model": 1}
    assert run.read_config() == {"model": 1}
    run.save_checkpoint({"a": np.ones(2)}, {"step": "3"})
    raw = run.checkpoint.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["__metadata__"]["format"] == f"tinygrad_tx {FORMAT}"
    assert run.load_checkpoint()[1] == {"step": "3"}


def of_the_next_format(run: RunFolder) -> None:
    arrays = load(run.checkpoint.read_bytes())
    run.checkpoint.write_bytes(save(arrays, {"format": f"tinygrad_tx {FORMAT + 1}", "step": "9"}))


def test_a_later_checkpoint_is_refused_and_nothing_stands_in_for_it(tmp_path: Path) -> None:
    """Not even the one before it, which could be read: training would go back without a word."""
    run = RunFolder(tmp_path)
    for step in "12":
        run.save_checkpoint({"a": np.ones(2)}, {"step": step})
    of_the_next_format(run)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(NewerFormatError, match=rf"format {FORMAT + 1}.*up to {FORMAT}.*later one"):
        run.load_checkpoint()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("given", [FORMAT + 1, 0, "1", True, None])
def test_a_run_folder_of_another_format_is_refused(old: Path, given: object) -> None:
    path = old / "run" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": given}))
    with pytest.raises(CheckpointError, match="format") as caught:
        from_run(old / "run")
    assert isinstance(caught.value, NewerFormatError) == (given == FORMAT + 1)


def test_token_files_of_a_later_format_are_refused(old: Path) -> None:
    path = old / "tokens" / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(DataError, match="version 2, and this program reads 1"):
        TokenSet.open(old / "tokens")
