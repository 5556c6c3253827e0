"""ONNX files from anyone: each ends in a DrawError that says what is wrong, or in a drawing."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import DrawError, TinygradTxError
from tinygrad_tx.interop import foreign, onnx_file, read_onnx
from tinygrad_tx.viz.picture import Picture

pytest.importorskip("onnx")

from onnx import TensorProto, helper

from tests.interop.graphs import model, node, relu, saved, transformer, typed, untyped, weight

pytestmark = pytest.mark.parity


def drawn(made: Any, folder: Path, **options: Any) -> Picture:
    drawing = tx.draw(saved(made, folder / "model.onnx"), **options)
    assert isinstance(drawing, tx.viz.Drawing)
    return drawing.picture


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(DrawError, match="no such file; check the path"):
            read_onnx(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no graph with outputs"),
        (b"hello, I am a text", "not an ONNX file"),
        (b"\x00" * 64, "not an ONNX file"),
        (relu().SerializeToString()[:-9], "not an ONNX file"),
        (relu().SerializeToString().replace(b"Relu", b"\xff\xfe\xfd\xfc"), "op_type is not UTF-8"),
    ],
    ids=["empty", "text", "zeros", "truncated", "bytes in text"],
)
def test_what_is_no_onnx_file_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DrawError, match=f"model.onnx: .*{said}"):
        drawn(data, tmp_path)


def test_the_size_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(onnx_file.LARGEST_BYTES + 1)  # a hole: it takes no room
    start = time.perf_counter()
    with pytest.raises(DrawError, match=r"2,147,483,648 bytes.*external data"):
        read_onnx(path)
    assert time.perf_counter() - start < 1


def test_without_onnx_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DrawError, match=r"pip install 'tinygrad-tx\[interop\]'"):
        drawn(relu(), tmp_path)


def chain(*steps: tuple[str, str]) -> Any:
    """One Relu for each pair of names, from `x` to `y`."""
    nodes = [node("Relu", [a], [b], name=f"r{i}") for i, (a, b) in enumerate(steps)]
    return model(nodes, [typed("x", 2)], ["y"])


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("x", "a"), ("z", "y")], "Relu r1 reads 'z', which nothing makes"),
        ([("x", "a")], "it gives out 'y', which nothing makes"),
        ([("x", "y"), ("x", "y")], "'y' is made twice"),
        ([("x", "x"), ("x", "y")], "'x' is made twice"),
        ([("x", "y"), ("b", "a"), ("a", "b")], "cycle, among them Relu r1, Relu r2"),
        ([("x", "y"), ("a", "a")], "cycle, among them Relu r1"),
    ],
)
def test_what_is_no_graph_is_refused(
    steps: list[tuple[str, str]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DrawError, match=said):
        drawn(chain(*steps), tmp_path)


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    ordered = drawn(chain(("x", "a"), ("a", "b"), ("b", "y")), tmp_path)
    mixed = drawn(chain(("b", "y"), ("x", "a"), ("a", "b")), tmp_path)
    assert ordered.boxes.keys() == mixed.boxes.keys()
    assert ordered.arrows == mixed.arrows


def test_names_of_nodes_may_repeat(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["a"], name="n"), node("Relu", ["a"], ["y"], name="n")]
    picture = drawn(model(nodes, [typed("x", 2)], ["y"]), tmp_path)
    assert [b.title for b in picture.boxes.values()] == ["x", "ReLU", "ReLU", "output"]


NAMES = [
    "<script>alert(1)</script>/Relu",
    "\"'\\N\\G{}|<b>&amp;/Relu",
    "a\nb\x00\x1b[0m\u202e/Relu",
    "/".join("m" * 50_000),
    ".".join("m" * 50_000) + "/Relu",
    "q" * 500_000,
    "forward.backward/Relu",
    "0/1/2/Relu",
    "::/../. ./Relu",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_any_name_can_be_drawn(name: str, view: Any, tmp_path: Path) -> None:
    nodes = [node("Relu", [name], ["h"], name=name), node(name[:90], ["h", "w"], ["y"])]
    stored = weight(name, 2, 3)
    stored.name = "w"
    made = model(nodes, [typed(name, 2)], ["y"], [stored])
    page = tmp_path / "page.html"
    tx.draw(saved(made, tmp_path / "model.onnx"), page, view=view, depth=3)
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "\x00" not in text
    assert "\x1b" not in text
    assert len(text) < 400_000


@pytest.mark.parametrize("op", ["buffer", "constant", "part", "reshape", "attention", "point", ""])
@pytest.mark.parametrize("view", ["blocks", "ops"])
def test_an_operator_with_a_word_of_ours_is_not_ours(op: str, view: Any, tmp_path: Path) -> None:
    made = model([node(op, ["x"], ["y"], domain="acme")], [typed("x", 2)], ["y"])
    titles = [b.title for b in drawn(made, tmp_path, view=view).boxes.values()]
    assert (op.capitalize() or "Operation") in titles


OPERATORS = (
    *("Reshape", "MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention", "Gather"),
    *("Softmax", "Dropout", "Split", "If", "Constant", "Pad", "Shape", "MultiHeadAttention"),
)


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_operators_with_too_few_or_too_many_inputs_are_drawn(
    op: str, count: int, tmp_path: Path
) -> None:
    for inputs in (["x"] * count, [""] * count):
        for domain in ("", "com.microsoft"):
            made = model([node(op, inputs, ["y"], domain=domain)], [typed("x", 2, 3)], ["y"])
            for overlay in ("flops", "bytes", "parameters", "memory"):
                assert drawn(made, tmp_path, overlay=overlay).boxes
                assert drawn(made, tmp_path, overlay=overlay, view="ops").boxes


def test_weights_beside_the_file_are_not_read(tmp_path: Path) -> None:
    scalar = weight("number")  # a single number would be read if it lay in the file
    scalar.external_data[0].value = "/dev/zero"
    large = weight("large.weight", 2**20, 2**20)
    nodes = [node("MatMul", ["x", "large.weight"], ["h"]), node("Mul", ["h", "number"], ["y"])]
    made = model(nodes, [typed("x", 1, 2**20)], ["y"], [large, scalar])
    picture = drawn(made, tmp_path, overlay="parameters")
    (found,) = (b.lines[-1] for b in picture.boxes.values() if b.title == "MatMul")
    assert found == "1.1 T parameters"


@pytest.mark.parametrize("dims", [[2**40, 2**40], [1] * 100, [-1]])
def test_tensors_that_no_memory_holds_are_refused(dims: list[int], tmp_path: Path) -> None:
    made = model([node("MatMul", ["x", "w"], ["y"])], [typed("x", 2)], ["y"], [weight("w", *dims)])
    with pytest.raises(DrawError, match="'w' claims"):
        drawn(made, tmp_path, overlay="parameters")


def functions(bodies: dict[str, list[str]]) -> Any:
    """Local functions by what they call."""
    opset = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    made = []
    for name, calls in bodies.items():
        values = ["x", *(f"v{i}" for i in range(len(calls) - 1)), "y"]
        nodes = [
            node(call, [a], [b], domain="local" if call in bodies else "")
            for call, a, b in zip(calls, values, values[1:], strict=False)
        ]
        made.append(helper.make_function("local", name, ["x"], ["y"], nodes, opset))
    first = next(iter(bodies))
    return model([node(first, ["x"], ["y"], domain="local")], [typed("x", 2)], ["y"], (), made)


def test_functions_that_call_themselves_are_refused(tmp_path: Path) -> None:
    for bodies in ({"F": ["F"]}, {"F": ["Relu", "G"], "G": ["F", "Relu"]}):
        with pytest.raises(DrawError, match="its functions call one another"):
            drawn(functions(bodies), tmp_path)


def test_functions_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    bodies = {f"F{i}": [f"F{i + 1}"] * 10 for i in range(12)} | {"F12": ["Relu"]}
    start = time.perf_counter()
    with pytest.raises(DrawError, match="more than 50,000 nodes"):
        drawn(functions(bodies), tmp_path)
    assert time.perf_counter() - start < 30


def test_branches_within_branches_are_one_box(tmp_path: Path) -> None:
    inner = helper.make_graph([node("Relu", ["x"], ["r"])], "g", [], [untyped("r")])
    for _ in range(20):
        branch = node("If", ["c"], ["r"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([branch], "g", [], [untyped("r")])
        if inner.ByteSize() > 2**16:
            break
    nodes = [node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)]
    inputs = [typed("x", 2), typed("c", kind=TensorProto.BOOL)]
    picture = drawn(model(nodes, inputs, ["y"]), tmp_path)
    assert sorted(b.title for b in picture.boxes.values()) == ["If", "c", "output", "x"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_refused_or_drawn(data: st.DataObject, tmp_path: Path) -> None:
    raw = bytearray(transformer(1).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    assert _ends_well(bytes(raw), tmp_path)


def _ends_well(data: bytes, folder: Path) -> bool:
    try:
        return bool(drawn(data, folder, overlay="flops").boxes)
    except TinygradTxError as error:
        return "model.onnx" in str(error)


@given(st.text(max_size=300))
def test_scopes_are_short_printable_and_stay_as_they_are(text: str) -> None:
    scope = foreign.scope_of(text)
    words = scope.split(".")
    assert scope.isprintable()
    assert len(words) <= foreign.DEEPEST_SCOPE
    assert all(len(word) <= foreign.LONGEST_WORD for word in words)
    assert foreign.scope_of(scope) == scope


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/encoder/layer.0/attention/self", "encoder.layer.0.attention.self"),
        ("/layers.0/mlp/mlp.2", "layers.0.mlp.2"),
        ("bert/encoder", "bert.encoder"),
        ("", ""),
    ],
)
def test_paths_of_exporters_become_scopes(path: str, scope: str) -> None:
    assert foreign.scope_of(path) == scope


def test_sizes_that_stay_open_equal_only_themselves() -> None:
    size = foreign.OpenSize("batch")
    assert (size, str(size), size * 3) == (foreign.OpenSize("batch"), "batch", 3)
    assert size != 1
    assert foreign.OpenSize("time") != size
    assert int(foreign.OpenSize("4*batch")) == 4
