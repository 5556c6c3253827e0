"""Memory shared with NumPy both ways: what is shared, what is not, and who may change what."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_tx as tx
from tinygrad_tx.errors import CaptureError, DeviceError, DTypeError, SharingError

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "float64", "int32", "int64", "bool", "float16", "int8", "int16", "uint8")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def address(x: Array | tx.Tensor) -> int:
    array = x.array if isinstance(x, tx.Tensor) else x
    found: int = array.__array_interface__["data"][0]
    return found


IMPORTS: list[Callable[..., tx.Tensor]] = [tx.from_dlpack, tx.asarray]
EXPORTS: list[Callable[[tx.Tensor], Array]] = [np.asarray, np.from_dlpack, lambda x: x.numpy()]


@given(data=st.data(), shape=SHAPES, dtype=st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=60)
def test_there_and_back_in_the_same_memory(data: Any, shape: Any, dtype: str) -> None:
    array = data.draw(hnp.arrays(dtype, shape))
    x = data.draw(st.sampled_from(IMPORTS))(array)
    assert (x.shape, x.dtype) == (array.shape, array.dtype)
    back = data.draw(st.sampled_from(EXPORTS[:2]))(x)
    np.testing.assert_array_equal(back, array)
    assert not back.flags.writeable
    if array.size:
        assert address(back) == address(x) == address(array)


def strided(kind: str) -> Array:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    return {
        "every second": base[:, ::2],
        "transposed": base.T,
        "backwards": base[::-1],
        "broadcast": np.broadcast_to(base[0], (4, 6)),
        "not aligned": np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:].view(np.float32),
        "other byte order": base.astype(">f4"),
    }[kind]


STRIDED = ["every second", "transposed", "backwards", "broadcast", "not aligned"]


@pytest.mark.parametrize("kind", [*STRIDED, "other byte order"])
def test_other_layouts_are_copied_and_never_shared(kind: str) -> None:
    array = strided(kind)
    x = tx.asarray(array)
    np.testing.assert_array_equal(x.numpy(), array)
    assert not np.shares_memory(x.array, array)
    with pytest.raises(SharingError, match="needs a copy"):
        tx.asarray(array, copy=False)


@pytest.mark.parametrize("source", IMPORTS)
def test_copy_says_whether_memory_is_shared(source: Callable[..., tx.Tensor]) -> None:
    array = np.arange(6, dtype=np.float32)
    assert address(source(array, copy=False)) == address(array)
    assert address(source(array, copy=None)) == address(array)
    assert not np.shares_memory(source(array, copy=True).array, array)
    assert not np.shares_memory(tx.tensor(array).array, array)
    for bad in (BufferError, ValueError):
        with pytest.raises(bad):
            source(array[::2], copy=False)


@pytest.mark.parametrize("source", IMPORTS)
def test_memory_lives_as_long_as_whoever_uses_it(source: Callable[..., tx.Tensor]) -> None:
    expected = np.arange(50_000, dtype=np.float32)
    x = source(expected.copy())
    gc.collect()
    churn = [np.full(50_000, -1, np.float32) for _ in range(4)]
    np.testing.assert_array_equal(x.numpy(), expected)
    views = [export(x) for export in EXPORTS]
    del x, churn
    gc.collect()
    churn = [np.full(50_000, -2, np.float32) for _ in range(4)]
    for view in views:
        np.testing.assert_array_equal(view, expected)
    del churn


@pytest.mark.parametrize("export", EXPORTS)
def test_results_of_a_step_that_are_held_are_not_given_out_again(
    export: Callable[[tx.Tensor], Array],
) -> None:
    @tx.jit
    def step(x: tx.Tensor) -> tx.Tensor:
        return x + 1

    held = [export(step(tx.full(1000, i))) for i in range(6)]
    gc.collect()
    assert len({address(h) for h in held}) == 6
    for i, array in enumerate(held):
        np.testing.assert_array_equal(array, np.full(1000, i + 1, np.float32))


@pytest.mark.parametrize("export", EXPORTS)
def test_a_step_leaves_what_was_exported_of_its_state(export: Callable[[tx.Tensor], Array]) -> None:
    state = tx.zeros(100)

    @tx.jit
    def step(x: tx.Tensor) -> tx.Tensor:
        state.assign_(state + x)
        return state.sum()

    step(tx.ones(100))
    view = export(state)
    assert address(view) == address(state)
    step(tx.ones(100))
    np.testing.assert_array_equal(view, np.ones(100))
    np.testing.assert_array_equal(state.numpy(), np.full(100, 2.0))


def test_a_step_that_nobody_looks_at_stays_in_its_memory() -> None:
    state = tx.zeros(100)

    @tx.jit
    def step() -> tx.Tensor:
        state.assign_(state + 1)
        return state.sum()

    step()
    np.asarray(state)
    step()
    before = address(state)
    step()
    assert address(state) == before


def test_tensors_that_were_computed_together_are_assigned_apart() -> None:
    x = tx.ones(3)
    first, second = x + 1, x + 1  # one node, one memory
    first.realize(), second.realize()

    @tx.jit
    def step() -> tx.Tensor:
        first.assign_(first * 10)
        return first.sum()

    step()
    assert first.tolist() == [20, 20, 20]
    assert second.tolist() == [2, 2, 2]


def test_what_was_assigned_is_not_changed_with_the_state() -> None:
    x, state = tx.ones(3), tx.zeros(3)
    first, second = x + 1, x + 1
    held = first.numpy()
    state.assign_(second)  # the same node, and its memory

    @tx.jit
    def step() -> tx.Tensor:
        state.assign_(state * 10)
        return state.sum()

    step()
    assert held.tolist() == first.tolist() == second.tolist() == [2, 2, 2]
    assert state.tolist() == [20, 20, 20]


def test_assigning_to_an_argument_never_writes_into_an_array_of_others() -> None:
    @tx.jit
    def step(x: tx.Tensor) -> tx.Tensor:
        x.assign_(x * 2)
        return x.sum()

    array = np.ones(4, np.float32)
    for _ in range(3):
        step(array)
        step(tx.from_dlpack(array))
    np.testing.assert_array_equal(array, np.ones(4))
    own = tx.ones(4)
    step(own), step(own)
    assert own.tolist() == [4, 4, 4, 4]


# Memory that its owner goes on writing to


def test_what_is_shared_counts_as_it_is_when_it_is_used() -> None:
    array = np.zeros(3, np.float32)
    x = tx.from_dlpack(array)
    before = x + 1
    product = x * x
    array[:] = 5
    after = x + 1  # the same expression, of other values
    assert before.tolist() == [1, 1, 1]
    assert product.tolist() == [0, 0, 0]
    assert after.tolist() == [6, 6, 6]
    assert x.tolist() == [5, 5, 5]
    snapshot = x.numpy()
    array[:] = 7
    np.testing.assert_array_equal(snapshot, np.full(3, 5.0))
    np.testing.assert_array_equal(np.asarray(x), np.full(3, 7.0))


CALLS: list[Callable[[Any], Any]] = [
    lambda x: x[1:],
    lambda x: x.reshape((9,)),
    lambda x: x.mT @ x,
    lambda x: x[x > 0.5],
    lambda x: tx.mean(x, axis=0),
    lambda x: tx.var(x),
    lambda x: tx.sort(x),
    lambda x: tx.argsort(x),
    lambda x: tx.logsumexp(x, axis=1),
    lambda x: tx.softmax(x),
    lambda x: tx.layer_norm(x, x[0], x[1]),
    lambda x: tx.cumulative_prod(x, axis=1),
    lambda x: tx.split(x, 3),
    lambda x: tx.unstack(x),
    lambda x: tx.roll(x, 1),
    lambda x: tx.tril(x),
    lambda x: tx.isin(x, x[0]),
    lambda x: tx.searchsorted(x[0], x),
    lambda x: tx.topk(x, 2),
    lambda x: tx.einsum("ij,kj->ik", x, x),
    lambda x: tx.broadcast_to(x, (2, 3, 3)),
    lambda x: tx.maximum(tx.astype(x * 9, tx.int64), 2),
]


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_every_result_is_of_the_values_at_the_call(index: int) -> None:
    array = np.random.default_rng(0).uniform(0.1, 0.9, (3, 3)).astype(np.float32)

    def results(x: Any) -> Any:
        found = CALLS[index](x)
        return found if isinstance(found, tuple) else (found,)

    expected = [t.numpy() for t in results(tx.tensor(array))]
    got = results(tx.asarray(array))
    array[:] = 7
    for tensor, wanted in zip(got, expected, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), wanted)


def test_a_call_and_a_derivative_count_as_one_operation() -> None:
    array = np.ones(3, np.float32)
    x = tx.asarray(array)
    called = tx.checkpoint(lambda v: (v * 2 + x, v - x))(x)
    value, moved = tx.jvp(lambda v: v * v * x, (x,), (x,))
    _, pull = tx.vjp(lambda v: v * x, tx.ones(3))
    pulled = pull(x)
    itself, _ = tx.vjp(lambda v: v, x)
    array[:] = 5
    assert itself.tolist() == [1, 1, 1]
    assert [t.tolist() for t in called] == [[3, 3, 3], [0, 0, 0]]
    assert (value.tolist(), moved.tolist()) == ([1, 1, 1], [2, 2, 2])
    assert np.asarray(pulled[0] if isinstance(pulled, tuple) else pulled).tolist() == [1, 1, 1]


def test_gradients_use_the_values_of_the_forward_pass() -> None:
    array = np.array([1.0, 2.0, 3.0], np.float32)
    x, weight = tx.from_dlpack(array), tx.ones(3, requires_grad=True)
    loss = ((x * weight) ** 2).sum()
    array[:] = 100
    loss.backward()
    assert loss.item() == 14
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad.numpy(), [2, 8, 18])
    gradient = tx.grad(lambda v: (v * v * v).sum())(x)
    array[:] = 0
    np.testing.assert_allclose(gradient.numpy(), np.full(3, 3e4))


def test_a_step_reads_shared_state_anew_at_each_call() -> None:
    array = np.zeros(3, np.float32)
    x = tx.from_dlpack(array)
    step = tx.jit(lambda y: x + y)
    for value in (1, 2, 3):
        array[:] = value
        assert step(tx.ones(3)).tolist() == [value + 1] * 3
        assert tx.jit(lambda v: v * 2)(x).tolist() == [value * 2] * 3


def test_a_parameter_made_of_shared_memory_moves_before_it_is_trained() -> None:
    array = np.ones(4, np.float32)
    array.flags.writeable = False
    weight = tx.from_dlpack(array)
    weight.requires_grad_()
    assert not np.shares_memory(weight.array, array)
    weight.assign_(weight - 1)

    @tx.jit
    def step() -> tx.Tensor:
        weight.assign_(weight - 1)
        state.assign_(state - 1)
        return weight.sum()

    state = tx.asarray(array)
    step(), step()
    np.testing.assert_array_equal(array, np.ones(4))
    assert weight.tolist() == [-2] * 4
    assert state.tolist() == [-1] * 4


@given(offset=st.integers(0, 15), rows=st.integers(1, 20), columns=st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_kernels_take_memory_that_starts_anywhere(offset: int, rows: int, columns: int) -> None:
    memory = np.arange(16 + rows * columns, dtype=np.float32) / 100
    array = memory[offset : offset + rows * columns].reshape(rows, columns)
    x = tx.asarray(array, copy=False)
    np.testing.assert_allclose(
        (x @ x.mT).numpy(), array.astype(np.float64) @ array.T.astype(np.float64), rtol=1e-5
    )
    np.testing.assert_allclose(tx.jit(tx.softmax)(x).numpy(), tx.softmax(tx.tensor(array)).numpy())


# The words of the protocols


def test_array_says_when_it_would_copy() -> None:
    x = tx.ones(3)
    assert np.array(x, copy=True).flags.writeable
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert address(np.asarray(x, dtype=np.float32)) == address(x)
    with pytest.raises(ValueError, match="needs a copy"):
        np.array(x, dtype=np.float64, copy=False)
    assert address(np.array(x, copy=False)) == address(x)


def test_a_capsule_of_an_older_kind_carries_the_memory_where_that_may_be_written() -> None:
    class Old:
        """What a consumer that knows nothing of versions makes of a producer."""

        def __init__(self, x: tx.Tensor, **options: Any) -> None:
            self.x, self.options = x, options

        def __dlpack__(self, **_: Any) -> Any:
            return self.x.__dlpack__(**self.options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.x.__dlpack_device__()

    x = tx.ones(3)
    assert address(np.from_dlpack(Old(x))) == address(x)
    fixed = np.ones(3, np.float32)
    fixed.flags.writeable = False
    shared = tx.asarray(fixed)
    assert address(np.from_dlpack(Old(shared))) != address(fixed)
    with pytest.raises(BufferError, match="read-only"):
        shared.__dlpack__(copy=False)
    copied = np.from_dlpack(Old(x, max_version=(1, 0), copy=True))
    assert address(copied) != address(x)


def test_what_is_not_here_is_said() -> None:
    x = tx.ones(3)
    with pytest.raises(BufferError, match="on the CPU"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="on the CPU"):
        x.__dlpack__(stream=1)
    with pytest.raises(DeviceError):
        tx.asarray([1], device="gpu")
    with pytest.raises(DeviceError):
        x.to_device("gpu")
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="2099"):
        x.__array_namespace__(api_version="2099.12")
    with pytest.raises(DTypeError, match="complex64"):
        tx.from_dlpack(np.zeros(3, np.complex64))
    with pytest.raises(DTypeError, match="__dlpack__"):
        tx.from_dlpack([1, 2])
    with pytest.raises(SharingError):
        tx.asarray([1, 2], copy=False)
    for take in (tx.asarray, tx.tensor):
        with pytest.raises(DTypeError, match="mask"):
            take(np.ma.array([1.0, 2.0], mask=[0, 1]))


def test_nothing_is_exported_of_what_is_only_recorded() -> None:
    for export in (np.asarray, lambda x: x.__dlpack__()):
        with pytest.raises(CaptureError):
            tx.jit(lambda x, export=export: export(x + 1))(tx.ones(3))


def test_asarray_takes_whatever_has_memory() -> None:
    memory = bytearray(b"\1\2\3")
    x = tx.asarray(memory)
    assert (x.dtype, x.tolist()) == (tx.uint8, [1, 2, 3])
    memory[0] = 9
    assert (x * 1).tolist() == [9, 2, 3]
    assert tx.asarray(x) is x
    assert tx.asarray(x, dtype="int64").dtype == tx.int64
    assert tx.asarray(2.5).dtype == tx.float32
    assert tx.asarray([[1, 2]], dtype=tx.float64).tolist() == [[1.0, 2.0]]


def test_lists_become_their_dtype_without_a_detour() -> None:
    """By way of float32 the last digits were lost, and large numbers became infinite."""
    assert tx.tensor([0.1, 1e300], dtype="float64").tolist() == [0.1, 1e300]
    assert tx.tensor([2**24 + 1.0], dtype=tx.float64).item() == 2**24 + 1
    with pytest.raises(DTypeError, match="wider"):
        tx.tensor([300], dtype=tx.uint8)
