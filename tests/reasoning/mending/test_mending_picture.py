"""The picture of mending shows what the tables hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.reasoning.audits.audit import Effect
from tinygrad_tx.reasoning.mending.side_effects import SideEffect, text_losses

MODEL = tx.models.GPT(tx.models.GPTConfig(12, 8, 1, 2, 16), seed=3).eval()
TOKENS = np.random.default_rng(0).integers(1, 12, (40, 7))
EFFECTS = {
    "loss": text_losses(TOKENS),
    "few": SideEffect(lambda m: np.array([0.0, float(m is not MODEL)]), "more"),
}


def check(model: Any) -> list[Effect]:
    return [Effect(f"token {i}", float(model(TOKENS[:1]).numpy()[0, -1, i])) for i in range(3)]


def mended() -> reasoning.Mending:
    controls = {
        "zero": lambda m: reasoning.Changed(m, {"logits": reasoning.zero()}),
        "much": lambda m: reasoning.Changed(m, {"logits": reasoning.add(9.0, units=[1])}),
    }
    return reasoning.mend(MODEL, [check], controls, EFFECTS)


def test_each_control_has_its_row_and_each_cost_its_panel() -> None:
    found = mended()
    picture = reasoning.mending_picture(found)
    titles = [axes.get_title() for axes in picture.axes]
    assert titles == ["skew left", "loss", "few"]
    assert [t.get_text() for t in picture.axes[0].get_yticklabels()] == ["zero", "much"]
    marks = [line for line in picture.axes[1].lines if line.get_marker() == "o"]
    assert [m.get_xdata()[0] for m in marks] == [t.costs["loss"].change for t in found.trials]
    assert marks[1].get_color() == "#c4572a"  # a surely larger loss is orange
    hollow = [line for line in picture.axes[2].lines if line.get_marker() == "o"]
    assert hollow[0].get_markerfacecolor() == "white"  # two examples: no interval


def test_the_folder_holds_tables_and_pictures(tmp_path: Path) -> None:
    found = mended()
    reasoning.write_mending(found, tmp_path / "m")
    tables = json.loads((tmp_path / "m" / "mending.json").read_text(encoding="utf-8"))
    assert [t["title"] for t in tables][:2] == ["Controls", "What the controls cost"]
    assert len(tables) == 4
    assert "| zero |" in (tmp_path / "m" / "mending.md").read_text(encoding="utf-8")
    assert (tmp_path / "m" / "mending.svg").read_text(encoding="utf-8").count("zero") >= 1
    assert (tmp_path / "m" / "mending.png").stat().st_size > 1000
