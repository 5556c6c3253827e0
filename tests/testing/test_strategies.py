"""Strategies reach their edges, counted; what they draw is what they say; they shrink."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings, strategies as st

from tinygrad_tx.graph.walk import collect
from tinygrad_tx.testing import check_program, gradcheck
from tinygrad_tx.testing.graphs import RandomGraph, graphs, loss_of, reachable, transformers
from tinygrad_tx.testing.layouts import LAID_OUT, LAYOUTS
from tinygrad_tx.testing.strategies import (
    arrays,
    broadcastable_shapes,
    dtypes,
    elements,
    indices,
    shapes,
    tensors,
)

QUIET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def counted(
    strategy: st.SearchStrategy[Any], kinds: Callable[[Any], Any], examples: int = 400
) -> Counter[str]:
    """How often each kind was drawn; an example may be of several."""
    found: Counter[str] = Counter()

    @settings(QUIET, max_examples=examples)
    @given(strategy)
    def draw(value: Any) -> None:
        found.update(name for name, holds in kinds(value).items() if holds)

    draw()
    return found


def test_shapes_reach_their_edges() -> None:
    found = counted(
        shapes(),
        lambda s: {
            "0-d": s == (),
            "size 0": 0 in s,
            "size 1": bool(s) and all(n == 1 for n in s),
            "long": bool(s) and max(s) >= 20,
            "3-d": len(s) == 3,
        },
    )
    assert min(found[k] for k in ("size 0", "size 1", "long", "3-d")) >= 5, found
    assert found["0-d"] >= 1, "there is but one such shape, and no example is drawn twice"


def test_values_reach_their_edges() -> None:
    found = counted(
        arrays(shape=(6,), special=True),
        lambda a: {
            "zero": (a == 0).any(),
            "ties": len(set(a[np.isfinite(a)])) < np.isfinite(a).sum(),
            "denormal": ((a != 0) & (np.abs(a) < 2.3e-308)).any(),
            "huge": (np.isfinite(a) & (np.abs(a) >= 1e8)).any(),
            "NaN": np.isnan(a).any(),
            "infinite": np.isinf(a).any(),
            "nearly equal": (np.abs(a - 1) < 1e-14).any(),
            "negative": (a < 0).any(),
        },
    )
    assert len(found) == 8, found
    assert min(found.values()) >= 5, found


@given(broadcastable_shapes(count=3))
def test_shapes_broadcast(drawn: tuple[tuple[int, ...], ...]) -> None:
    np.broadcast_shapes(*drawn)


def test_broadcastable_shapes_really_differ() -> None:
    found = counted(
        broadcastable_shapes(),
        lambda s: {
            "ranks": len(s[0]) != len(s[1]),
            "ones": s[0] != s[1] and len(s[0]) == len(s[1]),
        },
    )
    assert min(found["ranks"], found["ones"]) >= 20


def test_indices_repeat_and_are_negative() -> None:
    found = counted(
        indices(4, (5,)),
        lambda i: {
            "repeat": len(set(i % 4)) < 5,
            "negative": (i < 0).any(),
            "last": (i == 3).any(),
        },
        100,
    )
    assert min(found[k] for k in ("repeat", "negative", "last")) >= 10


def test_every_layout_is_drawn_and_keeps_the_values() -> None:
    @settings(QUIET, max_examples=100)
    @given(arrays(shape=shapes(max_dims=3)), st.sampled_from(LAYOUTS))
    def same(values: np.ndarray[Any, Any], layout: Any) -> None:
        laid = LAID_OUT[layout](values)
        assert laid.shape == values.shape
        assert laid.numpy().tobytes() == values.tobytes()

    same()
    drawn: Counter[str] = Counter()

    @settings(QUIET, max_examples=100)
    @given(tensors(shape=(2, 3)))
    def ops(t: Any) -> None:
        drawn.update({n.op.name for n in collect([t.node])})

    ops()
    assert {"buffer", "slice", "permute_dims", "reshape"} <= set(drawn), drawn


@given(dtypes("fib").flatmap(lambda d: st.tuples(st.just(d), elements(d))))
def test_elements_fit_their_type(drawn: tuple[np.dtype[Any], Any]) -> None:
    dtype, value = drawn
    assert np.array(value, dtype) == value or value != value


def test_random_graphs_reach_every_operator_with_a_row() -> None:
    found: set[str] = set()

    @settings(QUIET, max_examples=1500)
    @given(graphs(max_ops=1, max_rows=12))
    def draw(graph: RandomGraph) -> None:
        found.update(graph.rows)

    draw()
    assert found == set(reachable())


@pytest.mark.gradcheck
@settings(QUIET, max_examples=40)
@given(graphs(max_rows=0))
def test_gradients_of_random_graphs(graph: RandomGraph) -> None:
    gradcheck(graph, graph.inputs, directions=1, max_discarded=1.0, name="random graph")


@pytest.mark.gradcheck
@settings(QUIET, max_examples=40)
@given(graphs(max_ops=3, max_rows=2))
def test_random_graphs_with_rows_run_alike_in_every_way(graph: RandomGraph) -> None:
    check_program(graph, graph.inputs, dtypes=("float64",), name="random graph")


@pytest.mark.gradcheck
@settings(QUIET, max_examples=8)
@given(transformers())
def test_gradients_of_random_transformers(drawn: tuple[Any, Any]) -> None:
    loss, parameters = loss_of(*drawn)
    gradcheck(loss, parameters, directions=2, name="transformer")


def test_graphs_shrink_to_something_a_person_can_read() -> None:
    smallest = find(
        graphs(max_rows=0),
        lambda g: any(name == "matmul" for name, *_ in g.steps),
        settings=settings(database=None, deadline=None, max_examples=500),
    )
    assert [name for name, *_ in smallest.steps] == ["matmul"]
    assert len(smallest.inputs) == 1
