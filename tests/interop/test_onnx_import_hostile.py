"""ONNX files from anyone, to be run: a clear error or a result, and no file but those beside it."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.errors import OnnxError, TinygradTxError
from tinygrad_tx.models import GPT, GPTConfig

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from tests.interop.graphs import model, node, saved, typed, values

pytestmark = pytest.mark.parity

X = np.ones((2, 3), np.float32)


def adds(tensor: Any) -> Any:
    return model([node("Add", ["x", "w"], ["y"])], [typed("x", 2, 3)], ["y"], [tensor])


def beside(**entries: Any) -> Any:
    """A tensor whose numbers lie in a file."""
    tensor = TensorProto(name="w", dims=[2, 3], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def refused(made: Any, folder: Path, said: str) -> None:
    with pytest.raises(OnnxError, match=said):
        tx.interop.import_onnx(saved(made, folder / "m.onnx"))


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    X.tofile(tmp_path / "below" / "w.bin")
    tensor = beside(location="below/w.bin")
    found = tx.interop.import_onnx(saved(adds(tensor), tmp_path / "m.onnx"))(X)
    np.testing.assert_array_equal(found.numpy(), 2 * X)


@pytest.mark.parametrize(
    "location", ["../w.bin", "below/../../w.bin", "/etc/passwd", "link.bin", "dir/w.bin", ""]
)
def test_weights_elsewhere_are_not_read(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "below").mkdir(parents=True)
    X.tofile(tmp_path / "w.bin")
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "dir").symlink_to(tmp_path)
    refused(
        adds(beside(location=location)), folder, "'w' lies in .*, outside of the model's folder"
    )


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"location": "gone.bin"}, "'gone.bin', which is no file here"),
        ({"location": "."}, "which is no file here"),
        ({"location": "w.bin", "offset": 4}, "claims 24 bytes at 4 of 'w.bin', which has 24"),
        ({"location": "w.bin", "offset": -4}, "claims 24 bytes at -4"),
        ({"location": "w.bin", "length": 20}, "claims 24 bytes"),
        ({"location": "w.bin", "offset": "many"}, "tensor 'w': invalid literal"),
        ({"location": "w\0.bin"}, "tensor 'w': embedded null"),
        ({"location": "w" * 5000}, "tensor 'w': |which is no file"),
    ],
)
def test_files_of_weights_that_do_not_fit_are_refused(
    entries: dict[str, Any], said: str, tmp_path: Path
) -> None:
    X.tofile(tmp_path / "w.bin")
    refused(adds(beside(**entries)), tmp_path, said)


def test_a_pipe_beside_the_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.bin")
    refused(adds(beside(location="w.bin")), tmp_path, "which is no file here")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dims": [2**40, 2**40]}, r"'w' claims [\d,]+ bytes and holds 24"),
        ({"dims": [2, 4]}, "'w' claims 32 bytes and holds 24"),
        ({"dims": [-2, -3]}, r"'w' claims the shape \(-2, -3\)"),
        ({"dims": [1] * 100}, "'w' claims the shape"),
        ({"raw_data": b"123"}, "'w' claims 24 bytes and holds 3"),
        ({"data_type": 99}, "'w' is type 99, of which there is no arithmetic here"),
        ({"data_type": TensorProto.STRING}, "'w' is STRING"),
        ({"data_type": TensorProto.BFLOAT16}, "'w' is BFLOAT16"),
        ({"data_type": TensorProto.INT4}, "'w' is INT4"),
        ({"data_type": TensorProto.DOUBLE}, "'w' claims 48 bytes and holds 24"),
    ],
)
def test_declared_sizes_and_types_are_compared_with_what_is_there(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    tensor = numpy_helper.from_array(X, "w")
    for key, value in change.items():
        if key == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, key, value)
    refused(adds(tensor), tmp_path, said)


HUGE = 2**40


@pytest.mark.parametrize(
    "made",
    [
        ("ConstantOfShape", [values("n", HUGE)]),
        ("Expand", [numpy_helper.from_array(X, "a"), values("n", HUGE, 1, 1)]),
        ("Tile", [numpy_helper.from_array(X, "a"), values("n", HUGE, 2)]),
        ("Pad", [numpy_helper.from_array(X, "a"), values("n", HUGE, 0, 0, 0)]),
        (
            "Range",
            [numpy_helper.from_array(np.array(n), "abc"[i]) for i, n in enumerate((0, HUGE, 1))],
        ),
        ("OneHot", [values("a", 1), values("n", HUGE), values("v", 0, 1)]),
        (
            "Range",
            [numpy_helper.from_array(np.array(n), "abc"[i]) for i, n in enumerate((0, 9, 0))],
        ),
    ],
    ids=lambda made: made[0],
)
def test_what_asks_for_more_memory_than_there_is_is_refused(made: Any, tmp_path: Path) -> None:
    op, stored = made
    graph = model([node(op, [t.name for t in stored], ["y"])], [], ["y"], stored)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OnnxError, match=f"{op}: it asks for|{op}: its step is 0"):
        tx.interop.import_onnx(saved(graph, tmp_path / "m.onnx"))()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_a_result_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    """Each broadcast is small in memory; their product is not."""
    nodes = [node("Expand", ["x", "n"], ["a"]), node("Add", ["a", "a"], ["y"])]
    made = model(nodes, [typed("x", 2, 3)], ["y"], [values("n", 2**20, 2, 3)])
    nodes.append(node("Concat", ["y"] * 2000, ["z"], axis=0))
    made = model(nodes, [typed("x", 2, 3)], ["z"], [values("n", 2**20, 2, 3)])
    with pytest.raises(OnnxError, match="no memory holds it"):
        tx.interop.import_onnx(saved(made, tmp_path / "m.onnx"))(X)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(X[0], "w"), values("i", 0, 1, 2), [6]
    )
    made = model([node("Add", ["x", "w"], ["y"])], [typed("x", 6)], ["y"])
    made.graph.sparse_initializer.append(sparse)
    refused(made, tmp_path, "'w' is sparse")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole model, as it is written here."""
    path = tmp_path_factory.mktemp("real") / "m.onnx"
    tx.models.save_onnx(GPT(GPTConfig(11, 8, 1, 2, 4)), path)
    return path.read_bytes()


@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_model_gives_an_error_or_runs(
    real: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    """Bytes changed, cut out or put in, anywhere in a real file."""
    raw = bytearray(real)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["set", "flip", "cut", "insert"]))
        if kind == "set":
            raw[at] = data.draw(st.integers(0, 255))
        elif kind == "flip":
            raw[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        else:
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes(raw))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = ""
    try:
        module = tx.interop.import_onnx(path)
        inputs = [
            np.zeros([d if isinstance(d, int) else 3 for d in i.dims or ()], np.int64)
            for i in module.inputs
            if np.prod([d for d in i.dims or () if isinstance(d, int)]) < 1e6
        ]
        results = module(*inputs)
        for result in results if isinstance(results, tuple) else (results,):
            if result.size < 1e6:
                result.numpy()
    except TinygradTxError as error:
        said = str(error)
    assert "\n" not in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
