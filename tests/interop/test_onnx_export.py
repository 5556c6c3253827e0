"""What is written means what our graph means: in onnxruntime, or in ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings

import tinygrad_tx as tx
from tinygrad_tx.errors import OnnxError
from tinygrad_tx.graph.registry import find
from tinygrad_tx.interop.onnx_check import compare_onnx, run_onnx
from tinygrad_tx.interop.onnx_sizes import Size, fitted, sizes_to_try
from tinygrad_tx.interop.onnx_trace import LEFT_OUT
from tinygrad_tx.interop.onnx_writing import RULES
from tinygrad_tx.interop.onnx_writing.rules import Rule
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.testing.graphs import RandomGraph, graphs
from tinygrad_tx.testing.operators import apply
from tinygrad_tx.testing.programs import node_by_node
from tinygrad_tx.testing.rows import checked_operators, structural
from tinygrad_tx.testing.subjects import TensorSubject

onnx: Any = pytest.importorskip("onnx")
reference: Any = pytest.importorskip("onnx.reference")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.parity

Array = np.ndarray[Any, Any]

BOUNDS = {"float32": 1e-5, "float64": 1e-11}
INVERSE = {"acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "sinh", "tan"}
NO_KERNEL = {"erf", "gelu", "gelu_gradient", "log1p"} | INVERSE
"""In float64 onnxruntime has no Erf, and none of these on the CPU; ONNX's evaluator has them, the
first in float32 alone."""

REFUSED = {
    "atan2",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "copysign",
    "hypot",
    "logaddexp",
    "nextafter",
    "searchsorted",
    "signbit",
}
"""ONNX has no operator for them, nor for signs of zeros; its BitShift takes unsigned integers."""


def ran(path: Path, inputs: Sequence[Array]) -> tuple[list[Array], bool]:
    """What the file computes, and whether onnxruntime did."""
    try:
        return run_onnx(path, inputs), True
    except OnnxError as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
    model = reference.ReferenceEvaluator(str(path))
    return model.run(None, dict(zip(model.input_names, inputs, strict=True))), False


def exported(
    function: Callable[..., Any], inputs: Sequence[Array], path: Path, **options: Any
) -> tuple[list[Array], list[Array], bool]:
    """What the file gives, the truth node by node, and whether onnxruntime ran it."""
    names = [f"x{i}" for i in range(len(inputs))]
    made = tx.interop.export_onnx(function, inputs, path, input_names=names, **options)
    truth = node_by_node(TensorSubject(function, "it").traced(inputs)[1])
    read = {i.name for i in onnx.load(made.path).graph.input}
    found, by_runtime = ran(path, [a for n, a in zip(names, inputs, strict=True) if n in read])
    return found, truth, by_runtime


def check(found: Sequence[Array], truth: Sequence[Array], bound: float) -> None:
    assert [f.shape for f in found] == [t.shape for t in truth]
    assert [f.dtype for f in found] == [t.dtype for t in truth]
    for got, wanted in zip(found, truth, strict=True):
        if wanted.dtype.kind != "f":
            np.testing.assert_array_equal(got, wanted)
        elif wanted.size:
            largest = max(float(np.abs(wanted).max(initial=0)), 1e-30)
            np.testing.assert_allclose(got, wanted, rtol=0, atol=bound * largest)


def drops(attrs: Any) -> bool:
    return bool(attrs.get("dropout"))


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize("op", checked_operators(), ids=lambda op: op.name)
def test_every_operator_means_the_same(op: Any, opset: int, tmp_path: Path) -> None:
    for dtype, bound in BOUNDS.items():
        for sample in op.row.samples(np.random.default_rng(7)):
            inputs = [np.asarray(a) for a in sample.inputs]
            inputs = [a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs]

            def call(*tensors: Any, attrs: Any = sample.attrs) -> Any:
                return apply(op, *tensors, **attrs)

            if op.name in REFUSED:
                with pytest.raises(OnnxError, match=f"{op.name} has no form"):
                    exported(call, inputs, tmp_path / "m.onnx", opset=opset)
                continue
            if op.name == "random_uniform" or drops(sample.attrs):
                with pytest.raises(OnnxError, match=r"random_uniform has no form.*call eval\(\)"):
                    exported(call, inputs, tmp_path / "m.onnx", opset=opset)
                continue
            found, truth, by_runtime = exported(call, inputs, tmp_path / "m.onnx", opset=opset)
            assert by_runtime or (op.name in NO_KERNEL and dtype == "float64")
            check(found, truth, bound if by_runtime else 1e-6)


def test_every_operator_has_a_rule_or_an_expansion_or_is_refused() -> None:
    refused = {"random_uniform", "external"} | REFUSED
    bare = {
        op.name
        for op in checked_operators()
        if op.name not in RULES and op.name not in LEFT_OUT and op.expand is None
    }
    assert bare <= refused
    assert not {name for name in RULES if structural(find(name))} - {"constant"}


@given(graphs())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_graphs_mean_the_same(tmp_path: Path, graph: RandomGraph) -> None:
    inputs = [a.astype(np.float32) for a in graph.inputs]
    try:
        found, truth, by_runtime = exported(graph.__call__, inputs, tmp_path / "m.onnx")
    except OnnxError as error:
        if "has no form" not in str(error):
            raise
        event("refused: ONNX has no form for it")
        return
    event("by onnxruntime" if by_runtime else "by ONNX's evaluator")
    check(found, truth, 1e-5 if by_runtime else 1e-4)


@pytest.mark.parametrize("keys", [4, 7])
def test_causal_attention_is_aligned_to_the_end_of_the_keys(keys: int, tmp_path: Path) -> None:
    """One operator of ONNX says it where there are as many queries as keys; it aligns the first."""

    def function(q: Any, k: Any) -> Any:
        return tx.attention(q, k, k, causal=True, scale=1.7)

    made = opened(function, [(1, 2, 4, 8), (1, 2, keys, 8)], tmp_path / "m.onnx")
    agrees_at(made.path, function, (1, 2, 4, 8), (1, 2, keys, 8))
    types = {n.op_type for n in onnx.load(made.path).graph.node}
    assert ("Attention" in types) == (keys == 4)


def test_what_is_broadcast_for_nobody_is_written_so(tmp_path: Path) -> None:
    """A reader of ONNX broadcasts its inputs; a shape that no input has must be made before."""

    def function(x: Any, w: Any) -> Any:
        rows = tx.broadcast_to(x, (2, 5, 3))
        return rows * 2.0, rows @ w, tx.broadcast_to(x, (5, 3)) @ w[0], x + w

    made = opened(function, [(3,), (2, 3, 3)], tmp_path / "m.onnx")
    agrees_at(made.path, function, (3,), (2, 3, 3))


def test_small_and_large_numbers_keep_their_digits(tmp_path: Path) -> None:
    x = np.array([1e-20, -1e-7, 1e-4, 0.5, 3.0, 50.0, 1e9, 1e30, np.inf], np.float32)
    made = tx.interop.export_onnx(tx.log1p, [x], tmp_path / "m.onnx")
    np.testing.assert_allclose(run_onnx(made.path, [x])[0], np.log1p(x), rtol=1e-5)
    x = np.array([-np.inf, -300, -3, -1e-4, 1e-7, 1e-20, 0.5, 20, 88], np.float32)
    made = tx.interop.export_onnx(tx.expm1, [x], tmp_path / "m.onnx")
    np.testing.assert_allclose(run_onnx(made.path, [x])[0], np.expm1(x), rtol=1e-5)


# Open sizes


def opened(function: Callable[..., Any], shapes: Sequence[Any], path: Path, **options: Any) -> Any:
    inputs = [np.zeros(shape, np.float32) for shape in shapes]
    return tx.interop.export_onnx(function, inputs, path, **options)


def agrees_at(path: Path, function: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    assert compare_onnx(path, function, inputs) < 1e-6


def flat_mean(x: Any) -> Any:
    """Sizes in a shape, in a constant and in a range."""
    rows = x.reshape(x.shape[0] * x.shape[1], 3)
    places = tx.arange(x.shape[1], dtype=tx.float32)
    return rows.mean(0) + places.sum() / x.shape[1], rows[: x.shape[0]], x[:, ::-1]


def test_sizes_stay_open_where_nothing_else_depends_on_them(tmp_path: Path) -> None:
    made = opened(flat_mean, [(2, 8, 3)], tmp_path / "m.onnx", dynamic=("batch", "time"))
    assert [str(d) for d in made.inputs["x"]] == ["batch", "time", "3"]
    assert [str(d) for s in made.outputs.values() for d in s] == [
        *("3", "batch", "3", "batch", "time", "3")
    ]
    for batch, time in ((1, 1), (2, 8), (5, 3), (1, 40)):
        agrees_at(made.path, flat_mean, (batch, time, 3))


def test_sums_and_products_of_sizes_are_found(tmp_path: Path) -> None:
    def function(past: Any, new: Any) -> Any:
        whole = tx.concat([past, new], axis=1)
        scores = whole @ whole.swapaxes(-1, -2)
        return scores.reshape(-1), tx.pad(whole, [(0, 0), (1, 2), (0, 0)])

    axes = {"past": ("batch", "before"), "new": ("batch", "time")}
    made = opened(function, [(2, 7, 4), (2, 8, 4)], tmp_path / "m.onnx", dynamic=axes)
    assert str(made.outputs["output_1"][1]) == "before + time + 3"
    agrees_at(made.path, function, (3, 2, 4), (3, 5, 4))
    agrees_at(made.path, function, (1, 1, 4), (1, 1, 4))


def branching(x: Any) -> Any:
    return tx.exp(x) if x.shape[0] > 6 else tx.sin(x)


def baking(x: Any) -> Any:
    return x * np.linspace(0, 1, x.shape[0], dtype=np.float32)[:, None]


def counting(x: Any) -> Any:
    return x * float(x.shape[0] ** 0.5)


def halving(x: Any) -> Any:
    return x[: x.shape[0] // 2]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (branching, "at other sizes it computes exp or sin"),
        (baking, "an array from outside, whose numbers depend on an open size"),
        (counting, "the number .* depends on an open size"),
        (halving, "a size is no sum or product of open sizes: .* where batch is"),
    ],
)
def test_what_depends_on_a_size_in_another_way_is_refused(
    function: Any, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(OnnxError, match=rf"{said}.*dynamic=\(\)"):
        opened(function, [(12, 3)], path, dynamic=("batch",))
    assert not path.exists()
    opened(function, [(12, 3)], path)
    agrees_at(path, function, (12, 3))


def test_equal_names_are_equal_sizes(tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match="batch is 3 in one example input and 4 in another"):
        opened(lambda a, b: a.sum() + b.sum(), [(3,), (4,)], tmp_path / "m", dynamic=("batch",))


def test_examples_too_small_to_prove_anything_are_refused(tmp_path: Path) -> None:
    model = GPT(GPTConfig(11, context=2, layers=1, heads=1, width=4))
    with pytest.raises((OnnxError, tx.errors.ShapeError)):
        tx.interop.export_onnx(model, model.example(), tmp_path / "m", dynamic=("batch", "time"))


def test_a_sum_is_not_taken_for_what_fits_by_chance() -> None:
    sizes = sizes_to_try({"batch": 1, "time": 64}, set())
    assert fitted([s["batch"] * s["time"] for s in sizes], sizes) == Size(((("batch", "time"), 1),))
    assert fitted([2 * s["time"] - 1 for s in sizes], sizes) == Size(((("time",), 2), ((), -1)))
    assert fitted([s["batch"] ** 2 + 1 for s in sizes], sizes) is None
    assert fitted([7] * len(sizes), sizes) == 7


# The file


def gpt(**sizes: Any) -> GPT:
    return GPT(GPTConfig(31, **{"context": 12, "layers": 2, "heads": 2, "width": 8, **sizes}))


def test_weights_have_the_names_of_the_parameters(tmp_path: Path) -> None:
    model = gpt()
    made = tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx")
    stored = {t.name: t for t in onnx.load(made.path).graph.initializer}
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored[name]), parameter.numpy())
    assert all(n.startswith("constant") for n in stored.keys() - model.state_dict().keys())


def test_modules_and_points_are_noted(tmp_path: Path) -> None:
    model = gpt()
    made = tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx")
    graph = tx.interop.read_onnx(made.path)
    assert graph.modules["blocks.1.feed_forward"] == "FeedForward"
    made_by = {o: n for n in onnx.load(made.path).graph.node for o in n.output}
    assert made_by["blocks.1.residual_after_attention"].op_type == "Add"
    assert made_by["blocks.0.attention.query"].op_type == "Reshape"
    picture = tx.draw(made.path, depth=3).picture  # type: ignore[union-attr]  # a Drawing
    assert any(frame.endswith("× 2") for frame in picture.frames.values())


def test_norms_and_attention_are_one_node_each_where_the_opset_has_them(tmp_path: Path) -> None:
    model = gpt()
    for opset, expected in ((23, {"Attention", "Gelu"}), (20, {"Gelu"}), (18, set())):
        made = tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx", opset=opset)
        found = {n.op_type for n in onnx.load(made.path).graph.node}
        assert found & {"Attention", "Gelu"} == expected
        assert "LayerNormalization" in found


def test_a_model_is_exported_without_dropout_and_trains_on(tmp_path: Path) -> None:
    model = gpt(dropout=0.5).train()
    made = tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx")
    assert model.training
    assert compare_onnx(made.path, model.eval(), model.example()) < 1e-5


def test_parts_train_or_not_as_before(tmp_path: Path) -> None:
    model = gpt(dropout=0.5).train()
    model.blocks.eval()
    tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx")
    assert (model.training, model.blocks.training, model.norm.training) == (True, False, True)


def test_a_result_is_not_called_like_an_argument(tmp_path: Path) -> None:
    def function(logits: Any) -> Any:
        return tx.point(tx.tanh(logits), "logits")

    made = opened(function, [(3,)], tmp_path / "m.onnx")
    assert list(made.outputs) == ["logits_1"]
    agrees_at(made.path, function, (3,))
    with pytest.raises(OnnxError, match="unlike those of inputs"):
        opened(function, [(3,)], tmp_path / "n.onnx", output_names=["logits"])


def test_large_arrays_from_outside_are_not_taken_for_one_another(tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        return x * np.arange(200.0, dtype=np.float32) + np.arange(200, 0, -1, dtype=np.float32)

    made = opened(function, [(200,)], tmp_path / "m.onnx")
    agrees_at(made.path, function, (200,))


def test_weights_in_a_file_beside(tmp_path: Path) -> None:
    model = gpt(width=16)
    path = tmp_path / "m.onnx"
    made = tx.interop.export_onnx(model, model.example(), path, external=True)
    assert made.weights is not None
    assert made.weights.parent == tmp_path
    assert compare_onnx(path, model, model.example()) < 1e-5
    onnx.checker.check_model(str(path))  # with what lies beside
    before = path.read_bytes()
    model.embedding.weight.assign_(model.embedding.weight * 2)
    other = tx.interop.export_onnx(model, model.example(), tmp_path / "n.onnx", external=True)
    assert other.weights != made.weights
    assert (path.read_bytes(), run_onnx(path, model.example())[0].shape) == (before, (1, 12, 31))


def test_more_weights_than_a_file_holds_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinygrad_tx.interop.onnx_save.INLINE_BYTES", 10_000)
    model = gpt(width=16)
    made = tx.interop.export_onnx(model, model.example(), tmp_path / "m.onnx")
    assert made.weights is not None
    assert compare_onnx(made.path, model, model.example()) < 1e-5
    back = tx.interop.import_onnx(made.path)
    assert back.state_dict().keys() == model.state_dict().keys()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    model = gpt()
    path = tmp_path / "m.onnx"
    tx.interop.export_onnx(model, model.example(), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tx.interop.export_onnx(gpt(layers=1), model.example(), path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


def test_results_that_are_arguments_weights_or_twice_the_same(tmp_path: Path) -> None:
    weight = tx.ones((3,))

    def function(x: Any) -> Any:
        y = x + 1
        return x, weight, y, y

    made = opened(function, [(3,)], tmp_path / "m.onnx", output_names=["a", "b", "c", "d"])
    agrees_at(made.path, function, (3,))


def test_state_and_odd_arguments_are_refused(tmp_path: Path) -> None:
    counter = tx.zeros(())

    def counts(x: Any) -> Any:
        counter.assign_(counter + 1)
        return x + counter

    outside = tx.custom_op(result=lambda x: (x.shape, x.dtype))(np.sin)
    path = tmp_path / "m.onnx"
    for function, options, said in (
        (counts, {}, "changes state"),
        (lambda x: 3, {}, "returns no tensor"),
        (lambda x: x, {"opset": 17}, "opset 17 is not 18 to"),
        (lambda x: x, {"input_names": ["a", "b"]}, "input_names"),
        (lambda x: x, {"output_names": ["a", "b"]}, "output_names"),
        (lambda x: x, {"dynamic": {"y": ("batch",)}}, "dynamic names y, the inputs are x"),
        (lambda x: x, {"dynamic": {"x": ("batch", "time")}}, "2 names to x, which has 1"),
        (lambda x: x, {"dynamic": "batch"}, "pass a tuple of names"),
        (outside, {}, "external has no form in ONNX"),
    ):
        with pytest.raises(OnnxError, match=said):
            opened(function, [(3,)], path, **options)
        assert list(tmp_path.iterdir()) == []


def test_a_rule_that_gives_another_shape_is_caught_before_the_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX infers the shapes anew and compares them with ours."""
    wrong = Rule(lambda writer, node, inputs: writer.add("Transpose", inputs, perm=[0, 1]), "")
    monkeypatch.setitem(RULES, "permute_dims", wrong)
    path = tmp_path / "m.onnx"
    with pytest.raises(OnnxError, match="ONNX refuses the graph"):
        opened(lambda x: x.swapaxes(0, 1), [(2, 3)], path)
    assert not path.exists()


def test_functions_called_as_one_node_are_written_open(tmp_path: Path) -> None:
    model = gpt()
    recomputed = tx.checkpoint(lambda x: tx.tanh(x @ model.embedding.weight.T))
    made = opened(recomputed, [(2, 8)], tmp_path / "m.onnx", input_names=["x"], module=model)
    agrees_at(made.path, recomputed, (2, 8))
    assert "embedding.weight" in {t.name for t in onnx.load(made.path).graph.initializer}


def test_a_gradient_is_a_graph_like_any_other(tmp_path: Path) -> None:
    def loss(x: Any, w: Any) -> Any:
        return (tx.softmax(tx.gelu(x @ w)) ** 2).sum()

    slope = tx.grad(loss, argnums=1)
    axes = {"x": ("batch",)}
    names = ["x", "w"]
    made = opened(slope, [(8, 3), (3, 5)], tmp_path / "m.onnx", dynamic=axes, input_names=names)
    agrees_at(made.path, slope, (8, 3), (3, 5))
    agrees_at(made.path, slope, (1, 3), (3, 5))


def test_a_node_is_never_written_under_a_name_that_is_taken(tmp_path: Path) -> None:
    def function(logits: Any) -> Any:
        return tx.point(tx.tanh(logits), "logits")

    made = opened(function, [(3,)], tmp_path / "m.onnx", output_names=["logits_1"])
    agrees_at(made.path, function, (3,))
