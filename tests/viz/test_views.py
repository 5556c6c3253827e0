"""Views and overlays by their boxes and arrows, not by their text."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from typer.testing import CliRunner

import tinygrad_tx as tx
from tinygrad_tx.cli import draw as draw_command
from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import DrawError
from tinygrad_tx.viz.dot import dot_of, id_of
from tinygrad_tx.viz.mermaid import mermaid_of
from tinygrad_tx.viz.page import page_of
from tinygrad_tx.viz.picture import Arrow, Box, Picture
from tinygrad_tx.viz.render import Drawing, Plot
from tinygrad_tx.viz.shorten import shortened
from tinygrad_tx.viz.theme import THEMES
from tinygrad_tx.viz.views import VIEWS, WHOLE

TOKENS = np.zeros((2, 8), np.int64)


def gpt(layers: int = 3) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(17, 8, layers, 2, 32))


def drawn(target: Any, **options: Any) -> Picture:
    drawing = tx.draw(target, **options)
    assert isinstance(drawing, Drawing)
    return drawing.picture


def titles(picture: Picture, frame: str) -> list[str]:
    return [box.title for box in picture.boxes.values() if ".".join(box.frame).startswith(frame)]


def test_every_view_is_made_somewhere_and_told_to_readers() -> None:
    elsewhere = {"blocks", "gradient", "memory", "pipeline"}
    assert set(VIEWS) == WHOLE.keys() | elsewhere
    for name in VIEWS:
        assert f'"{name}"' in str(tx.draw.__doc__)
        assert name in draw_command.VIEWS


def test_the_backward_pass_mirrors_the_forward_pass() -> None:
    picture = drawn(gpt(4), view="gradient", inputs=(TOKENS,))
    modules = {"Feed Forward", "Multi Head Attention"}
    assert modules <= set(titles(picture, "forward.blocks"))
    assert modules <= set(titles(picture, "backward.blocks"))
    inner = [t for f, t in picture.frames.items() if f[0] == "backward" and len(f) == 2]
    assert [t for t in inner if "Block" in t] == ["Block  × 4"]
    saved = [a for a in picture.arrows if a.link == "saved"]
    assert saved
    for arrow in saved:
        ends = picture.boxes[arrow.source], picture.boxes[arrow.target]
        assert [b.frame[0] for b in ends] == ["forward", "backward"]
        assert ends[0].title == ends[1].title
    assert all(a.link == "back" for a in picture.arrows if "backward" in a.source)


def test_a_program_shows_every_step_and_who_waits_for_whom() -> None:
    step = tx.jit(lambda x: tx.softmax(tx.gelu(x) @ x.T))
    x = np.ones((4, 4), np.float32)
    program = step.plan(x).program
    picture = drawn(step, view="program", inputs=(x,))
    assert len(picture.boxes) == len(program.steps)
    order = {key: i for i, key in enumerate(picture.boxes)}
    assert picture.arrows
    assert all(order[a.source] < order[a.target] for a in picture.arrows)


def test_memory_over_time_is_a_plot(tmp_path: Path) -> None:
    plot = tx.draw(gpt(1), tmp_path / "memory.svg", view="memory", inputs=(TOKENS,))
    assert isinstance(plot, Plot)
    assert "<svg" in (tmp_path / "memory.svg").read_text()
    with pytest.raises(DrawError, match="no graph"):
        plot.save(tmp_path / "memory.dot")


@pytest.mark.parametrize("overlay", ["parameters", "flops", "bytes", "memory"])
@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_overlays_colour_boxes_from_least_to_most(overlay: str, view: Any) -> None:
    boxes = drawn(gpt(1), view=view, inputs=(TOKENS,), overlay=overlay).boxes.values()
    heats = [box.heat for box in boxes if box.heat is not None]
    assert max(heats) == 1.0
    assert min(heats) >= 0.0


def test_parameters_of_all_boxes_are_those_of_the_model() -> None:
    model = gpt(2)
    found = drawn(model, inputs=(TOKENS,), overlay="parameters", depth=2).boxes.values()
    words = [line for box in found for line in box.lines if "parameters" in line]
    per_block = sum(p.size for n, p in model.named_parameters() if n.startswith("blocks.0."))
    inside = [b for b in found if b.frame[:1] == ("blocks.0",)]
    counted = 0.0
    for line in (line for b in inside for line in b.lines if "parameters" in line):
        number, unit = line.split(" ", 1)
        counted += float(number) * (1000 if unit.startswith("k") else 1)
    assert words
    assert counted == pytest.approx(per_block, rel=0.01)


def test_flops_of_a_product_are_those_of_its_sizes() -> None:
    x, w = tx.ones((8, 32)), tx.ones((32, 125))
    (box,) = [
        b for b in drawn(x @ w, view="ops", overlay="flops").boxes.values() if b.title == "matmul"
    ]
    assert box.lines == ("64 kFLOP",)


def test_own_figures_by_module_path() -> None:
    values = {"blocks.0.attention": 3.0, "embedding": np.array([1.0, -2.0])}
    boxes = drawn(gpt(1), inputs=(TOKENS,), overlay=values).boxes
    assert boxes["box blocks.0.attention"].heat == 1.0
    assert boxes["box embedding"].heat == 0.5
    assert sum(b.heat is not None for b in boxes.values()) == 2


@pytest.mark.slow
def test_measured_time_sums_to_the_step() -> None:
    picture = drawn(gpt(1), inputs=(TOKENS,), overlay="time")
    assert "a call" in picture.note
    assert sum(b.heat is not None for b in picture.boxes.values()) >= 4


def test_chinese_titles_and_both_themes() -> None:
    chinese = tx.draw(gpt(1), inputs=(TOKENS,), lang="zh").dot
    assert "多头注意力" in chinese
    assert "嵌入" in chinese
    for name, theme in THEMES.items():
        assert theme.paper in tx.draw(gpt(1), inputs=(TOKENS,), theme=name).dot


def test_a_small_change_is_a_small_difference() -> None:
    """One more block leaves every line of the drawing but the count as it was."""
    before, after = (set(tx.draw(gpt(n), inputs=(TOKENS,)).dot.splitlines()) for n in (3, 4))
    assert len(before ^ after) <= 2


def test_graphs_too_large_are_shortened_and_say_so() -> None:
    x = tx.ones((2,))
    for _ in range(20_000):
        x = x * 0.999
    picture = drawn(x, view="ops")
    assert len(picture.boxes) <= 600
    assert "drawn as" in picture.note
    keys = set(picture.boxes)
    assert all(a.source in keys and a.target in keys for a in picture.arrows)
    # Still one chain from the data to the result.
    assert len(picture.arrows) == len(picture.boxes) - 1


def test_inner_frames_close_first() -> None:
    boxes = {f"b{i}": Box(f"b{i}", "b", "other", ("outer", f"inner{i // 5}")) for i in range(20)}
    arrows = [Arrow(f"b{i}", f"b{i + 1}") for i in range(19)]
    small = shortened(Picture("p", boxes, arrows), 4)
    assert [b.title for b in small.boxes.values()] == [f"inner{i}" for i in range(4)]
    assert all(b.lines == ("5 boxes",) for b in small.boxes.values())
    assert len(small.arrows) == 3


def read_mermaid(text: str) -> tuple[set[str], list[tuple[str, str]], int, int]:
    """Nodes, arrows, subgraphs and ends of a flowchart that `mermaid_of` wrote."""
    nodes = set(re.findall(r"^\s*(n\d+)[(\[]", text, re.M))
    arrows = re.findall(r"^\s*(n\d+) (?:-->|-\.->|---)(?:\|[^|]*\|)? (n\d+)$", text, re.M)
    return nodes, arrows, text.count("subgraph "), len(re.findall(r"^\s*end$", text, re.M))


def test_mermaid_holds_the_same_boxes_and_arrows() -> None:
    picture = drawn(gpt(3), inputs=(TOKENS,), depth=2, overlay="shapes")
    nodes, arrows, opened, closed = read_mermaid(mermaid_of(picture))
    assert len(nodes) == len(picture.boxes)
    assert len(arrows) == len(picture.arrows)
    assert opened == closed == len(picture.frames)


def test_frames_whose_names_are_all_signs_are_different_subgraphs() -> None:
    paths = [("-",), ("+",), ("+", "a.b"), ("+", "a-b"), ("+_a",)]
    frames: dict[tuple[str, ...], str] = dict.fromkeys(paths, "words")
    boxes = {f"k{i}": Box(f"k{i}", "box", "other", frame) for i, frame in enumerate(frames)}
    names = re.findall(r"subgraph (\w+)\[", mermaid_of(Picture("p", boxes, [], frames)))
    assert len(names) == len(set(names)) == len(frames)


HOSTILE = st.text(
    st.sampled_from("\"'<>&;#`|\\\n{}[]()=-ab é漢👩\u202e") | st.characters(codec="utf-8"),
    max_size=30,
)


@given(title=HOSTILE, line=HOSTILE, key=HOSTILE)
@settings(max_examples=150, deadline=None)
def test_no_name_breaks_a_format(title: str, line: str, key: str) -> None:
    box = Box(f"k {key}", title, "other", (), (line,), (("fact", line),))
    picture = Picture(
        title, {box.key: box, "z": Box("z", "z", "other")}, [Arrow(box.key, "z", line)]
    )
    nodes, arrows, _, _ = read_mermaid(mermaid_of(picture))
    assert (len(nodes), len(arrows)) == (2, 1)
    dot = dot_of(picture)
    assert f"{id_of(box.key)} -> z" in dot
    page = page_of([(picture, "<svg viewBox='0 0 1 1'></svg>")])
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    data = page.split('id="data">')[1].split("</script>")[0]
    known = json.loads(data)
    number, *_ = known["sheets"][0]["boxes"][id_of(box.key)]
    assert known["facts"][number][0] == title.replace("  × ", " × ")


def test_the_command_draws_and_refuses(tmp_path: Path) -> None:
    sizes = ["--layers", "2", "--heads", "2", "--width", "16", "--context", "8"]
    out = tmp_path / "model.html"
    done = CliRunner().invoke(app, ["draw", *sizes, "--out", str(out), "--overlay", "parameters"])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("<!DOCTYPE html>")
    for words in (["--view", "colour"], ["--out", str(tmp_path / "a.bmp")], ["--lang", "xx"]):
        refused = CliRunner().invoke(app, ["draw", *sizes, *words])
        assert isinstance(refused.exception, DrawError)


def test_attention_opens_into_what_it_computes() -> None:
    """Figure 2 of Vaswani et al. 2017: product, scale, mask, softmax, product."""
    picture = drawn(gpt(1), inputs=(TOKENS,), depth=3)
    inside = {k: b for k, b in picture.boxes.items() if "scaled_dot_product_attention" in b.frame}
    lines = [box.lines[0] if box.lines else box.title for box in inside.values()]
    assert lines == ["scores", "Scale", "Mask", "pattern", "context"]
    order = list(inside)
    arrows = {(a.source, a.target) for a in picture.arrows}
    assert all(pair in arrows for pair in itertools.pairwise(order))
    closed = drawn(gpt(1), inputs=(TOKENS,), depth=2)
    assert sum(box.title == "Attention" for box in closed.boxes.values()) == 1


PARSE = """
import { createRequire } from "module"; import fs from "fs"; import { pathToFileURL } from "url";
const find = createRequire(process.argv[2] + "/");
const { JSDOM } = find("jsdom");
globalThis.window = new JSDOM("<body></body>").window; globalThis.document = window.document;
const { default: mermaid } = await import(pathToFileURL(find.resolve("mermaid")));
for (const file of process.argv.slice(3)) await mermaid.parse(fs.readFileSync(file, "utf8"));
console.log("parsed");
"""


@pytest.mark.slow
@pytest.mark.skipif(
    "MERMAID" not in os.environ, reason="needs MERMAID=folder with npm's mermaid and jsdom"
)
def test_mermaid_reads_our_text(tmp_path: Path) -> None:
    (tmp_path / "parse.mjs").write_text(PARSE)
    files = []
    for number, options in enumerate(({"depth": 3}, {"view": "ops"}, {"view": "gradient"})):
        files.append(str(tmp_path / f"{number}.mmd"))
        tx.draw(gpt(2), files[-1], inputs=(TOKENS,), **options)  # type: ignore[arg-type]  # as given
    title = "\"'<b>&;#`|\\\n{}[]()=-%% end subgraph é漢"
    hostile = Picture(title, {"end": Box("end", title, "data", ("end",), (title,))}, [])
    files.append(str(tmp_path / "hostile.mmd"))
    Path(files[-1]).write_text(mermaid_of(hostile))
    command = ["node", str(tmp_path / "parse.mjs"), os.environ["MERMAID"], *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "parsed", done.stderr
