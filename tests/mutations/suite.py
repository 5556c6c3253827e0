"""The suite with its default budget, as it is run against every mutant."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.testing import GradientError, check_operator, check_program, gradcheck
from tinygrad_tx.testing.graphs import VIEWS, RandomGraph, graphs, loss_of, transformers
from tinygrad_tx.testing.report import finished

GRAPHS, TRANSFORMERS = 60, 5
# Axes of one size, so that an axis taken for another is no error of shape.
CUBES = st.sampled_from([(3, 3, 3), (2, 2, 2, 2), (3, 3), (1, 3, 3)])
QUIET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


def run_suite(operator: str) -> tuple[str, int] | None:
    """(check, samples before it) of the first failure, or None.

    The row of `operator` comes first. An error raised by the graph counts as a failure.
    """
    mark = len(finished)
    try:
        return _first_failure(operator)
    finally:
        del finished[mark:]  # what a mutant did is no news of the operators


def _first_failure(operator: str) -> tuple[str, int] | None:
    steps = [lambda: check_operator(operator)] if operator else []
    every = (views_in_a_row, parallel_sizes, random_graphs, random_views, small_transformers)
    for step in (*steps, *every):
        try:
            step()
        except GradientError as error:
            return error.failure.check, error.report.samples
        except Exception as error:  # a broken graph may raise anything
            return f"{type(error).__name__}", 1
    return None


def parallel_sizes() -> None:
    """Sizes whose work is shared, on one thread and on two: rows that meet, and sums of blocks."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 3, 20_000)
    updates = rng.normal(size=(20_000, 16))
    for _ in range(3):
        check_program(lambda u: tx.scatter_add(u, indices, 3), (updates,), gradients=False)
    x, w, b = rng.normal(size=(300, 96)), rng.normal(size=96), rng.normal(size=96)
    check_program(lambda x, w, b: tx.gelu(tx.layer_norm(x, w, b)), (x, w, b))
    check_program(lambda x, y: tx.softmax(x @ y), (x, rng.normal(size=(96, 80))))


def views_in_a_row() -> None:
    """Every pair of permutations of a cube, and every axis turned around before one."""
    x = np.random.default_rng(0).normal(size=(3, 3, 3))
    orders = list(itertools.permutations(range(3)))

    def f(x: tx.Tensor) -> list[tx.Tensor]:
        pairs = [tx.permute_dims(tx.permute_dims(x, p), q) for p in orders for q in orders]
        turned = [tx.permute_dims(tx.flip(x, axis), p) for axis in range(3) for p in orders]
        return [tx.concat([v * 1.5 for v in some]) for some in (pairs, turned)]

    check_program(f, (x,), name="views in a row")


def random_graphs() -> None:
    @settings(QUIET, max_examples=GRAPHS)
    @given(graphs(max_rows=0))
    def check(graph: RandomGraph) -> None:
        check_program(graph, graph.inputs, name="random graph")

    check()


def random_views() -> None:
    @settings(QUIET, max_examples=GRAPHS)
    @given(graphs(max_rows=0, max_inputs=1, kinds=VIEWS, sizes=CUBES))
    def check(graph: RandomGraph) -> None:
        check_program(graph, graph.inputs, name="random views")

    check()


def small_transformers() -> None:
    @settings(QUIET, max_examples=TRANSFORMERS)
    @given(transformers())
    def check(drawn: tuple[tx.models.GPT, np.ndarray]) -> None:  # type: ignore[type-arg]  # any
        loss, parameters = loss_of(*drawn)
        gradcheck(loss, parameters, directions=2, name="transformer")

    check()
