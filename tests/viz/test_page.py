"""What a page is made of: its sheets, its facts, its text; no browser."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.viz.blocks_view import blocks_picture
from tinygrad_tx.viz.facts import place_of
from tinygrad_tx.viz.opened import open_attention
from tinygrad_tx.viz.picture import Arrow, Box, Picture, frames_in
from tinygrad_tx.viz.render import Drawing
from tinygrad_tx.viz.sheets import MOST_PARTS, of_modules, of_whole, sheets_of
from tinygrad_tx.viz.subject import Subject

TOKENS = np.zeros((2, 8), np.int64)


def gpt(layers: int = 3) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(17, 8, layers, 2, 32))


def drawn(target: Any, path: Path | None = None, **options: Any) -> Drawing:
    drawing = tx.draw(target, path, **options)
    assert isinstance(drawing, Drawing)
    return drawing


def box_called(picture: Picture, title: str) -> Box:
    return next(box for box in picture.boxes.values() if box.title == title)


def sheets_of_gpt(layers: int) -> list[Picture]:
    subject = Subject(gpt(layers), (TOKENS,))

    def remake(opened: Any) -> Picture:
        return blocks_picture(open_attention(subject.nodes, opened), subject.names, opened, False)[
            0
        ]

    return sheets_of(remake(1), of_modules(remake))


def test_every_state_of_a_gpt_has_its_sheet_however_many_blocks_there_are() -> None:
    """Block closed; else attention closed, open, or open to its products; feed forward or not."""
    states = [
        {"/".join(frame) for frame in frames_in(picture)} for picture in sheets_of_gpt(layers=5)
    ]
    block, attention = "blocks.0", "blocks.0/attention"
    inside, feed = f"{attention}/scaled_dot_product_attention", f"{block}/feed_forward"
    wanted: list[set[str]] = [set()]
    for deep in ([], [attention], [attention, inside]):
        wanted += [{block, *deep}, {block, feed, *deep}]
    assert sorted(map(sorted, states)) == sorted(map(sorted, wanted))


def test_one_box_opens_alone() -> None:
    subject = Subject(gpt(4), (TOKENS,))
    opened = frozenset(("blocks.*", "blocks.*.attention"))
    picture, _ = blocks_picture(subject.nodes, subject.names, opened, False)
    assert picture.frames[("blocks.0",)].endswith("× 4")
    assert "box blocks.0.feed_forward" in picture.boxes
    assert "box blocks.0.attention" not in picture.boxes
    assert picture.boxes["box blocks.0.feed_forward"].opens == "blocks.*.feed_forward"
    assert picture.boxes["box blocks.0.attention_norm"].opens == ""


def test_a_depth_and_the_modules_above_it_draw_the_same() -> None:
    subject = Subject(gpt(2), (TOKENS,))
    by_depth, _ = blocks_picture(subject.nodes, subject.names, 2, False)
    names = frozenset(("blocks.*", "blocks.*.attention", "blocks.*.feed_forward"))
    by_name, _ = blocks_picture(subject.nodes, subject.names, names, False)
    assert by_depth.boxes == by_name.boxes
    assert by_depth.arrows == by_name.arrows


def test_frames_of_any_picture_fold_each_by_itself() -> None:
    boxes = {f"b{i}": Box(f"b{i}", "b", "other", ("outer", f"inner{i % 3}")) for i in range(9)}
    picture = Picture("p", boxes, [Arrow("b0", "b1"), Arrow("b1", "b5")])
    opening = of_whole(picture)
    states = {opening.of(sheet) for sheet in sheets_of(picture, opening)}
    inner = [f"outer.inner{i}" for i in range(3)]
    subsets = [{n for i, n in enumerate(inner) if bits >> i & 1} for bits in range(8)]
    assert states == {frozenset(), *(frozenset({"outer", *s}) for s in subsets)}


def test_many_sheets_stay_within_their_room() -> None:
    boxes = {f"b{i}": Box(f"b{i}", "b", "other", (f"f{i // 20}", f"g{i // 4}")) for i in range(400)}
    picture = Picture("p", boxes, [Arrow(f"b{i}", f"b{i + 1}") for i in range(399)])
    sheets = sheets_of(picture, of_whole(picture))
    assert sheets[0] is picture
    opening = of_whole(picture)
    alone = {frozenset((f"f{i}",)) for i in range(20)}
    assert alone <= {opening.of(sheet) for sheet in sheets}
    assert sum(len(s.boxes) + len(s.arrows) + len(frames_in(s)) for s in sheets) <= MOST_PARTS


def test_facts_give_the_place_without_the_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "work" / "code" / "step.py"
    monkeypatch.chdir(tmp_path)
    assert place_of(f"{source}:7") == "work/code/step.py:7"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert place_of(f"{source}:7") == "code/step.py:7"
    monkeypatch.chdir("/")  # from here the path would name every folder
    assert place_of(f"{source}:7") == "code/step.py:7"
    assert place_of("<string>:7") == "<string>:7"


def test_a_box_tells_the_parameters_and_the_work_of_its_module() -> None:
    model = gpt(1)
    box = box_called(drawn(model, inputs=(TOKENS,)).picture, "Feed Forward")
    trained = sum(p.size for n, p in model.named_parameters() if ".feed_forward." in n)
    assert dict(box.facts)["parameters"] == f"{trained:,}"
    # Two products of 16 rows, 32 x 128 and 128 x 32, and what little stands between them.
    products = 2 * 2 * 16 * 32 * 128
    number, unit = dict(box.facts)["work"].split(" ")
    assert unit == "kFLOP"
    assert products <= float(number) * 1000 <= 1.2 * products


@pytest.mark.parametrize("renderer", ["dot", "graphviz-pure"])
def test_control_characters_leave_a_readable_svg(
    renderer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if renderer == "dot" and shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed")
    monkeypatch.setattr("tinygrad_tx.viz.render.RENDERERS", (renderer,))
    title = "a\x00b\x08c\x1bd\x7fe\ud800f\ufffeg\rh"
    picture = Picture(title, {"k": Box("k", title, "other", (), (title,), (("f", title),))}, [])
    drawing = Drawing(picture)
    shown = "".join(ET.fromstring(drawing.svg).itertext())
    assert "a␀b␈c␛d␡e�f�g␍h" in shown
    drawing.html.encode()
    drawing.mermaid.encode()


def test_a_page_names_no_address_and_lets_only_its_own_script_run() -> None:
    page = drawn(gpt(1), inputs=(TOKENS,)).html
    addresses = set(re.findall(r"""https?://[^\s"'<>)]+""", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of SVG, never asked for
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-", page)
    assert not re.search(r"<[^>]* on\w+=", page.split('id="data">')[0])
    assert len(page) < 400_000
