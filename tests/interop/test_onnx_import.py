"""ONNX files as modules: against ONNX's own examples, against our graphs, and by hand."""

from __future__ import annotations

import functools
import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinygrad_tx as tx
from tinygrad_tx.errors import DTypeError, OnnxError, ShapeError
from tinygrad_tx.interop.onnx_reading import MEANINGS
from tinygrad_tx.interop.onnx_writing import RULES
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.testing.graphs import RandomGraph, graphs

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.interop.graphs import model, node, saved, typed, values

pytestmark = pytest.mark.parity

Array = np.ndarray[Any, Any]


# ONNX's own examples: for each operator small models with inputs and results

KNOWN_TYPES = {np.dtype(t) for t in ("f4", "f8", "f2", "i4", "i8", "i1", "i2", "u1", "?")}

REFUSED = {
    "Attention": r"qk_matmul_output_mode|softcap|left_window_size|input 6|its scores",
    "Dropout": "training_mode is true",
    "Einsum": "equation",
    "GatherND": "batch_dims",
    "Identity": "is no tensor of numbers|input 2 must follow from shapes",
    "NonZero": "must follow from shapes",
    "Pad": r"mode b'|input 2 must follow from shapes",
    "ReduceLogSumExp": "is empty along",
    "ReduceMax": "is empty along",
    "ReduceMin": "is empty along",
    "ScatterElements": "reduction b'",
    "ScatterND": "reduction b'",
}
"""By operator, what of its examples is refused, and in which words."""


BY_HAND = {"NonZero"}
"""Of these the examples are all refused, or there are none; they are tried below."""


def array(value: Any) -> Array:
    return numpy_helper.to_array(value) if hasattr(value, "data_type") else np.asarray(value)


@functools.cache
def cases() -> dict[str, list[Any]]:
    """Examples by their operator, the last of those that an expanded one holds."""
    from onnx.backend.test.case.node import collect_testcases

    found: dict[str, list[Any]] = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow on purpose
        collected = collect_testcases(None)
    for case in collected:
        ops = [n.op_type for n in case.model.graph.node]
        if set(ops) <= MEANINGS.keys() and all(i.name for i in case.model.graph.input):
            found[ops[-1]].append(case)
    return found


def with_sizes_inside(case: Any, inputs: Sequence[Array]) -> tuple[Any, list[Array]]:
    """The model with its sizes, axes and numbers of one element as constants, as exporters write
    them, in an opset that is read; and the inputs that are left."""
    made = onnx.ModelProto()
    made.CopyFrom(case.model)
    for opset in made.opset_import:
        opset.version = max(opset.version, 13)
    ops = {n.op_type for n in made.graph.node}
    names = [i.name for i in made.graph.input]
    alone = ops & {"Range", "ConstantOfShape"}
    inside = [
        (a.dtype.kind in "iu" and (i > 0 or alone) and n != "indices")
        or (i > 0 and a.size == 1 and bool(ops & {"Range", "Pad", "Dropout", "OneHot"}))
        or (ops == {"Range"})
        for i, (n, a) in enumerate(zip(names, inputs, strict=True))
    ]
    for name, value, is_inside in zip(names, inputs, inside, strict=True):
        if is_inside:
            made.graph.initializer.append(numpy_helper.from_array(value, name))
    left = [i for i, is_inside in zip(made.graph.input, inside, strict=True) if not is_inside]
    del made.graph.input[:]
    made.graph.input.extend(left)
    return made, [a for a, is_inside in zip(inputs, inside, strict=True) if not is_inside]


@pytest.mark.parametrize("op", sorted(MEANINGS))
def test_onnx_examples_are_computed_or_refused_in_words(op: str, tmp_path: Path) -> None:
    computed = 0
    for case in cases()[op]:
        (data,) = case.data_sets
        try:
            inputs, results = ([array(v) for v in side] for side in data)
        except (ValueError, TypeError):
            continue  # sequences and types of 8 bits or fewer
        if any(a.dtype not in KNOWN_TYPES for a in (*inputs, *results)):
            continue
        made, left = with_sizes_inside(case, inputs)
        try:
            found = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))(*left)
        except OnnxError as error:
            if not re.search(REFUSED.get(op, "nothing"), str(error)):
                raise
            continue
        computed += 1
        for got, wanted in zip(
            found if isinstance(found, tuple) else (found,), results, strict=True
        ):
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), case.name
            half = wanted.dtype == np.float16
            np.testing.assert_allclose(
                got.numpy(),
                wanted,
                rtol=2e-3 if half else max(case.rtol, 1e-6),
                atol=1e-3 if half else max(case.atol, 1e-7),
                err_msg=case.name,
            )
    assert computed or op in BY_HAND


def test_every_meaning_is_tried_by_an_example_or_below() -> None:
    inside = {n.op_type for group in cases().values() for c in group for n in c.model.graph.node}
    assert MEANINGS.keys() - inside <= BY_HAND


def test_what_is_written_can_be_read() -> None:
    said = {w.strip() for rule in RULES.values() for w in rule.says.split(";")[0].split(",")}
    assert said - {"an initialiser"} <= MEANINGS.keys()


@given(graphs())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_graphs_come_back_with_their_values_and_gradients(
    tmp_path: Path, graph: RandomGraph
) -> None:
    inputs = [a.astype(np.float32) for a in graph.inputs]
    path, names = tmp_path / "m.onnx", [f"x{i}" for i in range(len(inputs))]
    try:
        tx.interop.export_onnx(graph.__call__, inputs, path, input_names=names)
    except OnnxError as error:
        if "has no form" not in str(error):
            raise
        return
    back = tx.interop.import_onnx(path)
    read = [n in {i.name for i in back.inputs} for n in names]

    def called(*tensors: Any) -> Any:
        return back(*(t for t, r in zip(tensors, read, strict=True) if r))

    wanted, found = graph(*map(tx.tensor, inputs)).numpy(), called(*inputs).numpy()
    largest = float(np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * largest)
    if all(read):
        every = tuple(range(len(inputs)))
        sums = [tx.grad(lambda *x, f=f: f(*x).sum(), every)(*inputs) for f in (graph, called)]
        for a, b in zip(*sums, strict=True):
            bound = 1e-4 * max(float(np.abs(a.numpy()).max(initial=0)), largest, 1.0)
            np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=0, atol=bound)


# A module like any other


def exported(tmp_path: Path, **sizes: Any) -> tuple[GPT, tx.interop.OnnxModule]:
    original = GPT(GPTConfig(31, **{"context": 12, "layers": 2, "heads": 2, "width": 8, **sizes}))
    tx.models.save_onnx(original, tmp_path / "m.onnx")
    return original.eval(), tx.interop.import_onnx(tmp_path / "m.onnx")


TOKENS = np.arange(10, dtype=np.int64).reshape(2, 5)


def test_it_learns_as_the_original_does(tmp_path: Path) -> None:
    original, back = exported(tmp_path)
    losses = []
    for module in (original, back):
        optimizer = tx.optim.Adam(module.parameters(), 1e-2)

        @tx.jit
        def step(tokens: Any, module: Any = module, optimizer: Any = optimizer) -> Any:
            loss = tx.cross_entropy(module(tokens), tokens)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        losses.append([step(TOKENS).item() for _ in range(10)])
    assert losses[1][-1] < losses[1][0] - 0.5
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_it_is_drawn_as_the_original_is(tmp_path: Path) -> None:
    original, back = exported(tmp_path)
    pictures = [tx.draw(m, inputs=(TOKENS,), depth=2).picture for m in (original, back)]  # type: ignore[union-attr]  # Drawings
    first, second = ([(b.title, b.role, b.frame) for b in p.boxes.values()][1:] for p in pictures)
    assert first == second
    assert pictures[0].frames == pictures[1].frames
    (called,) = [b for b in pictures[1].boxes.values() if b.role == "input"]
    assert called.title == "tokens"


def test_it_is_looked_into_at_the_same_points(tmp_path: Path) -> None:
    original, back = exported(tmp_path)
    for name in (
        "blocks.1.residual_before",
        "blocks.0.attention.query",
        "blocks.0.attention.pattern",
        "blocks.1.feed_forward.hidden",
        "logits",
    ):
        found = [tx.reasoning.capture(m, TOKENS, name)[name] for m in (original, back)]
        np.testing.assert_allclose(*(np.asarray(f) for f in found), rtol=0, atol=1e-6)


def test_weights_go_to_and_fro(tmp_path: Path) -> None:
    original, back = exported(tmp_path)
    other, _ = exported(tmp_path, layers=2)
    for parameter in other.parameters():
        parameter.assign_(parameter * 1.5 + 0.1)
    back.load_state_dict(other.state_dict())
    np.testing.assert_allclose(back(TOKENS).numpy(), other(TOKENS).numpy(), atol=1e-6)


def test_tables_that_were_not_trained_are_not(tmp_path: Path) -> None:
    original = tx.models.Llama(tx.models.LlamaConfig(31, 12, 2, 2, 8))
    tx.models.save_onnx(original, tmp_path / "m.onnx")
    back = tx.interop.import_onnx(tmp_path / "m.onnx")
    assert {n for n, _ in back.named_parameters()} == {n for n, _ in original.named_parameters()}
    assert back.num_parameters() == original.num_parameters()


def test_sizes_are_computed_once_for_each_shape(tmp_path: Path) -> None:
    _, back = exported(tmp_path)
    first = back(TOKENS).numpy()
    assert back(TOKENS[:, :3]).shape == (2, 3, 31)
    np.testing.assert_array_equal(back(TOKENS).numpy(), first)
    np.testing.assert_allclose(tx.jit(back)(TOKENS).numpy(), first, atol=1e-7)


def test_inputs_are_checked(tmp_path: Path) -> None:
    made = model(
        [node("Add", ["x", "y"], ["z"])],
        [typed("x", "batch", 3), typed("y", "batch", 1)],
        ["z"],
    )
    back = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))
    x, y = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    assert back(y=y, x=x).shape == back(x, y).shape == back(x.astype(np.float64), y).shape == (2, 3)
    assert back(x, y=y).dtype == np.float32
    for inputs, named, kind, said in (
        ((x,), {}, OnnxError, "takes x, y; got 1 in order"),
        ((x, y, y), {}, OnnxError, "got 3 in order"),
        ((x,), {"z": y}, OnnxError, "got 1 in order and z by name"),
        ((x, y), {"y": y}, OnnxError, "and y by name"),
        ((x, y[:1]), {}, ShapeError, r"'y' is \(1, 1\), not batch x 1"),
        ((x[:, :2], y), {}, ShapeError, r"'x' is \(2, 2\), not batch x 3"),
        ((x[0], y), {}, ShapeError, r"'x' is \(3,\), not batch x 3"),
        ((x.astype(np.int64), y), {}, DTypeError, "'x' is int64, not float32"),
    ):
        with pytest.raises(kind, match=said):
            back(*inputs, **named)


# What is not known is refused, with the node


def refuses(tmp_path: Path, made: Any, said: str, *inputs: Any) -> None:
    with pytest.raises(OnnxError, match=said):
        tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))(*inputs)


X = np.ones((2, 3), np.float32)


def test_operators_that_are_not_known_are_all_named_at_once(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "x"], ["a"], name="/first/Conv"),
        node("Relu", ["a"], ["b"], domain="acme"),
        node("If", ["x"], ["y"], then_branch=helper.make_graph([], "g", [], [])),
    ]
    with pytest.raises(OnnxError, match=r"Conv \(node /first/Conv\), acme::Relu, If; docs/onnx.md"):
        tx.interop.import_onnx(saved(model(nodes, [typed("x", 2, 3)], ["y"]), tmp_path / "m.onnx"))


def test_attributes_and_inputs_that_are_not_known_are_refused(tmp_path: Path) -> None:
    """What is not understood must not be passed over."""
    inputs = [typed("x", 2, 3)]
    shifted = model([node("Relu", ["x"], ["y"], shift=3, name="r")], inputs, ["y"])
    refuses(tmp_path, shifted, r"m.onnx: Relu r: attribute 'shift' is not known here", X)
    second = model([node("Relu", ["x", "x"], ["y"])], inputs, ["y"])
    refuses(tmp_path, second, "Relu: input 1 is not known here", X)
    typed_wrong = model([node("Softmax", ["x"], ["y"], axis="last")], inputs, ["y"])
    refuses(tmp_path, typed_wrong, "Softmax: attribute axis is bytes", X)
    outside = model([node("Softmax", ["x"], ["y"], axis=2)], inputs, ["y"])
    refuses(tmp_path, outside, "Softmax: axis 2 of a value with 2 axes", X)


def test_a_shape_that_depends_on_numbers_is_refused(tmp_path: Path) -> None:
    nodes = [node("Cast", ["x"], ["s"], to=TensorProto.INT64), node("Reshape", ["x", "s"], ["y"])]
    made = model(nodes, [typed("x", 2)], ["y"])
    refuses(tmp_path, made, "Reshape: input 1 must follow from shapes and constants", X[0, :2])


def test_an_old_opset_says_how_to_convert(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"], ["y"])], [typed("x", 2, 3)], ["y"])
    made.opset_import[0].version = 9
    refuses(tmp_path, made, "opset 9 is older than 13.*onnx.version_converter", X)


def test_sizes_of_a_call_are_followed_through_the_graph(tmp_path: Path) -> None:
    """Shape, Gather, Concat, Reshape, as exporters write `x.reshape(x.shape[0], -1)`."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Unsqueeze", ["batch", "axes"], ["first"]),
        node("Concat", ["first", "rest"], ["wanted"], axis=0),
        node("Reshape", ["x", "wanted"], ["y"]),
    ]
    zero = numpy_helper.from_array(np.array(0, np.int64), "zero")
    made = model(
        nodes, [typed("x", "b", "t", 2)], ["y"], [zero, values("axes", 0), values("rest", -1)]
    )
    back = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))
    for batch, time in ((1, 1), (2, 3), (3, 5)):
        assert back(np.zeros((batch, time, 2), np.float32)).shape == (batch, 2 * time)


def test_parts_and_parameters_of_any_name_find_a_place(tmp_path: Path) -> None:
    names = ["a", "a.b", "a.b.c", "training", "forward.w", "inputs", "_steps", "x::y.z", "0.1.2"]
    stored = [numpy_helper.from_array(X * i, n) for i, n in enumerate(names)]
    steps = [node("Add", [f"v{i}", n], [f"v{i + 1}"]) for i, n in enumerate(names)]
    made = model(steps, [typed("v0", 2, 3)], [f"v{len(names)}"], stored)
    back = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))
    assert len(list(back.named_parameters())) == len(names)
    np.testing.assert_array_equal(back(X).numpy(), X * (1 + sum(range(len(names)))))
    assert back.training
    assert [i.name for i in back.inputs] == ["v0"]


@pytest.mark.parametrize(("op", "function"), [("Cosh", np.cosh), ("Tan", np.tan)])
def test_functions_of_an_angle(op: str, function: Any, tmp_path: Path) -> None:
    made = model([node(op, ["x"], ["y"])], [typed("x", 5)], ["y"])
    x = np.array([-1.5, -1e-4, 0, 0.3, 1.2], np.float32)
    found = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))(x).numpy()
    np.testing.assert_allclose(found, function(x), rtol=1e-5)


def test_non_zero_of_known_numbers(tmp_path: Path) -> None:
    nodes = [node("NonZero", ["mask"], ["at"]), node("Add", ["at", "at"], ["y"])]
    mask = numpy_helper.from_array(np.array([[True, False], [True, True]]), "mask")
    made = model(nodes, [], ["y"], [mask])
    found = tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))()
    np.testing.assert_array_equal(found.numpy(), 2 * np.array([[0, 1, 1], [0, 0, 1]]))
