"""On models trained here for tasks whose algorithm is known, the tools find that algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_tx import reasoning
from tinygrad_tx.reasoning.circuits.known_tasks import (
    Addition,
    Induction,
    trained_addition,
    trained_induction,
)

RNG = np.random.default_rng(5)


def test_what_is_asked_of_induction_is_what_came_after_the_same_token() -> None:
    tokens, targets = Induction().draw(50, RNG)
    asked = targets != -100
    assert asked.sum() == 50 * 12
    for row, wanted, here in zip(tokens, targets, asked, strict=True):
        first = list(row[:14])
        for place in np.flatnonzero(here):
            assert wanted[place] == first[(first.index(row[place]) + 1) % 14]


def test_the_pairs_of_addition_are_all_there_and_none_twice() -> None:
    learnt, held = Addition().pairs()
    assert len({tuple(p) for p in np.concatenate([learnt, held])}) == 23 * 23
    assert len(held) == 133


@pytest.fixture(scope="module")
def induction() -> Any:
    return trained_induction()


@pytest.mark.slow
def test_induction_heads_are_found_where_they_can_be(induction: Any) -> None:
    """Behind a previous-token head, never in the first block (Olsson et al. 2022)."""
    scores = reasoning.induction_scores(induction, 40, length=13, sequences=16)
    layer, head = scores.best("induction")
    assert layer == 1
    assert scores.figure("induction", layer, head).low > 0.8
    layer, head = scores.best("previous token")
    assert layer == 0
    assert scores.figure("previous token", layer, head).low > 0.4


@pytest.mark.slow
def test_the_circuit_of_induction_asks_by_queries_of_induction_heads(induction: Any) -> None:
    """The prompts differ in the last token: it is what the heads of block 1 look for."""
    clean, other, right, wrong = Induction().pair(24, np.random.default_rng(1))
    logits = induction(clean).numpy()[:, -1]
    assert (logits.argmax(-1) == right).mean() > 0.9
    metric = reasoning.LogitDifference(right, wrong)
    circuit = reasoning.discover_circuit(induction, clean, other, metric, faithful=0.9, baselines=8)
    assert circuit.faithfulness.value > 0.85
    # What the last token is comes to the logits by the queries of induction heads alone.
    queries = {r for _, r in circuit.edges if r.startswith("a1.") and r.endswith(".query")}
    last = {s for s, r in circuit.edges if r == "logits"}
    assert queries
    assert {q.removesuffix(".query") for q in queries} & last
    assert not any(s.startswith("a0.") for s, _ in circuit.edges)
    assert dict(circuit.baseline)[len(circuit.edges)].value < 0.5


@pytest.mark.slow
def test_their_keys_come_from_the_previous_token_head(induction: Any) -> None:
    """K-composition (Elhage et al. 2021): of all heads of block 0 this one is needed, and what is
    lost without it is lost by the keys of block 1 alone."""
    tokens, targets = Induction().draw(64, np.random.default_rng(2))
    _, best = reasoning.induction_scores(induction, 40, length=13, sequences=8).best(
        "previous token"
    )
    path = "blocks.0.attention.context"
    right = []
    for head in range(4):
        logits = reasoning.intervene(induction, tokens, {path: reasoning.zero(heads=head)})
        right.append((logits.numpy()[:, -1].argmax(-1) == targets[:, -1]).mean())
    assert int(np.argmin(right)) == best
    assert right[best] < 0.5
    keys = "blocks.1.attention.key"
    kept = reasoning.capture(induction, tokens, keys)[keys]
    mended = reasoning.intervene(induction, tokens, {path: reasoning.zero(heads=best), keys: kept})
    assert (mended.numpy()[:, -1].argmax(-1) == targets[:, -1]).mean() > 0.9


@pytest.mark.slow
def test_addition_generalises_by_few_frequencies() -> None:
    task = Addition()
    model = trained_addition(task)
    learnt, held = task.pairs()
    assert task.accuracy(model, learnt) > 0.99
    assert task.accuracy(model, held) > 0.9
    shares = np.sort(task.spectrum(model.embedding.weight.numpy()))[::-1]
    random = np.sort(task.spectrum(RNG.normal(size=(24, 64))))[::-1]
    assert shares[:5].sum() > 0.8
    assert random[:5].sum() < 0.7
