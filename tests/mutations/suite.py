"""The suite with its default budget, as it is run against every mutant."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

import tinygrad_tx as tx
from tinygrad_tx.testing import GradientError, check_operator, check_program, gradcheck
from tinygrad_tx.testing.graphs import RandomGraph, graphs, transformers

GRAPHS, TRANSFORMERS = 60, 5


def run_suite(operator: str) -> tuple[str, int] | None:
    """(check, samples before it) of the first failure, or None.

    The row of `operator` comes first. An error raised by the graph counts as a failure.
    """
    steps = [lambda: check_operator(operator)] if operator else []
    for step in (*steps, scatter_race, random_graphs, small_transformers):
        try:
            step()
        except GradientError as error:
            return error.failure.check, error.report.samples
        except Exception as error:
            return f"{type(error).__name__}", 1
    return None


def scatter_race() -> None:
    """Many updates of few rows, on one thread and on two, several times."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 3, 20_000)
    updates = rng.normal(size=(20_000, 16))
    for _ in range(3):
        check_program(
            lambda u: tx.scatter_add(u, indices, 3), (updates,), gradients=False, name="scatter_add"
        )


def random_graphs() -> None:
    @settings(
        max_examples=GRAPHS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(graphs(max_rows=0))
    def check(graph: RandomGraph) -> None:
        check_program(graph, graph.inputs, name="random graph")

    check()


def small_transformers() -> None:
    @settings(
        max_examples=TRANSFORMERS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(transformers())
    def check(drawn: tuple[tx.models.GPT, np.ndarray]) -> None:  # type: ignore[type-arg]
        model, tokens = drawn
        weight = model.embedding.weight

        def loss(w: tx.Tensor) -> tx.Tensor:
            model.embedding.weight = w
            try:
                return model.loss(tokens[:, :-1], tokens[:, 1:])
            finally:
                model.embedding.weight = weight

        gradcheck(loss, (weight.numpy(),), directions=1, relative=1e-3, name="transformer")

    check()
