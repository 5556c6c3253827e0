"""Edge attribution is the derivative along every edge; with integrated gradients it adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import DataError, NonFiniteError, ShapeError
from tinygrad_tx.reasoning.circuits.edges import both_sent, edge_attribution
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.paths import edge_patching
from tinygrad_tx.reasoning.circuits.planted_circuits import planted_induction
from tinygrad_tx.reasoning.circuits.unfolded import EdgeRuns, wiring

M = tx.models
CLEAN, CORRUPTED = np.random.default_rng(0).integers(0, 19, (2, 6, 5))
METRIC = LogitDifference([1, 2, 3, 4, 5, 6], [4, 5, 6, 1, 2, 3])
MODELS = {
    "gpt": lambda: M.GPT(M.GPTConfig(19, 8, 2, 2, 8)),
    "grouped heads": lambda: M.Llama(M.LlamaConfig(19, 8, 2, 4, 16, kv_heads=2)),
}


def lively(kind: str, dtype: Any = np.float32) -> Any:
    model = MODELS[kind]()
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.15, p.shape).astype(np.float32))
    return model.astype(dtype).eval()


@pytest.mark.parametrize("kind", MODELS)
def test_one_gradient_is_the_slope_of_every_edge_by_finite_differences(kind: str) -> None:
    """In float64: the metric when an edge carries a hundred-thousandth less of its change."""
    model = lively(kind, np.float64)
    found = edge_attribution(model, CLEAN, CORRUPTED, METRIC, steps=1)
    _, other, clean, _ = both_sent(model, CLEAN, CORRUPTED, METRIC)
    runs, parts, step = EdgeRuns(model, CLEAN, other, METRIC), wiring(model), 1e-5
    masks = [parts.allowed - step * parts.mask([edge]) for edge in parts.edges]
    slopes = (clean - runs(masks)) / step
    for edge, slope in zip(parts.edges, slopes, strict=True):
        each = found.effects[(slice(None), *parts.place(edge))]
        np.testing.assert_allclose(each, slope, atol=2e-4 * max(1, abs(slope).max()))
    assert not found.effects[:, ~parts.allowed].any()


@pytest.mark.parametrize("kind", MODELS)
def test_integrated_gradients_of_all_that_the_tokens_send_add_up(kind: str) -> None:
    """Completeness (Sundararajan et al. 2017): the whole difference comes from the embeddings."""
    found = edge_attribution(lively(kind), CLEAN, CORRUPTED, METRIC, steps=40)
    from_tokens = found.effects[:, :, wiring(lively(kind)).senders.index("tokens")].sum(1)
    np.testing.assert_allclose(from_tokens, found.clean - found.corrupted, atol=5e-3)


def test_more_steps_come_nearer_to_what_patching_measures() -> None:
    model = lively("gpt")
    exact = edge_patching(model, CLEAN, CORRUPTED, METRIC).mean
    errors = [
        np.abs(edge_attribution(model, CLEAN, CORRUPTED, METRIC, steps=n).mean - exact).sum()
        for n in (1, 5)
    ]
    assert errors[1] < errors[0]


def test_one_gradient_misses_saturated_attention_where_integrated_gradients_do_not() -> None:
    """The known limit (Hanna et al. 2024, section 3), on a model whose circuit is known."""
    p = planted_induction()
    args = (p.model, p.clean, p.corrupted, p.metric)
    through_scores = ("a0.h1", "a1.h2.key")
    assert edge_patching(*args).of(through_scores) > 1
    assert edge_attribution(*args, steps=1).of(through_scores) < 0.1
    ranked = edge_attribution(*args).ranked()
    assert set(ranked[: len(p.edges)]) == p.edges


def test_a_progress_bar_is_told_and_a_table_says_what_it_is() -> None:
    told: list[tuple[int, int]] = []
    found = edge_attribution(
        lively("gpt"), CLEAN, CORRUPTED, METRIC, steps=3, on_progress=lambda *a: told.append(a)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    table = found.table(4)
    assert [row[:2] for row in table.rows] == found.ranked()[:4]
    assert all(row[3] <= row[2] <= row[4] for row in table.rows)
    assert "First-order" in table.text()


def test_bad_prompts_and_weights_are_refused() -> None:
    model = lively("gpt")
    with pytest.raises(ShapeError, match="edge_attribution: clean prompts are"):
        edge_attribution(model, CLEAN, CORRUPTED[:, 1:], METRIC)
    with pytest.raises(DataError, match="alike"):
        edge_attribution(model, CLEAN, CLEAN, METRIC)
    with pytest.raises(ValueError, match="steps is 0"):
        edge_attribution(model, CLEAN, CORRUPTED, METRIC, steps=0)
    weight = model.blocks[0].feed_forward.down.weight
    weight.assign_(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(NonFiniteError, match="on the clean prompts f0 is not finite"):
        edge_attribution(model, CLEAN, CORRUPTED, METRIC)
