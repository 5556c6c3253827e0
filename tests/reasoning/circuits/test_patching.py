"""Activation patching is one intervention at a time; attribution patching is its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, NonFiniteError, PointError, ShapeError
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.patching import activation_patching, attribution_patching
from tinygrad_tx.reasoning.circuits.patching_picture import heat_map
from tinygrad_tx.reasoning.circuits.planted_circuits import planted_gate, planted_induction

M = tx.models
CLEAN, CORRUPTED = np.random.default_rng(0).integers(0, 19, (2, 3, 5))
METRIC = LogitDifference([1, 2, 3], [4, 5, 6])
KEYWORDS = {"point": "", "position": "positions", "head": "heads", "unit-group": "units"}


def lively(model: Any, dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng(1)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, 0.2, p.shape).astype(np.float32))
    return model.astype(dtype).eval()


def gpt(dtype: Any = np.float32) -> Any:
    return lively(M.GPT(M.GPTConfig(19, 8, 2, 2, 8)), dtype)


def parts_of(per: str, count: int) -> list[dict[str, Any]]:
    if per == "point":
        return [{}]
    cuts = [[i] for i in range(count)]
    if per == "unit-group":
        cuts = [list(range(i, min(i + 12, 32))) for i in range(0, 32, 12)]
    return [{KEYWORDS[per]: cut} for cut in cuts]


@pytest.mark.parametrize("direction", ["denoising", "noising"])
@pytest.mark.parametrize("per", KEYWORDS)
def test_runs_side_by_side_are_single_interventions(per: str, direction: str) -> None:
    model = gpt()
    found = activation_patching(
        model, CLEAN, CORRUPTED, METRIC, per=per, direction=direction, group=12
    )
    base, source = (CORRUPTED, CLEAN) if direction == "denoising" else (CLEAN, CORRUPTED)
    for i, path in enumerate(found.points):
        given = reasoning.capture(model, source, path)[path].numpy()
        cuts = parts_of(per, found.values.shape[1])
        assert len(cuts) == len(found.parts)
        for j, cut in enumerate(cuts):
            out = reasoning.intervene(model, base, {path: reasoning.replace(given, **cut)})
            np.testing.assert_allclose(found.values[i, j], METRIC(out).numpy(), atol=1e-5)


def test_the_whole_last_stream_brings_everything_back() -> None:
    last = "blocks.1.residual_after_feed_forward"
    for direction in ("denoising", "noising"):
        found = activation_patching(
            gpt(), CLEAN, CORRUPTED, METRIC, last, "point", direction=direction
        )
        np.testing.assert_allclose(found.recovery, 1, atol=1e-5)


@pytest.mark.parametrize("per", KEYWORDS)
def test_attribution_is_the_slope_by_finite_differences(per: str) -> None:
    """In float64: each part moved by a hundred-thousandth of the way to the other run."""
    model, step = gpt(np.float64), 1e-5
    found = attribution_patching(model, CLEAN, CORRUPTED, METRIC, per=per, group=12)
    for i, path in enumerate(found.points):
        there, here = (reasoning.capture(model, t, path)[path].numpy() for t in (CLEAN, CORRUPTED))
        for j, cut in enumerate(parts_of(per, len(found.parts))):
            change = {path: reasoning.add(step * (there - here), **cut)}
            moved = METRIC(reasoning.intervene(model, CORRUPTED, change)).numpy()
            slope = (moved - found.corrupted) / step
            np.testing.assert_allclose(found.values[i, j] - found.corrupted, slope, atol=1e-3)


def test_attribution_takes_every_point_at_once_and_scores_that_nobody_sees() -> None:
    found = attribution_patching(gpt(), CLEAN, CORRUPTED, METRIC, "blocks.*", "point")
    assert "blocks.1.attention.scores" in found.points
    assert np.isfinite(found.values).all()
    alone = attribution_patching(
        gpt(), CLEAN, CORRUPTED, METRIC, "blocks.0.attention.scores", "point"
    )
    together = found.values[found.points.index("blocks.0.attention.scores")]
    np.testing.assert_allclose(alone.values[0], together, atol=1e-5)


def test_a_model_of_several_inputs_is_patched_too() -> None:
    model = lively(M.EncoderDecoder(M.EncoderDecoderConfig(19, 16, 1, 1, 2, 8)))
    target = np.random.default_rng(2).integers(0, 19, (3, 4))
    args = ((CLEAN, target), (CORRUPTED, target), METRIC, "encoder.blocks.0.residual_before")
    found = activation_patching(model, *args)
    assert found.values.shape == (1, 5, 3)
    # In its encoder only what differs between the sources is patched: all of it is everything.
    whole = activation_patching(model, *args, "point")
    np.testing.assert_allclose(whole.recovery, 1, atol=1e-5)


def test_the_planted_heads_stand_out_and_the_distractors_do_not() -> None:
    p = planted_induction()
    shares = activation_patching(p.model, p.clean, p.corrupted, p.metric, per="head").recovery
    assert shares[1, 2] == pytest.approx(1, abs=0.01)
    assert shares[0, 1] > 0.3
    shares[1, 2] = shares[0, 1] = 0
    assert np.abs(shares).max() < 0.01


def test_noising_finds_what_is_needed_where_two_parts_are_needed_together() -> None:
    """Either bit of an exclusive or undoes half of the prompts: those in which it is the other."""
    p = planted_gate()
    args = (p.model, p.clean, p.corrupted, p.metric, "blocks.0.residual_before")
    lost = activation_patching(*args, direction="noising").recovery[0]
    np.testing.assert_allclose(lost[:2], 0.5, atol=0.02)
    np.testing.assert_allclose(lost[2:], 0, atol=0.01)


def test_the_program_is_one_and_its_memory_is_stated() -> None:
    plans: list[Any] = []
    told: list[tuple[int, int]] = []
    args = (gpt(), CLEAN, CORRUPTED, METRIC)
    found = activation_patching(*args, on_plan=plans.append, on_chunk=lambda *a: told.append(a))
    little = activation_patching(*args, memory=1)
    np.testing.assert_allclose(little.values, found.values, atol=1e-5)
    assert plans[0].total == 10
    assert plans[0].bytes > 0
    assert told[-1] == (10, 10)


def test_tables_and_pictures_say_what_was_done(tmp_path: Any) -> None:
    p = planted_induction()
    args = (p.model, p.clean, p.corrupted, p.metric)
    found = activation_patching(*args, per="head")
    table = found.table(1)
    assert table.rows[0][:2] == ("blocks.1.attention.context", "2")
    assert table.rows[0][3] <= table.rows[0][2] <= table.rows[0][4]
    estimate = attribution_patching(*args, per="head", direction="noising").table()
    assert "First-order" in estimate.text()
    assert estimate.columns[2] == "lost"
    found.picture().save(tmp_path / "heads.svg")
    assert "blocks.1.attention.context" in (tmp_path / "heads.svg").read_text(encoding="utf-8")
    assert "激活修补" in found.picture(lang="zh").svg
    with pytest.raises(ShapeError, match="2 labels for 4 columns"):
        found.picture(["a", "b"])


def test_what_cannot_be_patched_is_refused() -> None:
    model = gpt()
    with pytest.raises(ShapeError, match=r"clean prompts are \(3, 5\), corrupted ones \(3, 4\)"):
        activation_patching(model, CLEAN, CORRUPTED[:, :4], METRIC)
    with pytest.raises(ShapeError, match=r"have \[4, 5\] tokens"):
        attribution_patching(model, [[1] * 4, [1] * 5], CORRUPTED, METRIC)
    with pytest.raises(PointError, match="nearest"):
        activation_patching(model, CLEAN, CORRUPTED, METRIC, "blocks.0.residual_befor")
    with pytest.raises(ShapeError, match="has no axis for head"):
        activation_patching(model, CLEAN, CORRUPTED, METRIC, "blocks.*.residual_before", "head")
    with pytest.raises(DataError, match="alike"):
        activation_patching(model, CLEAN, CLEAN, METRIC)
    with pytest.raises(ValueError, match="per is 'heads'"):
        activation_patching(model, CLEAN, CORRUPTED, METRIC, per="heads")
    with pytest.raises(ValueError, match="direction is 'up'"):
        attribution_patching(model, CLEAN, CORRUPTED, METRIC, direction="up")
    model.norm.weight.assign_(np.full(8, np.nan, np.float32))
    with pytest.raises(NonFiniteError, match="the metric is nan"):
        activation_patching(model, CLEAN, CORRUPTED, METRIC)


def test_labels_with_dollar_signs_are_no_formulas() -> None:
    labels = ["$5", "a$^2$"]
    svg = heat_map(np.eye(2), labels, labels, "$\\alpha$ and $", "svg").decode()
    assert all(text in svg for text in (*labels, "$\\alpha$ and $"))
