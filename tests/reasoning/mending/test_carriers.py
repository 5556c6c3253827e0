"""The heads and units that carry something are found where they were planted, or by trying all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, GraphError, NonFiniteError

HEADS, WIDTH = 4, 16
TOKENS = np.random.default_rng(0).integers(0, 20, (24, 6))
TOKENS[:, -1] = 7  # alike at the end: a difference there has come through attention


def model_of(carrying: tuple[int, int] | None) -> Any:
    """A GPT of which only one head writes anything (or all parts, for None)."""
    model = tx.models.GPT(tx.models.GPTConfig(20, 8, 2, HEADS, WIDTH), seed=1).eval()
    for p in model.parameters():
        p.assign_(p.numpy() * (8 if p.ndim > 1 else 1))
    if carrying is not None:
        for i, block in enumerate(model.blocks):
            weight = np.zeros_like(block.attention.projection.weight.numpy())
            if i == carrying[0]:
                rows = slice(carrying[1] * 4, carrying[1] * 4 + 4)
                weight[rows] = block.attention.projection.weight.numpy()[rows]
            block.attention.projection.weight.assign_(weight)
            block.feed_forward.down.weight.assign_(block.feed_forward.down.weight.numpy() * 0)
    return model


def measure(logits: Any, tokens: Any) -> Any:
    return logits[:, -1, 3] - logits[:, -1, 4]


def spread(values: Any) -> float:
    return float(values.std())


@pytest.mark.parametrize("carrying", [(0, 2), (1, 0)])
def test_the_only_head_that_writes_is_the_only_carrier(carrying: tuple[int, int]) -> None:
    model = model_of(carrying)
    found = reasoning.find_carriers(model, TOKENS, measure, spread)
    assert found.parts[0] == (f"blocks.{carrying[0]}.attention.context", carrying[1])
    assert found.skew[0] > 0.05
    assert found.skew[1] < 1e-4 * found.skew[0]
    assert found.fewest(1e-3 * found.skew[0]) == found.parts[:1]
    ablated = found.ablated(model, 1e-3 * found.skew[0])
    assert spread(measure(ablated(TOKENS), TOKENS).numpy()) < 1e-4 * found.skew[0]


@pytest.mark.parametrize(
    "at", ["blocks.*.attention.context", "blocks.1.feed_forward.hidden"], ids=["heads", "units"]
)
@pytest.mark.parametrize("how", ["mean", "zero"])
def test_singles_are_what_each_part_alone_does(at: str, how: str) -> None:
    model = model_of(None)
    found = reasoning.find_carriers(model, TOKENS, measure, spread, at, how=how, most=2)
    name = "heads" if "context" in at else "units"
    for (path, number), skew in list(zip(found.candidates, found.single, strict=True))[:10]:
        part: Any = {name: number}
        changed = reasoning.ablate(model, TOKENS, path, how, **part)
        assert skew == pytest.approx(spread(measure(changed, TOKENS).numpy()), abs=1e-4)
    assert found.skew[1] == pytest.approx(found.single.min(), rel=1e-5)


def test_the_skew_with_several_ablated_is_that_of_the_changed_model() -> None:
    model = model_of(None)
    found = reasoning.find_carriers(model, TOKENS, measure, spread, most=4)
    assert list(found.skew) == sorted(found.skew, reverse=True)
    assert len(found.parts) >= 2
    for count in range(1, len(found.parts) + 1):
        changed = reasoning.Changed(model, found.changes(found.parts[:count]))
        values = measure(changed(TOKENS), TOKENS).numpy()
        assert found.skew[count] == pytest.approx(spread(values), abs=1e-4)
    assert str(found.parts[0][1]) in found.table().text()


def test_each_step_takes_what_helps_most_beside_those_before() -> None:
    model = model_of(None)
    found = reasoning.find_carriers(model, TOKENS, measure, spread, most=2)
    first, second = found.parts
    pairs = {
        part: spread(
            measure(reasoning.Changed(model, found.changes([first, part]))(TOKENS), TOKENS).numpy()
        )
        for part in found.candidates
        if part != first
    }
    assert second == min(pairs, key=lambda part: pairs[part])


def test_where_nothing_helps_that_is_said() -> None:
    model = model_of((0, 2))
    found = reasoning.find_carriers(model, TOKENS[:1], lambda y, t: y[:, 0, 3] * 0 + 1)
    assert found.parts == ()
    with pytest.raises(DataError, match="no part lowers"):
        found.ablated(model, 0.1)


def test_bad_input_is_refused() -> None:
    model = model_of(None)
    with pytest.raises(GraphError, match="neither heads nor units"):
        reasoning.find_carriers(model, TOKENS, measure, at="blocks.0.residual_before")
    with pytest.raises(NonFiniteError, match="not finite"):
        reasoning.find_carriers(model, TOKENS, lambda y, t: y[:, 0, 0] / 0)
