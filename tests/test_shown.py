"""What a prompt and a notebook show of results: short, in words, with no address of memory."""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.table import Table
from tinygrad_tx.testing import gradcheck

TOKENS = np.arange(8)[None]


@pytest.fixture(scope="module")
def scene() -> dict[str, Any]:
    """One of each that people look at."""
    model = tx.models.GPT(
        tx.models.GPTConfig(vocab_size=11, context=24, layers=2, heads=2, width=16)
    )
    optimizer = tx.optim.AdamW(model.parameters(), lr=1e-3)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        optimizer.step()
        return loss

    batch = TOKENS[:, :-1], TOKENS[:, 1:]
    loss = step(*batch)
    heads = reasoning.attention_patterns(model, TOKENS)
    return {
        "model": model,
        "optimizer": optimizer,
        "step": step,
        "loss": loss,
        "plan": step.plan(*batch),
        "profile": tx.profile(step, *batch),
        "drawing": tx.draw(model, inputs=(TOKENS,)),
        "activations": reasoning.capture(model, TOKENS, "*.pattern"),
        "point": next(iter(reasoning.points(model).values())),
        "patterns": heads,
        "picture": heads.picture("blocks.0.attention.pattern", 0),
        "lens": reasoning.logit_lens(model, TOKENS),
        "sources": reasoning.integrated_gradients(model, TOKENS),
        "parts": reasoning.direct_attribution(model, TOKENS),
        "heads": reasoning.induction_scores(model, 11, length=6, sequences=2),
        "check": gradcheck(lambda x: x * x, np.ones(2)),
    }


def test_nothing_shows_an_address_or_fills_the_screen(scene: dict[str, Any]) -> None:
    for name, value in scene.items():
        shown = repr(value)
        assert " at 0x" not in shown, name
        assert len(shown) < 3000, name


def test_each_says_what_matters_most(scene: dict[str, Any]) -> None:
    count = scene["model"].num_parameters()
    assert f"AdamW ({count:,} parameters, lr" in repr(scene["optimizer"])
    assert repr(scene["step"]).endswith("step (recordings: 1)")
    assert f"{len(scene['plan'].kernels)} kernels" in repr(scene["plan"])
    assert repr(scene["profile"]) == scene["profile"].table()
    assert repr(scene["drawing"]).startswith("Drawing (GPT, ")
    assert repr(scene["point"]).startswith("token_embedding: float32 (batch")


@pytest.mark.parametrize("name", ["patterns", "lens", "sources", "parts", "heads"])
def test_a_finding_shows_its_table(scene: dict[str, Any], name: str) -> None:
    found = scene[name]
    assert repr(found) == found.table().text()
    assert found._repr_markdown_() == found.table().markdown()


def test_a_table_shows_itself_as_text_and_as_markdown() -> None:
    table = Table("Sizes", ("name", "count"), (("a|b", 1234),), ("One note.",))
    assert repr(table).splitlines() == ["Sizes", "name  count", "a|b   1,234", "One note."]
    assert "| a\\|b | 1,234 |" in table._repr_markdown_()


@pytest.mark.parametrize("name", ["picture", "drawing"])
def test_a_picture_shows_itself_no_wider_than_the_page(scene: dict[str, Any], name: str) -> None:
    root = ET.fromstring(scene[name]._repr_svg_())
    assert root.tag.endswith("svg")
    assert "max-width: 100%" in root.attrib["style"]


def test_a_cell_of_a_notebook_is_named_as_its_traceback_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = "/tmp/ipykernel_12/34.py"
    compile_ = types.SimpleNamespace(format_code_name=lambda n: ("Cell", "In[7]"))
    shell = types.SimpleNamespace(compile=compile_)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    names: dict[str, Any] = {"tx": tx, "np": np}
    exec(compile("\n\ny = tx.tensor(np.ones((2, 3)))\nz = y + 1", file, "exec"), names)
    assert names["z"].node.where == "In[7]:4"
    with pytest.raises(tx.errors.ShapeError, match=r"In\[7\]:3"):
        names["y"] @ names["y"]
