"""Maps of attention: the weights of every layer and head, and what is said of them."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tests.viz.measured import (
    LAYERS,
    RNG,
    TOKENS,
    VOCAB,
    computed,
    drawn,
    gpt,
)
from tinygrad_tx.errors import DrawError
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.runtime import values
from tinygrad_tx.viz import render
from tinygrad_tx.viz.attention_maps import pattern_of_head, pooled
from tinygrad_tx.viz.heatmaps import HeatMap, HeatMaps
from tinygrad_tx.viz.picture import Box, Picture
from tinygrad_tx.viz.theme import THEMES


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_the_maps_are_the_weights_of_every_layer_and_head(depth: int) -> None:
    model = gpt()
    boxes = drawn(model, inputs=(TOKENS,), overlay="attention", depth=depth).boxes.values()
    maps = [box.maps for box in boxes if box.maps is not None]
    assert len(maps) == 1
    rows = maps[0].rows
    assert len(rows) == LAYERS
    for (_, shown), truth in zip(rows, computed(model, TOKENS)["pattern"], strict=True):
        cells = np.array([m.cells for m in shown])
        np.testing.assert_allclose(cells, truth[0], atol=2e-5)


def test_the_gradient_view_has_the_maps_in_the_forward_pass() -> None:
    model = gpt(1)
    options = {"view": "gradient", "inputs": (TOKENS,), "overlay": "attention"}
    for depth in (1, 3):
        boxes = drawn(model, **options, depth=depth).boxes.values()
        (box,) = [b for b in boxes if b.maps is not None]
        assert box.frame[0] == "forward"
        assert box.maps is not None
        (truth,) = computed(model, TOKENS)["pattern"]
        cells = np.array([m.cells for m in box.maps.rows[0][1]])
        np.testing.assert_allclose(cells, truth[0], atol=2e-5)


def test_shared_heads_bias_and_dropout_have_the_weights_before_dropout() -> None:
    q, k, v = (RNG.normal(size=(1, h, 5, 4)).astype(np.float32) for h in (4, 2, 2))
    bias = RNG.normal(size=(1, 4, 5, 5)).astype(np.float32)
    out = tx.attention(q, k, v, bias=bias, dropout=0.5, scale=0.7)
    (node,) = [n for n in collect([out.node]) if n.op.name == "attention"]
    for head in range(4):
        ((_, found),) = values.values_of([pattern_of_head(node, head)])
        scores = 0.7 * q[0, head] @ k[0, head // 2].T + bias[0, head]
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        np.testing.assert_allclose(found[0, 0], powers / powers.sum(-1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(("queries", "keys"), [(16, 16), (17, 17), (50, 33), (5, 100)])
def test_pooling_keeps_that_rows_sum_to_one(queries: int, keys: int) -> None:
    weights = RNG.dirichlet(np.ones(keys), queries)
    cells = pooled(weights)
    assert max(cells.shape) <= 16
    np.testing.assert_allclose(cells.sum(1), 1)
    tall, wide = math.ceil(queries / 16), math.ceil(keys / 16)
    last = weights[tall * (len(cells) - 1) :, wide : 2 * wide].sum(1).mean()
    assert cells[-1, 1] == pytest.approx(last)


def test_what_is_not_shown_is_said() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, 40, 6, 16, 16))
    tokens = RNG.integers(0, VOCAB, (2, 40))
    maps = drawn(model, inputs=(tokens,), overlay="attention").boxes["box blocks.0.attention"].maps
    assert maps is not None
    assert [title for title, _ in maps.rows] == ["blocks.0", "blocks.2", "blocks.3", "blocks.5"]
    assert all(len(row) == 8 for _, row in maps.rows)
    words = " ".join(maps.lines)
    for part in ("heads: 8 / 16", "layers: 4 / 6", "examples: 1 / 2", "cell: 3 × 3", "40 queries"):
        assert part in words


def test_a_head_that_looks_one_back_is_said_in_words(tmp_path: Path) -> None:
    far = 50 * np.eye(6, dtype=np.float32)
    q = far[[0, 0, 1, 2, 3, 4]][None, None]
    out = tx.attention(q, np.eye(6, dtype=np.float32)[None, None], q, causal=True)
    box = next(b for b in drawn(out, overlay="attention").boxes.values() if b.maps is not None)
    assert box.maps is not None
    assert box.maps.words == ("head 0: 1 back: 83 %",)
    assert ("head 0", "1 back: 83 %") in box.facts
    tx.draw(out, tmp_path / "a.mmd", overlay="attention")
    assert "1 back: 83 %" in (tmp_path / "a.mmd").read_text()


def test_other_sequences_say_their_strongest_key() -> None:
    q, k = np.ones((1, 1, 3, 4), np.float32), np.zeros((1, 1, 5, 4), np.float32)
    k[..., 2, :] = 9
    box = next(
        b
        for b in drawn(tx.attention(q, k, k), overlay="attention").boxes.values()
        if b.maps is not None
    )
    assert box.maps is not None
    assert box.maps.words == ("head 0: key 2: 100 %",)


def test_no_attention_is_refused() -> None:
    with pytest.raises(DrawError, match="nothing here attends"):
        tx.draw(tx.ones((2,)) * 2.0, overlay="attention")


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_warm_cell_is_drawn_in_its_colour(
    program: str, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "RENDERERS", (program,))
    try:
        render.renderer()
    except DrawError:
        pytest.skip(f"{program} is not installed")
    look = THEMES[theme]
    cells = ((1.0, 0.0), (0.25, math.nan))
    maps = HeatMaps((("", (HeatMap("head 0", cells, ""),)),), 1.0, ("legend",))
    picture = Picture("p", {"b": Box("b", "Attention", "attention", maps=maps)}, [])
    root = ET.fromstring(render.Drawing(picture, theme).svg)
    fills = [e.get("fill") for e in root.iter() if e.tag.endswith("polygon")]
    for colour in (look.warm(1.0), look.warm(0.25), look.mark, look.cold):
        assert fills.count(colour) == 1
    words = " ".join("".join(root.itertext()).split())
    assert "head 0" in words
    assert "legend" in words


@pytest.mark.skipif(render.shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_maps_come_through_in_other_formats(tmp_path: Path, suffix: str) -> None:
    plain, mapped = (tmp_path / f"{name}.{suffix}" for name in ("plain", "mapped"))
    tx.draw(gpt(1), plain, inputs=(TOKENS,))
    tx.draw(gpt(1), mapped, inputs=(TOKENS,), overlay="attention")
    assert mapped.stat().st_size > plain.stat().st_size
    assert mapped.read_bytes()[:4] in (b"\x89PNG", b"%PDF")


@pytest.mark.parametrize("program", ["dot", "graphviz-pure"])
def test_no_name_beside_a_map_is_markup(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "RENDERERS", (program,))
    try:
        render.renderer()
    except DrawError:
        pytest.skip(f"{program} is not installed")
    names = [
        "</TD></TR></TABLE>>];x[label=y",
        '"a"\\N\\G\\',
        "<B>b</B> & c",
        "\x00\x1bé漢",
        "]]>",
        " ",
    ]
    for name, other in itertools.product(names, names[:2]):
        maps = HeatMaps(((name, (HeatMap(other, ((0.5,),), name),)),), 1.0, (name,))
        picture = Picture("p", {"b": Box("b", other, "attention", (), (name,), maps=maps)}, [])
        root = ET.fromstring(render.Drawing(picture).svg)
        groups = [e for e in root.iter() if e.get("class") == "node"]
        assert len(groups) == 1
        texts = {"".join(e.itertext()).strip() for e in groups[0].iter() if e.tag.endswith("text")}
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
        assert {shown.strip(), other} <= texts | {""}
