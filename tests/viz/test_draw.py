"""Pictures are made from the graph, on any machine, and a failing renderer loses nothing."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import DrawError
from tinygrad_tx.viz import Drawing, render

TOKENS = np.zeros((2, 8), np.int64)
Fake = Callable[[str], None]


def gpt(layers: int = 3) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(17, 8, layers, 2, 32))


@pytest.fixture
def fake_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a program called `dot` that runs the given shell lines before all others."""

    def install(lines: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "dot"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install


def test_repeated_blocks_are_drawn_once_with_their_number() -> None:
    dot = tx.draw(gpt(3), inputs=(TOKENS,)).dot
    assert dot.count("subgraph") == 1
    assert "× 3" in dot
    assert sum("Feed Forward" in line and "box_" in line for line in dot.splitlines()) == 1
    assert "× " not in tx.draw(gpt(1), inputs=(TOKENS,)).dot


def test_a_block_that_differs_stands_for_itself() -> None:
    class Doubled(tx.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(0)
            sizes = [(4, 4), (4, 4), (4, 6), (6, 6), (6, 6), (6, 6)]
            self.layers = tx.nn.ModuleList([tx.nn.Linear(a, b, rng) for a, b in sizes])

        def forward(self, x: tx.Tensor) -> tx.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

    dot = tx.draw(Doubled(), inputs=(tx.ones((2, 4)),)).dot
    assert dot.count("Linear") == 3
    assert "Linear  × 2" in dot
    assert "Linear  × 3" in dot


def test_every_block_that_reads_from_outside_keeps_its_arrow() -> None:
    """As the decoder of Vaswani et al. 2017: each block reads the same encoder output."""

    class Decoder(tx.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(0)
            self.encoder = tx.nn.Linear(4, 4, rng)
            self.blocks = tx.nn.ModuleList([tx.nn.Linear(4, 4, rng) for _ in range(3)])

        def forward(self, x: tx.Tensor, memory: tx.Tensor) -> tx.Tensor:
            encoded = self.encoder(memory)
            for block in self.blocks:
                x = block(x + encoded)
            return x

    dot = tx.draw(Decoder(), inputs=(tx.ones((2, 4)), tx.ones((2, 4)))).dot
    # The sums stand outside of the blocks, so that the blocks are not fed by each other alone.
    assert dot.count("box_encoder ->") == 3


def test_tied_weights_show_as_a_dashed_arrow() -> None:
    dot = tx.draw(gpt(), inputs=(TOKENS,)).dot
    (line,) = [line for line in dot.splitlines() if "same weights" in line]
    assert "box_embedding ->" in line
    assert "dashed" in line


def test_a_module_is_called_what_it_wants_to_be_called() -> None:
    model = gpt(2)
    model.title = "our GPT"
    model.norm.title = "last norm_2"
    for block in model.blocks:
        block.attention.title = "Mixing"
    picture = tx.draw(model, inputs=(TOKENS,)).picture
    boxes = {box.key: (box.title, box.lines) for box in picture.boxes.values()}
    assert picture.title == "our GPT"
    assert boxes["box norm"] == ("last norm_2", ())
    (mixing,) = [lines for title, lines in boxes.values() if title == "Mixing"]
    assert mixing == ()
    assert ("Layer Norm", ("attention norm",)) in boxes.values()


def test_depth_opens_and_closes_modules() -> None:
    counts = [tx.draw(gpt(), inputs=(TOKENS,), depth=d).dot.count("subgraph") for d in (0, 1, 2)]
    assert counts == [0, 1, 3]
    opened = tx.draw(gpt(), inputs=(TOKENS,), depth=2).dot
    assert "GELU" in opened
    assert "qkv" in opened


def test_shapes_are_those_of_the_graph() -> None:
    dot = tx.draw(gpt(), inputs=(TOKENS,), overlay="shapes").dot
    assert "2×8×32" in dot
    assert "2×8×17" in dot
    plain = tx.draw(gpt(1), inputs=(TOKENS,)).picture
    assert not any(arrow.label for arrow in plain.arrows if arrow.link == "flow")


def test_drawing_twice_gives_the_same_text() -> None:
    first, second = (tx.draw(gpt(), inputs=(TOKENS,), overlay="shapes").dot for _ in range(2))
    assert first == second


def test_ops_view_shows_every_operation_of_a_tensor() -> None:
    x = tx.tensor([[1.0, 2.0]])
    dot = tx.draw((tx.exp(x) * 3.0).sum(), view="ops").dot
    for name in ("exp", "multiply", "sum"):
        assert name in dot


def test_a_captured_training_step_can_be_drawn() -> None:
    model = gpt(1)
    optimizer = tx.optim.SGD(model.parameters(), 0.1)

    @tx.jit
    def step(x: tx.Tensor, y: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        optimizer.step()
        return loss

    dot = tx.draw(step, view="ops", inputs=(TOKENS, TOKENS)).dot
    assert "cross_entropy_gradient" in dot


@pytest.mark.parametrize("suffix", ["svg", "png", "dot"])
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model.{suffix}"
    drawing = tx.draw(gpt(), path, inputs=(TOKENS,))
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "dot": b"digraph"}
    assert path.read_bytes().startswith(starts[suffix])
    assert (tmp_path / "model.dot").read_text() == drawing.dot


def test_pdf_needs_dot_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "RENDERERS", ("graphviz-pure",))
    with pytest.raises(DrawError, match=r"install Graphviz, whose dot writes pdf, or write \.svg"):
        tx.draw(gpt(), tmp_path / "model.pdf", inputs=(TOKENS,))


def test_svg_is_well_formed_and_holds_the_words() -> None:
    root = ET.fromstring(tx.draw(gpt(), inputs=(TOKENS,))._repr_svg_())
    assert "Feed Forward" in "".join(root.itertext())


def test_graphviz_pure_serves_where_dot_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Path(render.renderer()).name == "graphviz-pure"
    assert "<svg" in tx.draw(gpt(), inputs=(TOKENS,)).svg


def test_dot_comes_first_where_it_is_installed(fake_dot: Fake) -> None:
    fake_dot("cat > /dev/null; echo '<svg>drawn by dot</svg>'")
    assert tx.draw(gpt(), inputs=(TOKENS,)).svg == "<svg>drawn by dot</svg>\n"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("kill -9 $$", "signal 9"),
        ("echo 'syntax error in line 3' >&2; exit 1", "syntax error in line 3"),
        ("exit 0", "no picture"),
    ],
)
def test_a_dying_dot_leaves_the_source_and_says_so(
    tmp_path: Path, fake_dot: Fake, lines: str, words: str
) -> None:
    fake_dot(lines)
    path = tmp_path / "model.svg"
    path.write_text("the picture of yesterday")
    with pytest.raises(DrawError, match=words) as caught:
        tx.draw(gpt(), path, inputs=(TOKENS,))
    assert str(tmp_path / "model.dot") in str(caught.value)
    assert str(tmp_path / "bin" / "dot") in str(caught.value)
    assert (tmp_path / "model.dot").read_text().startswith("digraph")
    assert path.read_text() == "the picture of yesterday"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "model.dot", "model.svg"]


def test_a_hanging_dot_is_stopped(fake_dot: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot("exec sleep 600")
    monkeypatch.setattr(render, "TIMEOUT_SECONDS", 0.3)
    with (
        pytest.warns(UserWarning, match="Drawing less"),
        pytest.raises(DrawError, match="stopped after"),
    ):
        _ = tx.draw(gpt(), inputs=(TOKENS,)).svg


def test_no_renderer_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "RENDERERS", ())
    with pytest.raises(DrawError, match="install"):
        _ = tx.draw(gpt(), inputs=(TOKENS,)).svg


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"view": "maps"}, "view"),
        ({"overlay": "colours"}, "overlay"),
        ({"depth": -1}, "depth"),
        ({"path": "model.jpeg"}, "model.jpeg"),
        ({"path": "/nonexistent/model.svg"}, "cannot write"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(DrawError, match=words):
        tx.draw(gpt(), **{"inputs": (TOKENS,), **arguments})  # type: ignore[arg-type]  # some wrong


def test_what_has_no_graph_is_refused() -> None:
    with pytest.raises(DrawError, match="inputs="):
        tx.draw(tx.nn.LayerNorm(4))
    with pytest.raises(DrawError, match="no graph"):
        tx.draw("a string")


def test_a_plain_function_is_drawn_as_the_recorded_one_is() -> None:
    def attention(q: tx.Tensor, k: tx.Tensor) -> tx.Tensor:
        return tx.softmax(q @ k.mT) * 2

    q = np.zeros((3, 4), np.float32)
    plain = tx.draw(attention, inputs=(q, q), view="ops")
    assert isinstance(plain, Drawing)
    assert {b.title for b in plain.picture.boxes.values()} >= {"matmul", "softmax"}
    assert plain.dot == tx.draw(tx.jit(attention), inputs=(q, q), view="ops").dot


def test_a_function_without_inputs_is_told_to_give_some() -> None:
    with pytest.raises(DrawError, match=r"function has no graph.*inputs="):
        tx.draw(lambda x: x)
