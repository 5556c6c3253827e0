"""Errors name the operation, the values, the user's line, where tensors were made, what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import errors
from tinygrad_tx.graph.place import user_place


def here() -> str:
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def test_shape_errors_name_both_tensors_and_this_line() -> None:
    a, made_a = tx.ones((3, 4)), here()
    b, made_b = tx.zeros((5, 2)), here()
    for call, word in ((lambda: a @ b, "transpose"), (lambda: a + b, "equal or 1")):
        with pytest.raises(errors.ShapeError) as caught:
            call()
        message = str(caught.value)
        for part in ("(3, 4)", "(5, 2)", f"left made at {made_a}", f"right made at {made_b}", word):
            assert part in message
        assert f"(at {__file__}:" in message


@pytest.mark.parametrize("captured", [False, True])
def test_index_errors_found_by_a_kernel_name_value_sizes_and_line(captured: bool) -> None:
    f = (lambda i: tx.take(tx.ones((3, 4)), i), here())
    call = tx.jit(f[0]) if captured else f[0]
    with pytest.raises(errors.IndexRangeError) as caught:
        call(np.array([0, 7])).numpy()
    for part in ("take", "index 7 is out of range", "float32[3, 4]", f[1]):
        assert part in str(caught.value)


def test_not_finite_names_what_was_required() -> None:
    with pytest.raises(errors.NonFiniteError, match=r"the loss at .*test_errors.py:\d+"):
        tx.jit(lambda x: tx.require_finite(x / 0.0, "the loss"))(tx.ones((2,)))


def test_each_error_is_also_what_people_already_catch() -> None:
    for mine, builtin in (
        (errors.ShapeError, ValueError),
        (errors.DTypeError, TypeError),
        (errors.IndexRangeError, IndexError),
        (errors.NonFiniteError, ArithmeticError),
        (errors.GraphError, RuntimeError),
    ):
        assert issubclass(mine, builtin)
        assert issubclass(mine, errors.TinygradTxError)


A = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda a: tx.concat([a, a.T]), errors.ShapeError, "concat"),
        (lambda a: a.reshape(5, 5), errors.ShapeError, "25"),
        (lambda a: a.reshape(-1, 5), errors.ShapeError, "reshape"),
        (lambda a: a.sum(axis=2), errors.ShapeError, "axis 2"),
        (lambda a: a.permute_dims(0, 0), errors.ShapeError, "permutation"),
        (lambda a: tx.softmax([1, 2]), errors.DTypeError, "astype"),
        (lambda a: tx.tensor([[1, 2], [3]]), errors.ShapeError, "regular"),
        (lambda a: tx.tensor(["a"]), errors.DTypeError, "<U1"),
        (lambda a: tx.ones(3, dtype="complex64"), errors.DTypeError, "complex64"),
        (lambda a: tx.take(a, [0.5]), errors.DTypeError, "float32"),
        (lambda a: tx.where(a, a, a), errors.DTypeError, "bool"),
        (lambda a: a.item(), errors.ShapeError, "one element"),
        (lambda a: tx.ones((0, 3)).max(axis=0), errors.ShapeError, "empty"),
        (lambda a: tx.cross_entropy(a, [0, 1]), errors.ShapeError, "targets"),
        (lambda a: tx.layer_norm(a, A[0, :3], A[0, :3]), errors.ShapeError, "weights"),
        (lambda a: a.backward(), errors.GraphError, "requires_grad"),
        (lambda a: tx.grad(lambda x: x)(a), errors.ShapeError, "jacobian"),
        (lambda a: tx.jacobian(lambda x: [x])(a), errors.GraphError, "list"),
        (lambda a: tx.tensor([1], requires_grad=True), errors.DTypeError, "int64"),
        (lambda a: tx.jit(lambda x: x.item())(a), errors.CaptureError, "outside"),
        (lambda a: tx.jit(lambda x: bool(x.sum() > 0))(a), errors.CaptureError, "tx.where"),
        (lambda a: tx.jit(lambda x, s: x)(a, {1}), errors.CaptureError, "hashable"),
        (lambda a: a.__setitem__(0, 1), errors.GraphError, "immutable"),
    ],
)
def test_common_mistakes(call: Callable[[Any], Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        call(tx.tensor(A))
    assert said in str(caught.value)


def test_a_tensor_that_leaked_out_of_a_capture_says_so() -> None:
    kept = []
    tx.jit(lambda x: kept.append(x * 2))(tx.ones((2,)))
    with pytest.raises(errors.GraphError, match="return it from the function"):
        kept[0].numpy()


def test_what_a_command_makes_has_no_place_in_the_library_that_called_it() -> None:
    assert "test_errors.py" in user_place()
    command = Path(errors.__file__).parent / "cli" / "train.py"
    within: dict[str, Any] = {}
    exec(compile("def run(function): return function()", str(command), "exec"), within)
    assert within["run"](user_place) == ""
    assert "test_errors.py" in within["run"](lambda: user_place())
