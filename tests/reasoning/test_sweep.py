"""A sweep gives what each intervention gives alone, in one program, within its budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import GraphError, PointError, ShapeError

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 29, (3, 7))
VECTOR = RNG.normal(size=8).astype(np.float32)


def lively() -> Any:
    model = tx.models.GPT(tx.models.GPTConfig(29, 16, 2, 2, 8))
    for p in model.parameters():
        p.assign_(p.numpy() + RNG.normal(0, 0.2, p.shape).astype(np.float32))
    return model.eval()


MODEL = lively()
RUNS: list[Any] = [
    *({f"blocks.{b}.attention.context": reasoning.zero(heads=h)} for b in (0, 1) for h in (0, 1)),
    {"blocks.1.residual_before": reasoning.add(VECTOR, positions=-1)},
    {"blocks.*.feed_forward.output": reasoning.scale(0.5, examples=[0, 2])},
    {"blocks.1.residual_before": RNG.normal(size=(3, 7, 8)).astype(np.float32), "logits": 1.0},
    {},
]


def last(logits: Any, tokens: Any) -> Any:
    del tokens
    return logits[:, -1]


def test_each_run_is_its_intervention_alone() -> None:
    found = reasoning.sweep(MODEL, TOKENS, RUNS, last)
    assert found.shape == (len(RUNS), 3, 29)
    for run, row in zip(RUNS, found, strict=True):
        alone = reasoning.intervene(MODEL, TOKENS, run).numpy()[:, -1]
        np.testing.assert_allclose(row, alone, atol=1e-5)


def test_a_small_budget_gives_the_same_in_more_pieces() -> None:
    plans: list[Any] = []
    seen: list[tuple[int, int]] = []
    whole = reasoning.sweep(MODEL, TOKENS, RUNS, last, on_plan=plans.append)
    each = plans[0].bytes // plans[0].runs
    small = reasoning.sweep(
        MODEL,
        TOKENS,
        RUNS,
        last,
        memory=3 * each,
        on_plan=plans.append,
        on_chunk=lambda done, total: seen.append((done, total)),
    )
    assert plans[0].count == 1
    assert plans[1].runs == 3
    assert plans[1].bytes <= 3 * each
    assert seen == [(3, 8), (6, 8), (8, 8)]
    np.testing.assert_allclose(small, whole, atol=1e-6)


def test_a_value_that_is_not_finite_is_replaced_and_not_multiplied_by_zero() -> None:
    changes = {"blocks.0.feed_forward.output": np.inf, "blocks.1.residual_before": 0.0}
    found = reasoning.sweep(MODEL, TOKENS, [changes, {}], last)
    assert np.isfinite(found).all()


def test_no_runs_are_no_work() -> None:
    assert reasoning.sweep(MODEL, TOKENS, [], last).shape[0] == 0


@pytest.mark.parametrize(
    ("run", "error", "words"),
    [
        ({"logits": lambda x: x}, GraphError, "a function"),
        ({"position_embedding": 0.0}, GraphError, "no axis of examples"),
        ({"logit": 0.0}, PointError, "nearest: logits"),
        ({"logits": 0.0, "log*": 1.0}, GraphError, "twice"),
        ({"logits": np.zeros(3)}, ShapeError, "(3,)"),
    ],
)
def test_what_cannot_be_swept_says_so(run: Any, error: Any, words: str) -> None:
    with pytest.raises(error) as caught:
        reasoning.sweep(MODEL, TOKENS, [run], last)
    assert words in str(caught.value)


@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_ablation_leaves_only_what_it_says(how: str) -> None:
    path = "blocks.1.attention.context"
    plain = reasoning.capture(MODEL, TOKENS, path)[path].numpy()
    changes = reasoning.ablations(MODEL, TOKENS, path, how, heads=0)
    seen = reasoning.look(MODEL, TOKENS, path, changes)[path].numpy()
    np.testing.assert_array_equal(seen[:, 1], plain[:, 1])
    if how == "zero":
        assert not seen[:, 0].any()
    elif how == "mean":
        want = plain[:, 0].mean((0, 1), dtype=np.float64)
        np.testing.assert_allclose(seen[:, 0], np.broadcast_to(want, seen[:, 0].shape), atol=1e-6)
    else:
        rows = [next(j for j in range(3) if (plain[j, 0] == seen[i, 0]).all()) for i in range(3)]
        assert sorted(rows) == [0, 1, 2]
        assert all(i != j for i, j in enumerate(rows))


def test_a_resample_of_one_example_is_refused() -> None:
    with pytest.raises(ShapeError, match="two examples"):
        reasoning.ablate(MODEL, TOKENS[:1], "logits", "resample")


def test_an_unknown_way_of_ablation_is_refused() -> None:
    with pytest.raises(ValueError, match="zero, mean or resample"):
        reasoning.ablate(MODEL, TOKENS, "logits", "nought")
