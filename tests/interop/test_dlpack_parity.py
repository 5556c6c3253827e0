"""DLPack both ways with PyTorch and JAX: the same memory, shown by its address."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import DTypeError, SharingError

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

DTYPES = ("float32", "float64", "int32", "int64", "bool", "float16", "uint8", "int8", "int16")


def address(x: Any) -> int:
    if isinstance(x, torch.Tensor):
        return int(x.data_ptr())
    if isinstance(x, jax.Array):
        return int(x.unsafe_buffer_pointer())
    found: int = x.array.__array_interface__["data"][0]
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_with_torch(dtype: str) -> None:
    made = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    x = tx.from_dlpack(made)
    assert (x.dtype.name, x.shape, address(x)) == (dtype, (2, 3), address(made))
    own = tx.tensor(np.arange(6).reshape(2, 3), dtype)
    for there in (torch.from_dlpack(own), torch.from_dlpack(x)):
        assert there.dtype == made.dtype
        assert torch.equal(there, made)
    assert address(torch.from_dlpack(own)) == address(own)
    assert address(torch.from_dlpack(own, copy=True)) != address(own)
    np.testing.assert_array_equal(x.numpy(), made.numpy())


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "uint8", "float16"])
def test_with_jax(dtype: str) -> None:
    made = jax.numpy.arange(100).astype(dtype)
    x = tx.from_dlpack(made)
    assert (x.dtype.name, x.shape, address(x)) == (dtype, (100,), address(made))
    own = tx.tensor(np.arange(100), dtype)
    there = jax.numpy.from_dlpack(own)
    assert there.dtype == made.dtype
    assert address(there) == address(own)
    np.testing.assert_array_equal(np.asarray(there), own.numpy())


@pytest.mark.parametrize("kind", ["torch", "jax"])
def test_either_side_keeps_the_memory_alive(kind: str) -> None:
    library = torch if kind == "torch" else jax.numpy
    expected = np.arange(50_000, dtype=np.float32)
    x = tx.from_dlpack(library.asarray(expected.copy()) + 0)
    there = library.from_dlpack(tx.tensor(expected))
    gc.collect()
    churn = [tx.full(50_000, -1.0) + i for i in range(4)]
    churn = [t.realize() for t in churn] + [np.full(50_000, -1, np.float32)]
    np.testing.assert_array_equal(x.numpy(), expected)
    np.testing.assert_array_equal(np.asarray(there), expected)
    del churn


def test_what_torch_writes_is_seen_by_the_next_operation() -> None:
    made = torch.zeros(3)
    x = tx.from_dlpack(made)
    before = x + 1
    made += 5
    assert (before.tolist(), (x + 1).tolist()) == ([1, 1, 1], [6, 6, 6])


def test_a_training_step_leaves_what_torch_holds() -> None:
    weight = tx.zeros(4, requires_grad=True)

    @tx.jit
    def step() -> tx.Tensor:
        weight.assign_(weight - 1)
        return weight.sum()

    there = torch.from_dlpack(weight)
    step(), step()
    assert there.tolist() == [0, 0, 0, 0]
    assert weight.tolist() == [-2, -2, -2, -2]


def test_layouts_and_dtypes_that_cannot_cross_are_said() -> None:
    square = torch.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(tx.from_dlpack(square.T).numpy(), square.T.numpy())
    with pytest.raises(SharingError, match="strides"):
        tx.from_dlpack(square.T, copy=False)
    with pytest.raises(DTypeError, match=r"bfloat16.*float32"):
        tx.from_dlpack(torch.zeros(3, dtype=torch.bfloat16))
    with pytest.raises(DTypeError, match="complex64"):
        tx.from_dlpack(torch.zeros(3, dtype=torch.complex64))
    with pytest.raises(BufferError, match="detach"):
        tx.from_dlpack(torch.zeros(3, requires_grad=True))
    assert tx.from_dlpack(torch.zeros((0, 3))).shape == (0, 3)
    assert tx.from_dlpack(torch.tensor(2.5)).item() == 2.5
