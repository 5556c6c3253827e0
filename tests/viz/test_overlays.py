"""Overlays of real inputs against NumPy in float64, `.grad` after backward, and planted flaws."""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tinygrad_tx as tx
from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import DrawError, GraphError
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.models.presets import abstract
from tinygrad_tx.runtime import values
from tinygrad_tx.runtime.buffer import realized
from tinygrad_tx.runtime.not_finite import first_not_finite
from tinygrad_tx.viz import render
from tinygrad_tx.viz.attention_maps import pattern_of_head, pooled
from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.heatmaps import HeatMap, HeatMaps
from tinygrad_tx.viz.overlay import FROM_VALUES
from tinygrad_tx.viz.picture import Box, Picture
from tinygrad_tx.viz.readings import heats
from tinygrad_tx.viz.statistics import Summary, summary_of
from tinygrad_tx.viz.theme import THEMES

Wide = np.ndarray[Any, np.dtype[np.float64]]

LAYERS, HEADS, WIDTH, TIME, VOCAB = 3, 2, 16, 8, 17
RNG = np.random.default_rng(7)
TOKENS = RNG.integers(0, VOCAB, (2, TIME))
TARGETS = RNG.integers(0, VOCAB, (2, TIME))


def gpt(layers: int = LAYERS, heads: int = HEADS, context: int = TIME) -> tx.models.GPT:
    """With weights large enough for attention that is far from uniform."""
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, context, layers, heads, WIDTH))
    rng = np.random.default_rng(3)
    for name, p in model.named_parameters():
        if "norm" not in name:
            p.assign_(rng.normal(size=p.shape, scale=0.5).astype(np.float32))
    return model


def drawn(target: Any, **options: Any) -> Picture:
    drawing = tx.draw(target, **options)
    assert isinstance(drawing, tx.viz.Drawing)
    return drawing.picture


def facts(box: Box, name: str) -> list[float]:
    (value,) = [v for n, v in box.facts if n == name]
    return [float(v) for v in value.split(", ")]


def computed(model: tx.models.GPT, tokens: Any) -> dict[str, list[Wide]]:
    """The residual stream, what the parts add, the pattern and the logits, from the weights."""
    w = {name: p.numpy().astype(np.float64) for name, p in model.named_parameters()}

    def norm(x: Wide, name: str) -> Wide:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def linear(x: Wide, name: str) -> Wide:
        return np.asarray(x @ w[f"{name}.weight"] + w[f"{name}.bias"])

    batch, time = tokens.shape
    heads = model.config.heads
    found: dict[str, list[Wide]] = {k: [] for k in ("attention", "pattern", "feed_forward", "sum")}
    h = w["embedding.weight"][tokens] + w["position.weight"][:time]
    for layer in range(model.config.layers):
        block = f"blocks.{layer}"
        qkv = linear(norm(h, f"{block}.attention_norm"), f"{block}.attention.qkv")
        split = qkv.reshape(batch, time, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        scores = split[0] @ split[1].swapaxes(-1, -2) / math.sqrt(split.shape[-1])
        scores[..., np.triu(np.ones((time, time), bool), 1)] = -np.inf
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        pattern = powers / powers.sum(-1, keepdims=True)
        context = (pattern @ split[2]).transpose(0, 2, 1, 3).reshape(batch, time, -1)
        found["pattern"].append(pattern)
        found["attention"].append(linear(context, f"{block}.attention.projection"))
        h = h + found["attention"][-1]
        up = linear(norm(h, f"{block}.feed_forward_norm"), f"{block}.feed_forward.up")
        gelu = up * 0.5 * (1 + np.vectorize(math.erf)(up / math.sqrt(2)))
        found["feed_forward"].append(linear(gelu, f"{block}.feed_forward.down"))
        h = h + found["feed_forward"][-1]
        found["sum"].append(h)
    found["logits"] = [norm(h, "norm") @ w["embedding.weight"].T]
    return found


# Statistics


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("box blocks.0.attention", "attention"),
        ("box blocks.0.feed_forward", "feed_forward"),
        ("op blocks.0 add 2", "sum"),
        ("op  matmul 1", "logits"),
        ("output 0", "logits"),
    ],
)
def test_statistics_are_those_of_every_block_that_a_box_stands_for(key: str, name: str) -> None:
    model = gpt()
    truth = computed(model, TOKENS)[name]
    box = drawn(model, inputs=(TOKENS,), overlay="statistics").boxes[key]
    for fact, figure in (
        ("mean", np.mean),
        ("standard deviation", np.std),
        ("greatest magnitude", lambda x: np.abs(x).max()),
    ):
        wanted = [float(figure(x)) for x in truth]  # type: ignore[operator]  # NumPy's own
        assert facts(box, fact) == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_only_what_leaves_a_box_is_measured() -> None:
    class Part(tx.nn.Module):
        def forward(self, x: tx.Tensor) -> tx.Tensor:
            return tx.relu(x * 1000.0) * 0.001

    class Model(tx.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Part()

        def forward(self, x: tx.Tensor) -> tx.Tensor:
            return self.part(x) + 1.0  # type: ignore[no-any-return]

    boxes = drawn(Model(), inputs=(np.array([1.0, -2.0]),), overlay="statistics", depth=0).boxes
    assert facts(boxes["box part"], "greatest magnitude") == [pytest.approx(1.0)]


@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_the_share_of_zeros_of_a_relu_is_said(view: Any) -> None:
    x = tx.tensor([-1.0, -2.0, -3.0, 0.5], requires_grad=True)
    boxes = drawn(tx.relu(x) * 1.0 + 2.0, view=view, overlay="statistics").boxes.values()
    said = [line for box in boxes if "relu" in box.key for line in box.lines if "zeros" in line]
    assert said[:1] == ["zeros: 75 %"]


def test_what_is_not_finite_is_counted_and_left_out_of_the_figures() -> None:
    x = tx.tensor([1.0, 3.0, -1.0, 0.0])
    boxes = drawn(tx.log(x), view="ops", overlay="statistics").boxes
    (box,) = [b for b in boxes.values() if b.title == "log"]
    assert "not finite: 2 / 4" in box.lines
    assert facts(box, "mean") == [pytest.approx(math.log(3) / 2, rel=1e-3)]
    assert box.marked


def test_the_infinities_of_a_mask_are_no_finding() -> None:
    boxes = drawn(gpt(1), inputs=(TOKENS,), overlay="statistics", depth=3).boxes.values()
    (mask,) = [b for b in boxes if b.title == "Mask"]
    hidden = 2 * HEADS * TIME * (TIME - 1) // 2
    assert f"masked: {hidden} / {2 * HEADS * TIME * TIME}" in mask.lines
    assert not any(b.marked for b in boxes)


def test_a_summary_of_parts_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygrad_tx.viz.statistics._CHUNK", 7)
    x = RNG.normal(loc=1e3, size=100)
    x[[3, 50]] = np.nan, np.inf
    real = x[np.isfinite(x)]
    found = summary_of(x)
    assert (found.count, found.not_finite, found.zeros) == (98, 2, 0)
    assert found.mean == pytest.approx(real.mean(), rel=1e-12)
    assert found.deviation == pytest.approx(real.std(), rel=1e-9)
    assert found.greatest == np.abs(real).max()
    assert Summary().joined(Summary()) == Summary()


# Attention


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


# Gradients


def test_norms_of_weights_are_those_of_grad_after_backward() -> None:
    model = gpt()
    boxes = drawn(model, inputs=(TOKENS, TARGETS), overlay="gradients").boxes
    model.loss(TOKENS, TARGETS).backward()
    grads = {n: p.grad.numpy().astype(np.float64) for n, p in model.named_parameters()}
    for part in ("attention", "attention_norm", "feed_forward"):
        wanted = [
            math.sqrt(
                sum(float(np.square(g).sum()) for n, g in grads.items() if n.startswith(f"{path}."))
            )
            for path in (f"blocks.{layer}.{part}" for layer in range(LAYERS))
        ]
        found = facts(boxes[f"box blocks.0.{part}"], "gradient of weights")
        assert found == pytest.approx(wanted, rel=1e-3)


class Probed(tx.nn.Module):
    """A chain with a parameter of zeros behind each part: its gradient is that of the part."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.second = (tx.nn.Linear(4, 4, rng, deviation=1.0) for _ in range(2))
        self.probe = tx.zeros((3, 4)).requires_grad_()

    def forward(self, x: tx.Tensor) -> tx.Tensor:
        return self.second(tx.gelu(self.first(x) + self.probe))  # type: ignore[no-any-return]

    def loss(self, x: tx.Tensor, scale: tx.Tensor) -> tx.Tensor:
        return (self(x) ** 2 * scale).sum()


@pytest.mark.parametrize("view", ["blocks", "gradient"])
@pytest.mark.parametrize("with_loss", [True, False])
def test_norms_at_outputs_are_those_of_a_zero_added_there(view: Any, with_loss: bool) -> None:
    model = Probed()
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    inputs = (x, np.full((3, 4), 0.3, np.float32)) if with_loss else (x,)
    picture = drawn(model, view=view, inputs=inputs, overlay="gradients")
    (model.loss(*map(tx.tensor, inputs)) if with_loss else model(tx.tensor(x)).sum()).backward()
    assert model.probe.grad is not None
    wanted = float(np.linalg.norm(model.probe.grad.numpy()))
    side = "forward." if view == "gradient" else ""
    box = picture.boxes[f"box {side}first"]
    assert facts(box, "gradient of output") == [pytest.approx(wanted, rel=1e-3)]
    said = "model.loss(x, scale)" if with_loss else "the sum of the outputs"
    assert said in picture.note


def test_the_gradient_view_has_no_figures_in_the_backward_pass() -> None:
    boxes = drawn(gpt(1), view="gradient", inputs=(TOKENS, TARGETS), overlay="gradients").boxes
    named = [b for b in boxes.values() if any(n.startswith("gradient of") for n, _ in b.facts)]
    assert {b.frame[0] for b in named} == {"forward"}


def test_dropout_is_drawn_with_the_draws_of_its_loss() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, TIME, 1, 2, WIDTH, dropout=0.5))
    picture = drawn(model, inputs=(TOKENS, TARGETS), overlay="gradients")
    assert "model.loss(tokens, targets)" in picture.note
    assert "forward" not in vars(model)
    for key in ("box blocks.0.attention", "box blocks.0.feed_forward"):
        assert facts(picture.boxes[key], "gradient of output")[0] > 0


def test_gradients_that_vanish_or_are_not_finite_are_marked() -> None:
    class Cut(tx.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(0)
            self.dead, self.bad, self.good = (tx.nn.Linear(2, 2, rng) for _ in range(3))

        def forward(self, x: tx.Tensor) -> tx.Tensor:
            dead, bad = self.dead(x) * 0.0, tx.sqrt(self.bad(x) * 0.0)
            return dead + bad + self.good(x)  # type: ignore[no-any-return]

    boxes = drawn(Cut(), inputs=(np.ones((1, 2), np.float32),), overlay="gradients").boxes
    assert "gradient vanishes" in boxes["box dead"].lines
    assert "gradient not finite" in boxes["box bad"].lines
    assert [boxes[f"box {n}"].marked for n in ("dead", "bad", "good")] == [True, True, False]


def test_no_gradient_is_refused() -> None:
    with pytest.raises(DrawError, match="nothing here has a gradient"):
        tx.draw(tx.argmax(tx.ones((3,)), axis=0), overlay="gradients")


def test_wide_ranges_are_shown_by_orders_of_magnitude() -> None:
    found, scale = heats({"a": 1e-6, "b": 1e-3, "c": 1.0, "zero": 0.0, "bad": math.nan})
    assert scale == "log scale"
    assert found == pytest.approx({"a": 0, "b": 0.5, "c": 1, "zero": 0, "bad": 0})
    assert heats({"a": 1.0, "b": 2.0}) == ({"a": 0.5, "b": 1.0}, "linear scale")


# The first NaN


@pytest.mark.parametrize(
    ("weight", "key"),
    [
        ("blocks.1.feed_forward.up.weight", "box blocks.0.feed_forward"),
        ("blocks.2.attention.qkv.bias", "box blocks.0.attention"),
        ("norm.weight", "box norm"),
        ("position.weight", "box position"),
        ("embedding.weight", "box embedding"),  # tied: the logits read it too
    ],
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bad_weight_is_found_in_the_box_that_holds_it(
    weight: str, key: str, value: float
) -> None:
    model = gpt()
    parameter = dict(model.named_parameters())[weight]
    array = parameter.numpy().copy()
    array.flat[3] = value
    parameter.assign_(array)
    picture = drawn(model, inputs=(TOKENS,), overlay="nan")
    assert [k for k, box in picture.boxes.items() if box.marked] == [key]
    for part in (weight, f"not finite: 1 / {array.size:,}", str(value)):
        assert part in picture.note
        assert part in " ".join(picture.boxes[key].lines)


@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_a_bad_product_is_found_where_it_arises_with_its_place(view: Any) -> None:
    x = tx.tensor([[1e30, 1.0], [1.0, 1.0]])
    product = x @ x
    picture = drawn(tx.exp(product - product), view=view, overlay="nan")
    (box,) = [b for b in picture.boxes.values() if b.marked]
    assert "matmul" in box.key
    assert "not finite: 1 / 4" in box.lines
    assert "inf at (0, 0)" in box.lines
    assert "test_overlays.py" in picture.note


def test_a_flaw_of_the_backward_pass_is_found_there() -> None:
    x = tx.tensor([0.0, 1.0], requires_grad=True)
    picture = drawn(tx.sqrt(x) * 2.0, view="gradient", overlay="nan")
    assert [key for key, box in picture.boxes.items() if box.marked] == ["box backward"]


def test_all_finite_is_said_and_masks_are_no_finding() -> None:
    picture = drawn(gpt(1), inputs=(TOKENS,), overlay="nan", depth=3)
    assert picture.note == "every value is finite"
    assert not any(box.marked for box in picture.boxes.values())
    q = RNG.normal(size=(1, 1, 4, 4)).astype(np.float32)
    out = tx.attention(q, q, q, mask=np.tri(4, dtype=bool), bias=tx.tensor(q) * 2.0)
    assert first_not_finite([out.node]) is None


def test_a_nan_under_a_mask_is_still_found() -> None:
    hidden = tx.where(np.array([True, False, False]), tx.ones((3,)), float("-inf"))
    found = first_not_finite([(hidden - hidden).node])
    assert found is not None
    assert found.node.op.name == "subtract"
    assert (found.count, found.index) == (2, (1,))
    assert math.isnan(found.value)


def test_a_mark_survives_shortening() -> None:
    x = tx.tensor([1.0, 0.0])
    for step in range(2000):
        x = tx.log(x) if step == 1000 else x * 0.999
    picture = drawn(x, view="ops", overlay="nan")
    assert len(picture.boxes) <= 600
    assert sum(box.marked for box in picture.boxes.values()) == 1


# All of them


@pytest.mark.parametrize("overlay", FROM_VALUES)
@pytest.mark.parametrize("view", ["blocks", "ops", "gradient"])
def test_an_overlay_changes_no_box_and_no_arrow(overlay: str, view: Any) -> None:
    model = gpt(2)
    plain = drawn(model, view=view, inputs=(TOKENS,))
    over = drawn(model, view=view, inputs=(TOKENS,), overlay=overlay)
    assert list(over.boxes) == list(plain.boxes)
    assert over.arrows == plain.arrows
    assert over.frames == plain.frames
    if overlay != "nan":
        assert over.boxes != plain.boxes


@pytest.mark.parametrize("overlay", FROM_VALUES)
def test_values_that_were_looked_at_are_forgotten(overlay: str) -> None:
    model = gpt(2)
    tokens = tx.tensor(TOKENS)
    result = model(tokens)
    before = set(realized)
    tx.draw(result, overlay=overlay)
    assert {n for n in set(realized) - before if n.inputs} == set()


def test_few_values_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "GROUP_BYTES", 3 * 4096)
    x = tx.tensor(np.ones(1024, np.float32))
    nodes = []
    for _ in range(100):
        x = x * 1.01
        nodes.append(x.node)
    held = [sum(n in realized for n in nodes) for _ in values.values_of(nodes)]
    assert len(held) == 100
    assert max(held) <= 4
    found = [float(v[0]) for _, v in values.values_of(nodes)]
    np.testing.assert_allclose(found, 1.01 ** np.arange(1, 101), rtol=1e-5)


def test_who_stops_looking_leaves_nothing_behind() -> None:
    x = tx.tensor(np.ones(4, np.float32)) * 3.0
    look = values.values_of([x.node, (x + 1.0).node])
    next(look)
    assert x.node in realized
    look.close()  # type: ignore[attr-defined]  # a generator
    assert x.node not in realized


@pytest.mark.parametrize("overlay", FROM_VALUES)
def test_a_model_without_values_is_refused(overlay: str) -> None:
    with pytest.raises(GraphError, match="abstract"):
        tx.draw(abstract("gpt2"), inputs=(TOKENS,), overlay=overlay)


def test_a_captured_function_is_measured_on_its_arguments() -> None:
    double = tx.jit(lambda x: tx.require_finite(x * 2.0) + 0.0)
    for size in (1.0, 5.0):
        x = np.full(3, size, np.float32)
        boxes = drawn(double, view="ops", inputs=(x,), overlay="statistics").boxes
        (box,) = [b for b in boxes.values() if b.title.startswith("multiply")]
        assert facts(box, "mean") == [2 * size]
    bad = np.array([1.0, math.nan, 1.0], np.float32)
    assert "not finite: 1 / 3" in drawn(double, view="ops", inputs=(bad,), overlay="nan").note


def test_words_are_translated() -> None:
    dot = dot_of(drawn(gpt(1), inputs=(TOKENS,), overlay="attention"), language="zh")
    assert ">头 0<" in dot
    assert ">head 0<" not in dot


# The command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat and the dog sat on the cat. " * 60)
    out = folder / "run"
    sizes = ["--layers", "1", "--heads", "2", "--width", "16", "--context", "8", "--steps", "2"]
    done = CliRunner().invoke(app, ["train", "--text", str(text), "--out", str(out), *sizes])
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize("overlay", FROM_VALUES)
@pytest.mark.parametrize("given", [["--text", "the dog"], []])
def test_the_command_draws_a_run_on_real_text(
    run: Path, tmp_path: Path, overlay: str, given: list[str]
) -> None:
    out = tmp_path / "model.dot"
    options = ["--overlay", overlay, "--out", str(out), *given]
    done = CliRunner().invoke(app, ["draw", str(run), *options])
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert f"1×{len('the dog') - 1 if given else 8}" in text
    if overlay == "gradients":
        assert "model.loss" in text


def test_the_command_refuses_what_has_no_real_input(run: Path, tmp_path: Path) -> None:
    def refused(*options: str) -> str:
        done = CliRunner().invoke(app, ["draw", *options, "--out", str(tmp_path / "a.dot")])
        assert isinstance(done.exception, Exception)
        return str(done.exception)

    assert "give the run folder" in refused("--overlay", "attention")
    assert "give the run folder" in refused("--text", "words")
    assert "--text" in refused(str(run), "--overlay", "nan", "--text", "")
    moved = run.parent / "text.txt"
    moved.rename(tmp_path / "elsewhere.txt")
    try:
        assert "--text" in refused(str(run), "--overlay", "nan")
    finally:
        (tmp_path / "elsewhere.txt").rename(moved)
