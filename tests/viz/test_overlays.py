"""Overlays of real inputs against NumPy in float64 and `.grad` after backward; the command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tinygrad_tx as tx
from tests.viz.measured import (
    HEADS,
    LAYERS,
    RNG,
    TARGETS,
    TIME,
    TOKENS,
    VOCAB,
    WIDTH,
    computed,
    drawn,
    facts,
    gpt,
)
from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import DrawError, GraphError
from tinygrad_tx.models.presets import abstract
from tinygrad_tx.runtime import values
from tinygrad_tx.runtime.buffer import realized
from tinygrad_tx.viz.dot import dot_of
from tinygrad_tx.viz.overlay import FROM_VALUES
from tinygrad_tx.viz.readings import heats
from tinygrad_tx.viz.statistics import Summary, summary_of

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
