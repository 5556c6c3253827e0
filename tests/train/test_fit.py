"""Training: learns, resumes to the same bits, stops at a NaN, keeps what was good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import CheckpointError, NonFiniteError
from tinygrad_tx.train import Progress, Result, RunFolder, TrainConfig, fit
from tinygrad_tx.train.diagnose import first_not_finite

TOKENS = np.tile(np.arange(11), 60)
CONFIG = TrainConfig(steps=12, batch=2, warmup=2, validate_every=6, learning_rate=3e-3)


def model_of(seed: int = 0) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 32), seed)


def run(
    model: tx.models.GPT, folder: Path, config: TrainConfig = CONFIG, **options: object
) -> Result:
    train, held_out = Windows(TOKENS, 2, 8, seed=1), Windows(TOKENS[:99], 2, 8)
    return fit(model, train, held_out, config, RunFolder(folder), **options)  # type: ignore[arg-type]  # any


def test_the_run_may_be_given_by_its_path(tmp_path: Path) -> None:
    windows = Windows(TOKENS, 2, 8, seed=1), Windows(TOKENS[:99], 2, 8)
    for i, folder in enumerate((tmp_path / "0", str(tmp_path / "1"))):
        fit(model_of(), *windows, CONFIG, folder)
        assert RunFolder(tmp_path / str(i)).checkpoint.is_file()


def test_training_learns_and_notes_every_step(tmp_path: Path) -> None:
    config = TrainConfig(steps=80, batch=2, warmup=4, validate_every=40, learning_rate=1e-2)
    result = run(model_of(), tmp_path, config)
    assert result.validation < 0.5 < np.log(11)  # from chance to a text that repeats
    rows = RunFolder(tmp_path).read_metrics()
    assert [r["step"] for r in rows] == list(range(1, 81))
    assert [r["step"] for r in rows if "validation" in r] == [40, 80]


def test_a_resumed_run_ends_with_the_bits_of_one_that_never_stopped(tmp_path: Path) -> None:
    whole = model_of()
    run(whole, tmp_path / "whole")

    def interrupt(progress: Progress) -> None:
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = run(model_of(), tmp_path / "parts", on_step=interrupt)
    assert (stopped.interrupted, stopped.step) == (True, 7)
    other = model_of(seed=5)
    resumed = run(other, tmp_path / "parts", resume=True)
    assert resumed.step == 12
    for name, value in whole.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name
    assert [r["step"] for r in resumed.metrics] == list(range(1, 13))


def test_a_nan_stops_and_names_its_node_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    model = model_of()

    def poison(progress: Progress) -> None:
        if progress.step == 7:
            weight = model.blocks[0].feed_forward.up.weight  # type: ignore[attr-defined]  # a list of Module
            weight.assign_(np.full(weight.shape, np.inf, np.float32))

    with pytest.raises(
        NonFiniteError,
        match=r"step 8: .*first in parameter blocks.0.feed_forward.up.weight .*checkpoint",
    ):
        run(model, tmp_path, on_step=poison)
    _, notes = RunFolder(tmp_path).load_checkpoint()
    assert notes["step"] == "6"


def test_a_step_that_fails_changes_no_state(tmp_path: Path) -> None:
    model = model_of()
    model.norm.weight.assign_(np.full(32, np.nan, np.float32))
    before = model.state_dict()
    with pytest.raises(NonFiniteError, match="nothing had been saved yet"):
        run(model, tmp_path)
    assert all(v.tobytes() == before[k].tobytes() for k, v in model.state_dict().items())


def test_a_value_that_overflows_is_named_where_it_did(tmp_path: Path) -> None:
    model = model_of()
    model.embedding.weight.assign_(np.full((11, 32), 1e38, np.float32))
    with pytest.raises(NonFiniteError, match=r"first in \w+ .*made at .*gpt|first in \w+"):
        run(model, tmp_path)


def test_folders_that_cannot_be_written_are_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run(model_of(), tmp_path / "file" / "run")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "zeros": lambda raw: b"\x00" * 9,
    "ones": lambda raw: b"\xff" * 100,
    "cut short": lambda raw: raw[:-1],
    "a bit of a weight": lambda raw: flipped(raw, len(raw) - 5),
    "a bit of the step": lambda raw: flipped(raw, raw.index(b'"step":"') + 8),
    "a bit of the length": lambda raw: flipped(raw, 0),
}
every_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))


def flipped(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


@every_damage
def test_a_damaged_checkpoint_is_found_out_and_the_one_before_it_leads_to_the_same_bits(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    whole, other = model_of(), model_of(seed=5)
    run(whole, tmp_path)
    folder = RunFolder(tmp_path)
    folder.checkpoint.write_bytes(damage(folder.checkpoint.read_bytes()))
    resumed = run(other, tmp_path, resume=True)
    assert "is damaged" in resumed.recovered
    assert "of step 6, is taken" in resumed.recovered
    for name, value in whole.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name
    assert run(model_of(), tmp_path, resume=True).recovered == ""


@every_damage
def test_two_damaged_checkpoints_are_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    run(model_of(), tmp_path)
    folder = RunFolder(tmp_path)
    for path in (folder.checkpoint, folder.previous):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="is damaged"):
        run(model_of(), tmp_path, resume=True)


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(model_of(), tmp_path)
    folder = RunFolder(tmp_path)
    before = folder.checkpoint.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        folder.save_checkpoint({"a": np.zeros(3)}, {})
    assert folder.checkpoint.read_bytes() == before
    assert not list(tmp_path.glob(".checkpoint*"))


def test_a_folder_has_one_trainer_at_a_time(tmp_path: Path) -> None:
    """Also across processes, and no longer than that process lives."""
    program = (
        "import sys, time; from tinygrad_tx.train import RunFolder\n"
        f"with RunFolder({str(tmp_path)!r}).held(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(CheckpointError, match=f"is being trained by process {other.pid}"):
            run(model_of(), tmp_path)
        other.kill()
    assert run(model_of(), tmp_path).step == 12


def test_the_mask_of_padding_is_not_taken_for_what_went_wrong(tmp_path: Path) -> None:
    """Its infinity is there on purpose."""
    model = tx.models.BERT(tx.models.BERTConfig(11, 8, 1, 1, 16))
    model.pooler.dense.weight.assign_(np.full((16, 16), np.nan, np.float32))
    tokens, mask = np.ones((2, 8), np.int64), np.arange(8) < np.array([[5], [8]])
    output = model.both(tokens, None, mask)
    found = first_not_finite([o.node for o in output], {})
    assert found.startswith("first in an input (16, 16)")


@pytest.mark.parametrize("note", ["random", "best", "passed over", "losses", "batches", "step"])
@pytest.mark.parametrize("damage", ["", "[" * 9000, "null", '{"a": 1, "a": 2}', "[1e999, [[]]]"])
def test_notes_that_say_nonsense_are_refused(note: str, damage: str, tmp_path: Path) -> None:
    """A digest is no signature: whoever writes notes can write it too."""
    run(model_of(), tmp_path)
    folder = RunFolder(tmp_path)
    state, notes = folder.load_checkpoint()
    folder.save_checkpoint(state, {**notes, note: damage})
    with pytest.raises(CheckpointError, match="damaged"):
        run(model_of(), tmp_path, TrainConfig(**{**vars(CONFIG), "steps": 20}), resume=True)
