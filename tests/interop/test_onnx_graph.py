"""Drawings of ONNX files by their boxes and arrows; counts against those of the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tinygrad_tx as tx
from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import DrawError
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.interop import read_onnx
from tinygrad_tx.viz.overlay import OVERLAYS
from tinygrad_tx.viz.picture import Box, Picture
from tinygrad_tx.viz.render import Drawing

pytest.importorskip("onnx")

from onnx import TensorProto, helper

from tests.interop.graphs import (
    HIDDEN,
    VOCAB,
    WIDTH,
    elements,
    model,
    node,
    relu,
    saved,
    transformer,
    typed,
    untyped,
    values,
    weight,
)

pytestmark = pytest.mark.parity

BATCH, TIME = 2, 5
TOKENS = np.zeros((BATCH, TIME), np.int64)


def drawn(made: Any, folder: Path, **options: Any) -> Picture:
    drawing = tx.draw(saved(made, folder / "model.onnx"), **options)
    assert isinstance(drawing, Drawing)
    return drawing.picture


def titles(picture: Picture) -> list[str]:
    return [box.title for box in picture.boxes.values()]


def flows(picture: Picture) -> set[tuple[str, str]]:
    return {(picture.boxes[a.source].title, picture.boxes[a.target].title) for a in picture.arrows}


def titled(picture: Picture, title: str) -> Box:
    (found,) = (box for box in picture.boxes.values() if box.title == title)
    return found


def work(made: Any, folder: Path, **options: Any) -> dict[str, float]:
    """Scope and word of each operation with its FLOPs."""
    graph = read_onnx(saved(made, folder / "model.onnx"), **options)
    return {
        f"{n.scope} {n.op.name}".strip(): n.op.cost(n).flops
        for n in collect(graph.outputs)
        if n.op.cost is not None
    }


def test_equal_blocks_of_a_transformer_are_drawn_once(tmp_path: Path) -> None:
    picture = drawn(transformer(3), tmp_path)
    assert picture.frames == {("blocks.0",): "Blocks  × 3"}
    inside = [b.title for b in picture.boxes.values() if b.frame]
    assert inside == ["Norm", "Attention", "+", "Up", "ReLU", "Down", "+"]
    assert [b.title for b in picture.boxes.values() if not b.frame] == [
        "tokens",
        "Embedding",
        "Head",
        "output",
    ]


def test_colours_follow_what_is_computed(tmp_path: Path) -> None:
    boxes = {b.title: b.role for b in drawn(transformer(1), tmp_path).boxes.values()}
    assert boxes["Attention"] == "attention"
    assert (boxes["Norm"], boxes["Embedding"], boxes["Up"]) == ("norm", "embedding", "product")


def test_arrows_of_attention_pass_through_reshapes(tmp_path: Path) -> None:
    picture = drawn(transformer(1), tmp_path, depth=2)
    inside = {
        (picture.boxes[a.source].title, picture.boxes[a.target].title)
        for a in picture.arrows
        if picture.boxes[a.target].frame == ("blocks.0", "attention")
    }
    assert inside == {
        ("Norm", "Query"),
        ("Norm", "Key"),
        ("Norm", "Value"),
        ("Query", "MatMul"),
        ("Key", "MatMul"),
        ("MatMul", "Softmax"),
        ("Softmax", "MatMul"),
        ("Value", "MatMul"),
    }


@pytest.mark.parametrize("blocks", [1, 3])
def test_parameters_are_the_floats_of_the_file(blocks: int, tmp_path: Path) -> None:
    made = transformer(blocks)
    graph = read_onnx(saved(made, tmp_path / "model.onnx"))
    assert sum(leaf.aval.size for leaf in graph.parameters) == elements(made)
    names = {t.name for t in made.graph.initializer if t.data_type == TensorProto.FLOAT}
    assert set(graph.parameters.values()) == names


def test_boxes_share_out_all_parameters(tmp_path: Path) -> None:
    picture = drawn(transformer(1), tmp_path, overlay="parameters")
    found = {b.title: b.lines[-1] for b in picture.boxes.values() if b.heat is not None}
    assert found["Attention"] == f"{3 * WIDTH * WIDTH} parameters"
    assert found["Norm"] == f"{2 * WIDTH} parameters"
    assert found["Embedding"] == f"{VOCAB * WIDTH} parameters"


def test_flops_of_a_transformer_agree_with_a_count_by_hand(tmp_path: Path) -> None:
    found = work(transformer(1), tmp_path, sizes=[(BATCH, TIME)])
    rows = BATCH * TIME
    assert found["blocks.0.attention.query matmul"] == 2 * rows * WIDTH * WIDTH
    assert found["blocks.0.attention matmul"] == 2 * rows * TIME * WIDTH
    assert found["blocks.0.up matmul"] == 2 * rows * WIDTH * HIDDEN
    assert found["head matmul"] == 2 * rows * WIDTH * VOCAB


def test_open_sizes_show_their_symbols_and_count_as_one(tmp_path: Path) -> None:
    picture = drawn(transformer(1), tmp_path, overlay="flops")
    assert titled(picture, "tokens").lines[0] == "int64 batch×time"
    assert titled(picture, "output").lines[0] == f"float32 batch×time×{VOCAB}"
    assert titled(picture, "Up").lines[-1] == f"{2 * WIDTH * HIDDEN} FLOP"
    assert picture.note.startswith("figures count batch, time as 1, ")


def test_example_inputs_close_open_sizes(tmp_path: Path) -> None:
    picture = drawn(transformer(1), tmp_path, overlay="memory", inputs=(TOKENS,))
    assert titled(picture, "output").lines[0] == f"float32 {BATCH}×{TIME}×{VOCAB}"
    assert titled(picture, "Head").lines[-1] == f"{4 * BATCH * TIME * VOCAB} B"
    assert "figures count" not in picture.note


def test_an_example_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DrawError, match=r"'tokens' is batch×time, the example \(2, 5, 1\)"):
        drawn(transformer(1), tmp_path, inputs=(TOKENS[..., None],))
    with pytest.raises(DrawError, match="2 example inputs for 1"):
        drawn(transformer(1), tmp_path, inputs=(TOKENS, TOKENS))


def mlp() -> Any:
    nodes = [
        node("Gemm", ["x", "up", "up_bias"], ["u"], transB=1),
        node("Tanh", ["u"], ["t"]),
        node("Gemm", ["t", "down"], ["y"]),
    ]
    stored = [weight("up", 6, 4), weight("up_bias", 6), weight("down", 6, 3)]
    return model(nodes, [typed("x", 5, 4)], ["y"], stored)


def test_a_graph_without_modules_shows_operations_and_their_weights(tmp_path: Path) -> None:
    picture = drawn(mlp(), tmp_path)
    assert titles(picture) == ["x", "MatMul", "up", "up_bias", "Tanh", "MatMul", "down", "output"]
    assert {("up", "MatMul"), ("up_bias", "MatMul"), ("down", "MatMul")} < flows(picture)
    assert {("x", "MatMul"), ("MatMul", "Tanh"), ("Tanh", "MatMul")} < flows(picture)


def test_work_of_products_agrees_with_a_count_by_hand(tmp_path: Path) -> None:
    picture = drawn(mlp(), tmp_path, overlay="flops")
    found = [b.lines[-1] for b in picture.boxes.values() if b.title == "MatMul"]
    assert found == [f"{2 * 5 * 6 * 4 + 5 * 6} FLOP", f"{2 * 5 * 3 * 6} FLOP"]


@pytest.mark.parametrize(
    ("op", "shapes", "attrs", "flops"),
    [
        ("MatMul", [(7, 2, 3), (3, 4)], {}, 2 * 7 * 2 * 3 * 4),
        ("MatMul", [(2, 3), (3,)], {}, 2 * 2 * 3),
        ("MatMul", [(3,), (3, 4)], {}, 2 * 3 * 4),
        ("MatMul", [(3,), (5, 3, 4)], {}, 2 * 5 * 3 * 4),
        ("Conv", [(1, 4, 9, 9), (8, 2, 3, 3)], {"group": 2}, 2 * 8 * 49 * 2 * 9),
        ("Conv", [(1, 4, 9, 9), (8, 4, 3, 3), (8,)], {}, 2 * 8 * 49 * 4 * 9 + 8 * 49),
        ("ConvTranspose", [(1, 4, 5, 5), (4, 8, 3, 3)], {}, 2 * 4 * 25 * 8 * 9),
        ("Einsum", [(2, 3, 4), (2, 4, 5)], {"equation": "bij, bjk -> bik"}, 2 * 2 * 3 * 4 * 5),
    ],
)
def test_work_follows_shapes(
    op: str, shapes: list[tuple[int, ...]], attrs: dict[str, Any], flops: int, tmp_path: Path
) -> None:
    names = [f"x{i}" for i in range(len(shapes))]
    inputs = [typed(n, *s) for n, s in zip(names, shapes, strict=True)]
    (found,) = work(model([node(op, names, ["y"], **attrs)], inputs, ["y"]), tmp_path).values()
    assert found == flops


def test_an_unknown_operation_has_no_figure(tmp_path: Path) -> None:
    made = model([node("Mystery", ["x"], ["y"], domain="acme")], [typed("x", 4)], ["y"])
    picture = drawn(made, tmp_path, overlay="flops")
    assert titled(picture, "Mystery").heat is None
    assert titled(picture, "output").lines[0] == "float32 …"


def branching() -> Any:
    """An If of which one branch reads a value and a weight of its own."""
    branch = helper.make_graph(
        [node("MatMul", ["h", "w"], ["p"]), node("Relu", ["p"], ["a"])],
        "then",
        [],
        [untyped("a")],
        [weight("w", 4, 4)],
    )
    other = helper.make_graph([node("Identity", ["h"], ["b"])], "else", [], [untyped("b")])
    nodes = [
        node("Abs", ["x"], ["h"]),
        node("If", ["c"], ["y"], then_branch=branch, else_branch=other),
    ]
    return model(nodes, [typed("x", 2, 4), typed("c", kind=TensorProto.BOOL)], ["y"])


def test_control_flow_is_one_box_that_says_what_it_holds(tmp_path: Path) -> None:
    picture = drawn(branching(), tmp_path)
    box = titled(picture, "If")
    assert {("Abs", "If"), ("c", "If"), ("w", "If"), ("If", "output")} < flows(picture)
    said = dict(box.facts)["formula"].split("; ")
    assert sorted(said) == ["else_branch: Identity", "then_branch: MatMul, Relu"]


def test_parameters_of_branches_count(tmp_path: Path) -> None:
    graph = read_onnx(saved(branching(), tmp_path / "model.onnx"))
    assert {name: leaf.shape for leaf, name in graph.parameters.items()} == {"w": (4, 4)}


def calling(*names: str) -> Any:
    """Calls of one function in a row."""
    body = [
        node("MatMul", ["h", "w"], ["p"]),
        node("LeakyRelu", ["p"], ["out"]),
    ]
    body[1].attribute.add(name="alpha", ref_attr_name="slope", type=1)
    opset = [helper.make_opsetid("", 18)]
    block = helper.make_function("local", "Block", ["h", "w"], ["out"], body, opset, ["slope"])
    nodes = [
        node("Block", [f"h{i}", f"w{i}"], [f"h{i + 1}"], name=name, domain="local", slope=0.5)
        for i, name in enumerate(names)
    ]
    stored = [weight(f"w{i}", 4, 4) for i in range(len(names))]
    return model(nodes, [typed("h0", 2, 4)], [f"h{len(names)}"], stored, [block])


@pytest.mark.parametrize(
    ("names", "frame"),
    [
        (("", "", ""), "Block.0"),
        (("/net/layers.0/Block", "/net/layers.1/Block", "/net/layers.2/Block_1"), "net.layers.0"),
        (("layers.0", "layers.1", "layers.2"), "layers.0"),
    ],
)
def test_calls_of_a_function_are_modules_of_its_kind(
    names: tuple[str, ...], frame: str, tmp_path: Path
) -> None:
    picture = drawn(calling(*names), tmp_path, depth=2)
    frames = {".".join(f): title for f, title in picture.frames.items()}
    assert frames.get(frame) == "Block  × 3" or titles(picture).count("Block  × 3") == 1
    graph = read_onnx(tmp_path / "model.onnx")
    assert [n.op.name for n in collect(graph.outputs) if n.op.name != "buffer"] == [
        "matmul",
        "LeakyRelu",
    ] * 3
    assert graph.outputs[0].shape == (2, 4)  # shapes are known within calls too


NOTES = {
    "lists": {
        "pkg.torch.onnx.name_scopes": "['', 'net', 'net.layers.0', 'relu']",
        "pkg.torch.onnx.class_hierarchy": "['m.Model', 'm.Net', 'm.Layer', 'aten.relu.default']",
    },
    "namespace": {"namespace": ": m.Model/net: m.Net/net.layers.0: m.Layer/relu: aten.relu"},
}


@pytest.mark.parametrize("notes", NOTES.values(), ids=NOTES)
def test_notes_of_an_exporter_name_modules_and_their_classes(
    notes: dict[str, str], tmp_path: Path
) -> None:
    made = relu(name="node_relu")
    for key, value in notes.items():
        made.graph.node[0].metadata_props.add(key=key, value=value)
    trace = 'File "/home/me/net.py", line 12, in forward\n  File "/x/site-packages/t.py", line 3'
    made.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value=trace)
    graph = read_onnx(saved(made, tmp_path / "model.onnx"))
    assert graph.outputs[0].scope == "net.layers.0"
    assert graph.outputs[0].where == "net.py:12"
    assert graph.modules == {"net": "Net", "net.layers.0": "Layer"}


def test_arithmetic_on_sizes_is_not_drawn(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["flat"]),
        node("Relu", ["flat"], ["y"]),
    ]
    stored = [values("zero", 0), values("rest", -1)]
    picture = drawn(model(nodes, [typed("x", "n", 2, 3)], ["y"], stored), tmp_path)
    assert titles(picture) == ["x", "ReLU", "output"]
    assert titled(picture, "output").lines == ("float32 n×?",)


def test_each_result_of_a_split_has_its_own_shape(tmp_path: Path) -> None:
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b"], axis=1),
        node("Relu", ["a"], ["ra"]),
        node("Tanh", ["b"], ["rb"]),
    ]
    made = model(nodes, [typed("x", 2, 5)], ["ra", "rb"], [values("sizes", 2, 3)])
    picture = drawn(made, tmp_path, overlay="shapes")
    labels = {picture.boxes[a.target].title: a.label for a in picture.arrows}
    assert (labels["ReLU"], labels["Tanh"]) == ("2×2", "2×3")


def test_a_number_stands_in_the_title_of_its_reader(tmp_path: Path) -> None:
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    made = model([node("Pow", ["x", "two"], ["y"])], [typed("x", 3)], ["y"], [two])
    assert titles(drawn(made, tmp_path, view="ops")) == ["x", "power 2"]


def test_every_operation_is_in_the_view_of_operations(tmp_path: Path) -> None:
    made = transformer(2)
    words = titles(drawn(made, tmp_path, view="ops"))
    types = [n.op_type for n in made.graph.node]
    for op, word in (("MatMul", "matmul"), ("Softmax", "pattern: softmax"), ("Gather", "take")):
        assert words.count(word) == types.count(op)
    assert words.count("reshape") == types.count("Reshape")


@pytest.mark.parametrize("view", ["gradient", "rewrite", "program", "memory"])
def test_views_that_need_our_rules_say_why_not(view: Any, tmp_path: Path) -> None:
    with pytest.raises(DrawError, match=f"view {view}.*is drawn, not run; use view blocks or ops"):
        drawn(relu(), tmp_path, view=view)


def test_overlays_either_draw_or_say_why_not(tmp_path: Path) -> None:
    kept = {"shapes", "parameters", "flops", "bytes", "memory"}
    for overlay in kept:
        assert drawn(relu(), tmp_path, overlay=overlay).boxes
    for overlay in set(OVERLAYS) - kept:
        with pytest.raises(DrawError, match=f"overlay {overlay}.*is drawn, not run"):
            drawn(relu(), tmp_path, overlay=overlay)


def test_the_command_draws_a_file(tmp_path: Path) -> None:
    path, page = saved(transformer(2), tmp_path / "model.onnx"), tmp_path / "model.html"
    done = CliRunner().invoke(app, ["draw", str(path), "--out", str(page), "--depth", "2"])
    assert done.exit_code == 0, done.output
    assert "Attention" in page.read_text(encoding="utf-8")
