"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.train import Progress, Result, RunFolder, TensorBoard, TrainConfig, fit

TOKENS = np.tile(np.arange(11), 60)
CONFIG = TrainConfig(steps=12, batch=2, warmup=2, validate_every=4, learning_rate=3e-3)


def train(path: Path, resume: bool = False, stop_at: int = 0, **options: Any) -> Result:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 16))
    run = RunFolder(path)

    def on_step(progress: Progress) -> None:
        board.on_step(progress)
        if progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    config = TrainConfig(**{**vars(CONFIG), **options})
    with TensorBoard(run) as board:
        windows = Windows(TOKENS, 2, 8, seed=1), Windows(TOKENS[:99], 2, 8)
        return fit(model, *windows, config, run, resume, on_step)


def read(path: Path) -> Any:
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("tensorboardX")
    found = module.EventAccumulator(
        str(path), size_guidance=dict.fromkeys(("scalars", "images"), 0)
    )
    return found.Reload()


def scalars(path: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, e.value) for e in read(path).Scalars(tag)]


def rows(path: Path, key: str) -> list[tuple[int, float]]:
    """What metrics.jsonl says, as an event file can hold it."""
    found = RunFolder(path).read_metrics()
    return [(r["step"], float(np.float32(r[key]))) for r in found if key in r]


def agree(path: Path) -> None:
    for tag, key in (
        ("loss/training", "loss"),
        ("loss/held_out", "validation"),
        ("optimizer/learning_rate", "learning_rate"),
        ("optimizer/gradient_norm", "gradient_norm"),
        ("speed/tokens_per_second", "tokens_per_second"),
    ):
        assert scalars(path, tag) == rows(path, key), tag


needs_both = pytest.mark.parity


@needs_both
def test_tensorboard_reads_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    train(tmp_path)
    assert [s for s, _ in scalars(tmp_path, "loss/training")] == list(range(1, 13))
    assert [s for s, _ in scalars(tmp_path, "loss/held_out")] == [4, 8, 12]
    agree(tmp_path)
    times = [e.wall_time for e in read(tmp_path).Scalars("loss/training")]
    assert times == sorted(times)


@needs_both
def test_a_resumed_run_has_no_step_twice_and_none_too_few(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    assert train(tmp_path, stop_at=7).step == 7
    train(tmp_path, resume=True)
    assert [s for s, _ in scalars(tmp_path, "loss/training")] == list(range(1, 13))
    agree(tmp_path)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    train(tmp_path, resume=True)  # of a run that is over: nothing is lost
    agree(tmp_path)


@needs_both
@pytest.mark.parametrize("cut", [1, 9, 200, 10**6])
def test_an_event_file_that_was_cut_short_is_made_anew(tmp_path: Path, cut: int) -> None:
    """As a kill leaves it: behind metrics.jsonl, and ended inside of a record."""
    pytest.importorskip("tensorboardX")
    train(tmp_path, stop_at=6)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    raw = file.read_bytes()
    file.write_bytes(raw[: max(0, len(raw) - cut)])
    train(tmp_path, resume=True)
    agree(tmp_path)


@needs_both
def test_rows_that_the_checkpoint_had_not_seen_are_forgotten(tmp_path: Path) -> None:
    """A kill at step 7 goes on from the checkpoint of step 4."""
    pytest.importorskip("tensorboardX")
    train(tmp_path, steps=4)
    metrics = RunFolder(tmp_path).metrics
    more = '{"step": 5, "loss": 99.0}\n{"step": 6, "loss": 98.0}\n'
    metrics.write_text(metrics.read_text() + more)
    train(tmp_path, resume=True)
    agree(tmp_path)
    assert max(v for _, v in scalars(tmp_path, "loss/training")) < 90


@needs_both
def test_a_rollback_takes_its_steps_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    run = RunFolder(tmp_path)

    def at(step: int, loss: float) -> Progress:
        return Progress(step, loss, 1.0, 0.1, 1.0)

    with TensorBoard(run) as board:
        for step in (1, 2, 3):
            run.metrics.write_text(
                "".join(f'{{"step": {s}, "loss": {s}.5}}\n' for s in range(1, step + 1))
            )
            board.on_step(at(step, step + 0.5))
        run.metrics.write_text('{"step": 1, "loss": 1.5}\n{"step": 2, "loss": 7.0}\n')
        board.on_step(at(2, 7.0))
    assert scalars(tmp_path, "loss/training") == [(1, 1.5), (2, 7.0)]


@needs_both
def test_text_and_pictures_come_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    image = pytest.importorskip("PIL.Image")
    train(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    with TensorBoard(RunFolder(tmp_path)) as board:
        board.text("samples/1", "The *model*\nwrites <b>注意</b>")
        board.image("model", pixels)
    events = read(tmp_path)
    (said,) = events.Tensors("samples/1/text_summary")
    text = said.tensor_proto.string_val[0].decode()
    # TensorBoard reads Markdown: indented, it shows every character as it stands.
    assert text == "    The *model*\n    writes <b>注意</b>"
    assert said.step == 12
    (shown,) = events.Images("model")
    again = np.asarray(image.open(io.BytesIO(shown.encoded_image_string)))
    assert np.array_equal(again, pixels)
    agree(tmp_path)


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(DataError, match=r"tinygrad-tx\[tensorboard\]"):
        TensorBoard(RunFolder(tmp_path))


@needs_both
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = pytest.importorskip("tensorboardX.record_writer").RecordWriter
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    with TensorBoard(RunFolder(tmp_path)) as board:
        monkeypatch.setattr(board, "_open_file", lambda path: writer("/dev/full"))
        with pytest.raises(CheckpointError, match=r"No space left.*leave --tensorboard out"):
            board.text("samples/1", "text")
    with (
        TensorBoard(RunFolder(tmp_path / "nowhere")) as board,
        pytest.raises(CheckpointError, match="No such file"),
    ):
        board.text("samples/1", "text")
