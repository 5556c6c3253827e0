"""The pipeline view by its boxes and arrows, against the records it is made of."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError, DrawError
from tinygrad_tx.train import (
    CorpusFacts,
    Forgetting,
    Generation,
    ModelFacts,
    Parent,
    Record,
    RunFolder,
    note_generation,
    write_record,
)
from tinygrad_tx.viz.picture import Picture
from tinygrad_tx.viz.pipeline_view import TEXT_LINE, pipeline_picture
from tinygrad_tx.viz.render import Drawing

PRETRAINED = Record(
    "pretraining",
    CorpusFacts("novel.txt", 1000, 900, 90),
    ModelFacts("GPT", 2, 32, 8, 17, 1234),
    steps=12,
    tokens=192,
    seconds=1.5,
    loss_before=2.8,
    loss=1.2,
    baseline=1.3,
)
TUNED = dataclasses.replace(
    PRETRAINED,
    kind="fine-tuning",
    parent=Parent("../one", "0"),
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


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """A fine-tuned run, its parent beside it."""
    parent = Parent("../one", folder(tmp_path / "one", PRETRAINED).digest())
    return folder(tmp_path / "two", dataclasses.replace(TUNED, parent=parent)).path


def flow(picture: Picture) -> set[tuple[str, str]]:
    """Arrows between titles."""
    return {(picture.boxes[a.source].title, picture.boxes[a.target].title) for a in picture.arrows}


def test_a_pretrained_run_is_corpus_pretraining_model(tmp_path: Path) -> None:
    picture = pipeline_picture(folder(tmp_path / "one", PRETRAINED).path)
    roles = {b.title: b.role for b in picture.boxes.values()}
    assert roles == {"Corpus": "corpus", "Pretraining": "process", "Language Model": "model"}
    assert flow(picture) == {("Corpus", "Pretraining"), ("Pretraining", "Language Model")}
    assert picture.direction == "LR"


def test_a_fine_tuned_run_goes_on_from_its_parent(tuned: Path) -> None:
    picture = pipeline_picture(tuned)
    assert flow(picture) == {
        ("Corpus", "Pretraining"),
        ("Pretraining", "Language Model"),
        ("Language Model", "Fine-tuning"),
        ("Corpus", "Fine-tuning"),
        ("Fine-tuning", "Task Model"),
    }
    assert len(picture.boxes) == 6


def test_boxes_hold_the_figures_of_the_record(tuned: Path) -> None:
    boxes = {b.key: b.lines for b in pipeline_picture(tuned).boxes.values()}
    assert boxes["corpus 0"] == ("novel.txt", "1,000 characters", "900 tokens", "90 held out")
    assert boxes["training 0"] == (
        "12 steps",
        "192 tokens seen",
        "1.5 seconds",
        "held-out loss: 2.800 → 1.200",
        "bigram counts: 1.300",
    )
    assert boxes["model 0"] == (
        "one",
        "GPT",
        "2 layers, width 32",
        "1,234 parameters",
        "held-out loss: 1.200",
    )
    assert boxes["training 1"][-1] == "on the parent's corpus: 1.200 → 1.900"


def test_the_last_text_stands_before_and_behind_the_last_model(tuned: Path) -> None:
    run = RunFolder(tuned)
    for output in ("first", "x" * 400):
        note_generation(run, Generation("say <b>", output, {"seed": 1, "top_k": None}))
    picture = pipeline_picture(tuned)
    assert {("Prompt", "Task Model"), ("Task Model", "Output")} <= flow(picture)
    prompt, output_box = picture.boxes["prompt"], picture.boxes["output"]
    assert prompt.lines == ("say <b>",)
    assert prompt.facts == (("text", "say <b>"), ("seed", "1"))
    assert all(len(line) <= TEXT_LINE + 2 for line in output_box.lines)
    assert output_box.lines[-1].endswith(" …")
    assert output_box.facts == (("text", "x" * 400),)


@pytest.mark.parametrize("text", ["注意力机制让模型学会关注。" * 9, "one two " * 50, "", "\n\t a"])
def test_shortened_texts_are_beginnings(tmp_path: Path, text: str) -> None:
    run = folder(tmp_path / "one", PRETRAINED)
    note_generation(run, Generation("p", text, {}))
    lines = pipeline_picture(run.path).boxes["output"].lines
    assert len(lines) <= 4
    shown = "".join(lines).removesuffix("…")
    assert "".join(text.split()).startswith("".join(shown.split()))


def test_a_missing_and_a_changed_parent_are_said(tuned: Path) -> None:
    parent = tuned.parent / "one"
    (parent / "checkpoint.safetensors").write_text("other")
    picture = pipeline_picture(tuned)
    assert "changed since" in picture.boxes["model 0"].lines
    assert "changed since" not in picture.boxes["model 1"].lines
    parent.rename(tuned.parent / "elsewhere")
    picture = pipeline_picture(tuned)
    assert picture.boxes["model 0"].lines == ("one", "not found")
    assert ("Language Model", "Fine-tuning") in flow(picture)
    assert "corpus 0" not in picture.boxes


def test_an_older_run_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    picture = pipeline_picture(folder(tmp_path / "old").path)
    assert picture.boxes["corpus 0"].lines == ("old.txt",)
    assert picture.boxes["model 0"].lines == ("old", "GPT", "2 layers, width 32")
    assert "interrupted" in picture.boxes["training 0"].lines


@pytest.mark.parametrize("suffix", ["svg", "html", "mmd", "dot", "png"])
def test_every_format_says_where_the_arrows_go(tuned: Path, suffix: str) -> None:
    note_generation(RunFolder(tuned), Generation("<p>", "]] --> \"';", {}))
    out = tuned.parent / f"p.{suffix}"
    drawing = tx.draw(str(tuned), out, view="pipeline")
    assert isinstance(drawing, Drawing)
    assert out.stat().st_size > 500
    assert "rankdir=LR" in drawing.dot
    assert drawing.mermaid.startswith("flowchart LR\n")
    assert drawing.mermaid.count("[(") == 2
    assert len(re.findall(r"shape=cylinder", drawing.dot)) == 2


def test_chinese_names_every_station(tuned: Path) -> None:
    note_generation(RunFolder(tuned), Generation("p", "o", {}))
    drawing = tx.draw(tuned, view="pipeline", lang="zh", theme="dark")
    assert isinstance(drawing, Drawing)
    for word in (
        "语料",
        "预训练",
        "语言模型",
        "微调",
        "任务模型",
        "提示",
        "输出",
        "900 词元",
        "2 层",
    ):
        assert word in drawing.dot


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        tx.draw(tmp_path, view="pipeline")
    with pytest.raises(DrawError, match="path of a folder"):
        tx.draw(tx.ones((2,)), view="pipeline")
    for options in ({"overlay": "flops"}, {"passes": "fuse"}):
        unfit: dict[str, Any] = {"view": "pipeline", **options}
        with pytest.raises(DrawError):
            tx.draw(tmp_path, **unfit)
