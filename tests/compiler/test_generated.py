"""Generated kernels, run as the Python that they are, against NumPy.

The executor is the real one; only the addresses on its tape are those of Python functions, so that
hundreds of random graphs cost no compilation. Names that kernels import have twins here.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.runtime import execute
from tinygrad_tx.runtime.kernels import address_of

Array = np.ndarray[Any, Any]
ENTRY = ctypes.CFUNCTYPE(
    None, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), ctypes.c_int64
)


def view(dtype: Any) -> Callable[[int, int], Array]:
    def opened(address: int, count: int) -> Array:
        kind = np.ctypeslib.as_ctypes_type(np.dtype(dtype))
        return np.ctypeslib.as_array(ctypes.cast(int(address), ctypes.POINTER(kind)), (count,))

    return opened


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


TRUTHS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "tanh": math.tanh,
    "erf": math.erf,
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "sin": math.sin,
    "cos": math.cos,
    "sign": lambda x: float(np.sign(x)),
    "minimum": np.minimum,
    "maximum": np.maximum,
}
TWINS: dict[str, Any] = {
    "np": np,
    "sqrt": np.sqrt,
    "floats": view(np.float32),
    "doubles": view(np.float64),
    "int32s": view(np.int32),
    "int64s": view(np.int64),
    "uint8s": view(np.uint8),
    "as_float": lambda bits: np.int64(bits).view(np.float64),
    "share": lambda count, ith, nth: (count * ith // nth, count * (ith + 1) // nth),
}
for _name, _truth in TRUTHS.items():
    TWINS[f"{_name}64"] = lambda *x, f=_truth: np.float64(f(*map(float, x)))
    TWINS[f"{_name}32"] = lambda *x, f=_truth: np.float32(f(*map(float, x)))

interpreted: dict[str, Any] = {}
failures: list[BaseException] = []


def python_address(kernel: Kernel) -> int:
    """The address of a callback for a generated kernel; of the compiled code for any other."""
    if not kernel.source:
        return address_of(kernel)
    if kernel.name not in interpreted:
        text = kernel.source[kernel.source.index("def entry") :]
        space = dict(TWINS)
        exec(compile(text, kernel.name, "exec"), space)
        interpreted[kernel.name] = ENTRY(noted(space["entry"]))
    return ctypes.cast(interpreted[kernel.name], ctypes.c_void_p).value or 0


def noted(entry: Callable[..., None]) -> Callable[..., None]:
    """An exception cannot leave a callback: it is kept for the test."""

    def called(*args: Any) -> None:
        try:
            with np.errstate(all="ignore"):
                entry(*args)
        except BaseException as error:
            failures.append(error)

    return called


@pytest.fixture
def as_python(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Generated kernels run as Python, on this thread."""
    before = tx.config.threads
    tx.config.threads = 1
    monkeypatch.setattr(execute, "address_of", python_address)
    yield
    tx.config.threads = before


UNARY = ["negative", "abs", "tanh", "sigmoid", "gelu", "square", "relu", "sin", "exp", "silu"]
BINARY = ["add", "multiply", "subtract", "maximum", "minimum"]


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Array], Callable[..., Any], int]:
    """Arrays and a function of them out of elementwise operations, views and broadcasts."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=0, max_size=5)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    count = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    arrays = []
    for _ in range(count):
        own = tuple(draw(st.sampled_from([n, 1])) for n in shape)
        arrays.append(rng.normal(size=own[draw(st.integers(0, len(own))) :]).astype(dtype))
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["unary", "binary", "scalar", "turn", "flip", "where", "cast"]),
                st.integers(0, 99),
                st.integers(0, 99),
                st.integers(0, 99),
            ),
            min_size=1,
            max_size=8,
        )
    )

    def run(library: Any, *values: Any) -> Any:
        pool = [library.broadcast_to(v, shape) for v in values]
        for kind, a, b, c in steps:
            x, y = pool[a % len(pool)], pool[b % len(pool)]
            if kind == "unary":
                pool.append(unary(library, UNARY[c % len(UNARY)], x))
            elif kind == "binary":
                pool.append(getattr(library, BINARY[c % len(BINARY)])(x, y))
            elif kind == "scalar":
                pool.append(x * (c % 7 - 3) + 0.5)
            elif kind == "turn":
                order = tuple(np.random.default_rng(c).permutation(len(shape)))
                turned = library.permute_dims(x, order)
                pool.append(library.broadcast_to(turned.sum(), shape) + x)
            elif kind == "flip":
                pool.append(library.flip(x, c % len(shape)) if shape else x)
            elif kind == "where":
                pool.append(library.where(x < y, x, y * 2))
            else:
                pool.append(x + library.astype(x > 0.25, x.dtype))
        return pool[-1]

    return arrays, run, len(steps)


class Numpy:
    """NumPy under the names of the array API."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def astype(self, x: Array, dtype: Any) -> Array:
        return np.asarray(x).astype(dtype)


def unary(library: Any, name: str, x: Any) -> Any:
    if isinstance(library, Numpy) and name in (*TRUTHS, "relu"):
        truth = TRUTHS.get(name, lambda v: max(v, 0.0))
        x = np.asarray(x)
        return np.vectorize(truth, otypes=[np.float64])(x).astype(x.dtype)
    return getattr(library, name)(x)


@pytest.mark.usefixtures("as_python")
@given(program=programs())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_graphs_agree_with_numpy(program: tuple[list[Array], Any, int]) -> None:
    arrays, run, _ = program
    with np.errstate(all="ignore"):
        try:
            expected = run(Numpy(), *[a.astype(np.float64) for a in arrays])
        except OverflowError:
            return
        if not np.isfinite(expected).all() or np.abs(expected).max(initial=0) > 1e4:
            return
        got = tx.jit(lambda *v: run(tx, *v))(*arrays).numpy()
    assert failures == []
    assert got.shape == np.shape(expected)
    bound = 2e-4 if arrays[0].dtype == np.float32 else 1e-9
    scale = 1 + np.abs(expected).max(initial=0)
    np.testing.assert_allclose(got, expected, rtol=bound, atol=bound * scale)


@pytest.mark.usefixtures("as_python")
def test_the_generator_is_really_what_runs() -> None:
    before = len(interpreted)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    got = tx.jit(lambda v: tx.tanh(v.T) * 3 + 0.125)(x)
    np.testing.assert_allclose(got.numpy(), np.tanh(x.T) * 3 + 0.125, rtol=1e-6)
    assert len(interpreted) > before
