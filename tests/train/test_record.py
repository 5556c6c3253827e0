"""Records of runs: whole or refused, found again by their children, guessed for older folders."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.train import (
    CorpusFacts,
    Forgetting,
    Generation,
    ModelFacts,
    Parent,
    Record,
    RunFolder,
    TrainConfig,
    ancestors,
    fit,
    generations_of,
    held_out_loss,
    note_generation,
    read_record,
    write_record,
)
from tinygrad_tx.train.generations import KEPT

PRETRAINED = Record(
    "pretraining",
    CorpusFacts("novel.txt", 1000, 900, 90),
    ModelFacts("GPT", 2, 32, 8, 17, 1234),
    steps=12,
    tokens=192,
    seconds=1.5,
    loss_before=2.8,
    loss_best=1.1,
    loss=1.2,
    baseline=1.3,
)
TUNED = dataclasses.replace(
    PRETRAINED,
    kind="fine-tuning",
    parent=Parent("../one", "0" * 64),
    forgetting=Forgetting("novel.txt", 1.2, 1.9),
)
SETTINGS = {
    "text": "/somewhere/old.txt",
    "model": {"vocab_size": 17, "context": 8, "layers": 2, "heads": 2, "width": 32},
    "training": {"steps": 4, "batch": 2},
}


def folder(path: Path, record: Record | None = None) -> RunFolder:
    run = RunFolder(path)
    run.create()
    run.write(run.config, json.dumps(SETTINGS))
    run.write(run.checkpoint, path.name)
    if record is not None:
        write_record(run, record)
    return run


def child_of(run: RunFolder, path: Path) -> RunFolder:
    parent = Parent(f"../{run.path.name}", run.digest())
    return folder(path, dataclasses.replace(TUNED, parent=parent))


@pytest.mark.parametrize("record", [PRETRAINED, TUNED])
def test_a_record_comes_back_as_it_was(tmp_path: Path, record: Record) -> None:
    assert read_record(folder(tmp_path / "one", record)) == record


def test_figures_that_are_not_finite_are_left_out_and_the_file_stays_json(tmp_path: Path) -> None:
    run = folder(tmp_path / "one", dataclasses.replace(PRETRAINED, loss=float("nan")))
    json.loads(run.record.read_text(), parse_constant=pytest.fail)
    assert read_record(run).loss is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("{", "is damaged"),
        ("[]", "not an object"),
        ({"kind": "baking"}, "baking"),
        ({"steps": -1}, "steps is -1"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": True}, "steps is True"),
        ({"loss": "low"}, "loss is 'low'"),
        ({"corpus": {"characters": 3}}, "corpus.name is missing"),
        ({"corpus": 3}, "corpus. is not an object"),
        ({"model": {"kind": 3}}, "model.kind is 3"),
        ({"colour": 3}, "colour is not known"),
        ({"kind": "fine-tuning"}, "without a parent"),
        ({"parent": {"path": "../a", "digest": "b"}}, "with a parent"),
    ],
)
def test_damaged_records_are_refused_with_the_field_and_a_remedy(
    tmp_path: Path, damage: Any, said: str
) -> None:
    run = folder(tmp_path / "one", PRETRAINED)
    whole = json.loads(run.record.read_text())
    run.record.write_text(damage if isinstance(damage, str) else json.dumps(whole | damage))
    with pytest.raises(CheckpointError, match=r"record\.json: is damaged.*delete it") as caught:
        read_record(run)
    assert said in str(caught.value)


def test_a_record_that_is_no_text_is_damaged(tmp_path: Path) -> None:
    run = folder(tmp_path / "one")
    run.record.write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"is damaged"):
        read_record(run)


def test_an_older_folder_gives_what_its_settings_and_metrics_say(tmp_path: Path) -> None:
    run = folder(tmp_path / "old")
    rows = [{"step": n, "loss": 2.0, "tokens_per_second": 32.0} for n in (1, 2, 3)]
    rows[1]["validation"], rows[2]["validation"] = 1.5, 1.75
    run.write(run.metrics, "".join(json.dumps(r) + "\n" for r in rows))
    found = read_record(run)
    assert (found.kind, found.corpus) == ("pretraining", CorpusFacts("old.txt"))
    assert found.model == ModelFacts("GPT", 2, 32, 8, 17)
    assert (found.steps, found.tokens, found.seconds) == (3, 48, 1.5)  # 3 steps of 2 x 8 at 32/s
    assert (found.loss_best, found.loss, found.interrupted) == (1.5, 1.75, True)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        read_record(RunFolder(tmp_path))
    (tmp_path / "config.json").write_text('{"model": 3}')
    with pytest.raises(CheckpointError, match=r"config\.json: is damaged"):
        read_record(RunFolder(tmp_path))


def test_ancestors_stand_from_the_oldest_to_the_run(tmp_path: Path) -> None:
    first = folder(tmp_path / "first", PRETRAINED)
    second = child_of(first, tmp_path / "second")
    third = child_of(second, tmp_path / "third")
    found = ancestors(third.path)
    names = [a.path.resolve().name for a in found]
    assert names == ["first", "second", "third"]
    assert not any(a.has_changed for a in found)


def test_a_parent_that_was_trained_on_has_changed(tmp_path: Path) -> None:
    parent = folder(tmp_path / "first", PRETRAINED)
    child = child_of(parent, tmp_path / "second")
    parent.write(parent.checkpoint, "other weights")
    assert [a.has_changed for a in ancestors(child.path)] == [True, False]


def test_a_parent_that_is_gone_ends_the_history(tmp_path: Path) -> None:
    child = child_of(folder(tmp_path / "first", PRETRAINED), tmp_path / "second")
    (tmp_path / "first").rename(tmp_path / "moved")
    found = ancestors(child.path)
    assert [a.record is None for a in found] == [True, False]


def test_runs_that_are_their_own_ancestors_are_refused(tmp_path: Path) -> None:
    run = folder(tmp_path / "one")
    write_record(run, dataclasses.replace(TUNED, parent=Parent("../one", run.digest())))
    with pytest.raises(CheckpointError, match="came from it"):
        ancestors(run.path)


def test_only_the_last_texts_are_kept_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    run = folder(tmp_path / "one")
    texts = [Generation("a\u2028b", f"out {n}\n漢", {"seed": n}) for n in range(KEPT + 5)]
    for text in texts:
        note_generation(run, text)
    assert generations_of(run) == texts[-KEPT:]
    assert run.generations.read_text().count("\n") == KEPT
    with run.generations.open("a") as file:
        file.write('{"prompt": "cut sho')
    assert generations_of(run) == texts[-KEPT:]
    run.generations.write_bytes(b"\xff\n[]\n3\n{}\n")
    assert generations_of(run) == []


def test_the_loss_before_training_is_kept_through_a_resume(tmp_path: Path) -> None:
    tokens = np.tile(np.arange(11), 60)
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 32))
    held_out = Windows(tokens[:99], 2, 8)
    expected = held_out_loss(model, held_out, 64)
    result = None
    for steps, resume in ((2, False), (4, True)):
        config = TrainConfig(steps=steps, batch=2, warmup=1, validate_every=2)
        windows = Windows(tokens, 2, 8, seed=1)
        result = fit(model, windows, held_out, config, RunFolder(tmp_path), resume)
        assert result.first == expected
    assert result is not None
    assert result.step == 4
    assert result.validation < expected
