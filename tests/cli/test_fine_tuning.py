"""Train, fine-tune, generate and draw the history, as people do; each on a text made here."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tinygrad_tx.cli.main import app
from tinygrad_tx.data import Windows, split
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.models import from_run
from tinygrad_tx.train import RunFolder, generations_of, held_out_loss, read_record
from tinygrad_tx.viz.pipeline_view import pipeline_picture

SIZES = "--layers 1 --heads 1 --width 32 --context 16 --batch 4 --steps 40"


def text(words: str, seed: int) -> str:
    chosen = random.Random(seed)
    return "".join(f"{chosen.choice(words.split())} " for _ in range(900))


def run(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


def done(line: str) -> str:
    result = run(line)
    assert result.exit_code == 0, result.exception
    return result.output


def refused(line: str, kind: type[Exception], *said: str) -> None:
    result = run(line)
    assert isinstance(result.exception, kind), result.output
    for word in said:
        assert word in str(result.exception)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/one on a.txt, and runs/two fine-tuned from it on b.txt."""
    path = tmp_path_factory.mktemp("history")
    (path / "a.txt").write_text(text("the model learns what comes next", 1))
    (path / "b.txt").write_text(text("next comes what the model hoes", 2))
    before = Path.cwd()
    os.chdir(path)
    try:
        done(f"train --text a.txt --out runs/one {SIZES}")
        done("train --start-from runs/one --text b.txt --out runs/two --steps 30")
    finally:
        os.chdir(before)
    return path


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in."""
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def test_the_record_of_a_run_says_what_was_trained_on_what(here: Path) -> None:
    record = read_record(RunFolder("runs/one"))
    corpus = (here / "a.txt").read_text()
    assert record.kind == "pretraining"
    assert record.parent is None
    assert (record.corpus.name, record.corpus.characters) == ("a.txt", len(corpus))
    assert record.corpus.held_out == len(corpus) // 10
    model, _ = from_run(Path("runs/one"))
    assert record.model.parameters == sum(p.size for p in model.parameters())
    assert (record.steps, record.tokens) == (40, 40 * 4 * 16)
    rows = RunFolder("runs/one").read_metrics()
    losses = [r["validation"] for r in rows if "validation" in r]
    assert (record.loss, record.loss_best) == (losses[-1], min(losses))
    assert record.loss_before is not None
    assert record.loss_before > min(losses)


def test_fine_tuning_starts_where_the_parent_stopped(here: Path) -> None:
    one, two = (read_record(RunFolder(f"runs/{name}")) for name in ("one", "two"))
    assert two.kind == "fine-tuning"
    assert two.parent is not None
    assert two.parent.path == "../one"
    assert two.parent.digest == RunFolder("runs/one").digest()
    assert two.model == one.model
    assert two.steps == 30
    # Before the first step it does on the new text what the parent does there.
    model, units = from_run(Path("runs/one"))
    _, held = split(units.encode((here / "b.txt").read_text()))
    expected = held_out_loss(model, Windows(held, 4, 16), 64)
    assert two.loss_before == pytest.approx(expected, rel=1e-5)
    # On the parent's own text the parent's weights give the parent's last loss.
    assert two.forgetting is not None
    assert two.forgetting.corpus == "a.txt"
    assert two.forgetting.before == pytest.approx(one.loss, rel=1e-5)
    assert two.forgetting.after != two.forgetting.before
    summary = (here / "runs/two/summary.md").read_text()
    assert f"{two.forgetting.before:.3f} before and {two.forgetting.after:.3f} now" in summary


def test_a_fine_tuned_run_resumes_without_its_parent(here: Path) -> None:
    config = here / "runs/two/config.json"
    settings = json.loads(config.read_text())
    before = read_record(RunFolder("runs/two"))
    settings["training"]["steps"] = 35
    config.write_text(json.dumps(settings))
    shutil.rmtree(here / "runs/one")
    done("train --resume --out runs/two")
    after = read_record(RunFolder("runs/two"))
    assert (after.steps, after.parent, after.loss_before) == (35, before.parent, before.loss_before)
    assert after.forgetting is not None
    assert before.forgetting is not None
    assert after.forgetting.before == before.forgetting.before
    (here / "c.txt").write_text((here / "a.txt").read_text() + "the ")
    for steps, other in ((37, "gone.txt"), (39, "c.txt")):
        settings["training"]["steps"] = steps
        settings["parent"]["text"] = str(here / other)
        config.write_text(json.dumps(settings))
        done("train --resume --out runs/two")
        lost = read_record(RunFolder("runs/two")).forgetting
        assert lost is not None
        assert lost.after is None
    assert "not known" in (here / "runs/two/summary.md").read_text()
    assert pipeline_picture("runs/two").boxes["model 0"].lines == ("one", "not found")


def test_what_does_not_fit_the_parent_is_refused_and_leaves_nothing(here: Path) -> None:
    start = "train --start-from runs/one --text b.txt --out runs/three"
    refused(f"{start} --layers 3", DataError, "layers is 3", "has 1", "leave it out")
    refused(f"{start} --tokenizer byte", DataError, "tokenizer is byte", "has char")
    refused(f"{start} --quick", DataError, "has 1")
    refused(f"{start} --resume", DataError, "--resume")
    refused("train --start-from b.txt --out runs/three", CheckpointError, "not a run folder")
    refused("train --start-from runs/one --out runs/one", CheckpointError, "already holds")
    (here / "c.txt").write_text("注意力" + "Zebra" * 90)
    unknown = ("'Z' (U+005A)", "'注' (U+6CE8)", "--tokenizer byte")
    refused("train --start-from runs/one --text c.txt --out runs/three", DataError, *unknown)
    assert not (here / "runs/three").exists()


def test_texts_are_kept_unless_asked_not_to(here: Path) -> None:
    one = RunFolder("runs/one")
    written = done("generate runs/one --prompt the --tokens 9 --seed 1")
    (kept,) = generations_of(one)
    assert kept.prompt + kept.output + "\n" == written
    assert kept.settings["tokens"] == 9
    assert kept.settings["seed"] == 1
    done("generate runs/one --prompt the --tokens 3 --no-record")
    assert generations_of(one) == [kept]


def test_a_folder_that_cannot_be_written_fails_no_generation(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tinygrad_tx.train.generations.write_whole", full)
    output = done("generate runs/one --prompt the --tokens 3")
    assert output.startswith("the")
    assert "not recorded" in output
    assert generations_of(RunFolder("runs/one")) == []


def test_the_history_is_drawn_from_the_command_line(here: Path) -> None:
    done("generate runs/two --prompt what --tokens 5 --seed 1")
    done("draw runs/two --view pipeline --out history.mmd")
    drawn = (here / "history.mmd").read_text()
    assert drawn.startswith("flowchart LR")
    for word in ("Pretraining", "Fine-tuning", "Task Model", "a.txt", "b.txt", "Prompt", "Output"):
        assert word in drawn
    (here / "runs/two/record.json").write_text("{}")
    refused("draw runs/two --view pipeline", CheckpointError, "record.json", "delete it")


def test_passes_are_drawn_from_the_command_line(here: Path) -> None:
    done("draw runs/one --view rewrite --passes simplify,fuse --out passes.dot")
    assert "operations before" in (here / "passes.dot").read_text()
    result = run("draw runs/one --view rewrite --passes shrink")
    assert "shrink" in str(result.exception)
