"""einops on our tensors: the values of einops on NumPy arrays, with gradients, under jit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx

pytestmark = pytest.mark.parity
einops = pytest.importorskip("einops")


@st.composite
def rearrangements(draw: Any) -> tuple[str, dict[str, int]]:
    """A pattern with groups on both sides, and the size of each letter."""
    letters = "abcde"[: draw(st.integers(1, 5))]
    sizes = {letter: draw(st.integers(1, 3)) for letter in letters}

    def side(order: list[str]) -> str:
        text = ""
        while order:
            count = draw(st.integers(1, min(3, len(order))))
            group, order = order[:count], order[count:]
            text += f" ({' '.join(group)})" if count > 1 else f" {group[0]}"
        return text

    left = draw(st.permutations(letters))
    right = draw(st.permutations(letters))
    return f"{side(list(left))} -> {side(list(right))}", sizes


def whole(side: str, sizes: dict[str, int]) -> tuple[int, ...]:
    """The shape that one side of a pattern has."""
    shape, depth = [], 0
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            depth = 1
            shape.append(1)
        elif word == ")":
            depth = 0
        elif depth:
            shape[-1] *= sizes[word]
        else:
            shape.append(sizes[word])
    return tuple(shape)


@given(given=rearrangements())
@settings(deadline=None, max_examples=60)
def test_rearrange(given: tuple[str, dict[str, int]]) -> None:
    pattern, sizes = given
    x = np.random.default_rng(0).normal(size=whole(pattern.split("->")[0], sizes))
    expected = einops.rearrange(x, pattern, **sizes)
    got = einops.rearrange(tx.tensor(x), pattern, **sizes)
    assert isinstance(got, tx.Tensor)
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("operation", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("pattern", ["a b c -> b", "a b c -> ", "a b c -> c 1 a", "a (b d) c -> d"])
def test_reduce(operation: str, pattern: str) -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 4))
    sizes = {"d": 3} if "d" in pattern else {}
    got = einops.reduce(tx.tensor(x), pattern, operation, **sizes)
    np.testing.assert_allclose(got.numpy(), einops.reduce(x, pattern, operation, **sizes))


@pytest.mark.parametrize(
    "pattern", ["a b -> a r b", "a b -> (r a) b", "a b -> r a b", "a b -> a (b r)"]
)
def test_repeat(pattern: str) -> None:
    x = np.random.default_rng(2).normal(size=(2, 3))
    got = einops.repeat(tx.tensor(x), pattern, r=3)
    np.testing.assert_array_equal(got.numpy(), einops.repeat(x, pattern, r=3))


def test_einsum_pack_and_unpack() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    pattern = "batch query width, batch key width -> batch query key"
    got = einops.einsum(tx.tensor(x), tx.tensor(y), pattern)
    np.testing.assert_allclose(got.numpy(), einops.einsum(x, y, pattern))
    packed, shapes = einops.pack([tx.tensor(x), tx.tensor(y[0])], "* width")
    expected, _ = einops.pack([x, y[0]], "* width")
    np.testing.assert_array_equal(packed.numpy(), expected)
    for back, original in zip(einops.unpack(packed, shapes, "* width"), (x, y[0]), strict=True):
        np.testing.assert_array_equal(back.numpy(), original)


def test_a_list_of_tensors_is_stacked_and_shapes_are_parsed() -> None:
    x = tx.ones((2, 3))
    assert einops.rearrange([x, x], "n a b -> a (n b)").shape == (2, 6)
    assert einops.parse_shape(x, "a b") == {"a": 2, "b": 3}


def heads(x: Any) -> Any:
    split = einops.rearrange(x, "time (heads width) -> heads time width", heads=2)
    return einops.reduce(tx.exp(split), "heads time width -> ", "sum")


def test_gradients_go_through_and_a_step_is_recorded() -> None:
    x = np.random.default_rng(4).normal(size=(3, 4))
    np.testing.assert_allclose(tx.grad(heads)(x).numpy(), np.exp(x))
    np.testing.assert_allclose(tx.jit(tx.grad(heads))(x).numpy(), np.exp(x))


@pytest.mark.parametrize("first", ["einops", "tinygrad_tx"])
def test_either_may_be_imported_first_and_ours_imports_no_other(first: str) -> None:
    second = {"einops": "tinygrad_tx", "tinygrad_tx": "einops"}[first]
    code = f"""
import sys
import {first}
assert {first!r} == "einops" or "einops" not in sys.modules
import {second}
x = tinygrad_tx.ones((2, 3))
assert einops.rearrange(x, "a b -> b a").shape == (3, 2)
assert not any(type(f).__name__ == "_Finder" for f in sys.meta_path)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
