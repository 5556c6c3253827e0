"""Circuits: those that were written into the weights are found, edge by edge, and nothing else."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, GraphError, ShapeError
from tinygrad_tx.reasoning.circuits.judge import Judge
from tinygrad_tx.reasoning.circuits.planted_circuits import PLANTED, planted_copy, planted_gate
from tinygrad_tx.viz.theme import THEMES

every_planted = pytest.mark.parametrize("name", PLANTED)


def found(name: str, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    planted = PLANTED[name](seed=seed)
    given = (planted.model, planted.clean, planted.corrupted, planted.metric)
    return planted, reasoning.discover_circuit(*given, baselines=8, **options)


@every_planted
def test_the_planted_circuit_is_found_exactly(name: str) -> None:
    planted, circuit = found(name)
    assert set(circuit.edges) == planted.edges
    assert circuit.faithfulness.value == pytest.approx(1, abs=0.01)
    assert circuit.rest.value == pytest.approx(0, abs=0.01)


@pytest.mark.slow
@every_planted
@pytest.mark.parametrize("options", [{"rank": "patching"}, {"rank": "gradients"}, {"seed": 3}])
def test_by_whatever_ranking_and_for_other_weights(name: str, options: dict[str, Any]) -> None:
    planted, circuit = found(name, **options)
    assert set(circuit.edges) == planted.edges


@every_planted
def test_every_edge_of_the_truth_is_needed_and_no_other_is(name: str) -> None:
    """Judged one by one, against the truth: ablation of all others, and of it alone."""
    planted = PLANTED[name]()
    judge = Judge(planted.model, planted.clean, planted.corrupted, planted.metric)
    whole = judge.wiring.mask(planted.edges)
    without = [judge.wiring.mask(planted.edges - {edge}) for edge in planted.edges]
    shares = judge.shares([whole, judge.wiring.allowed & ~whole, *without])
    assert shares[0] == pytest.approx(1, abs=0.01)
    assert shares[1] == pytest.approx(0, abs=0.01)
    assert (shares[2:] < 0.6).all()


def test_the_exact_oracle_agrees_on_a_model_small_enough_to_try_everything() -> None:
    planted = planted_copy(layers=1, heads=1)
    given = (planted.model, planted.clean, planted.corrupted, planted.metric)
    oracle = reasoning.exact_circuit(Judge(*given))
    assert set(oracle.smallest) == planted.edges
    assert set(reasoning.discover_circuit(*given, baselines=0).edges) == planted.edges
    assert oracle.tried == 2 ** np.log2(oracle.tried).round()


def test_the_curve_ends_with_the_whole_model_and_random_circuits_keep_less() -> None:
    _, circuit = found("gate")
    assert circuit.curve[-1][0] == len(circuit.wiring.edges)
    assert circuit.curve[-1][1].value == pytest.approx(1, abs=1e-4)
    assert dict(circuit.baseline)[len(circuit.edges)].value < 0.5
    assert circuit.curve_table().rows[-1][0] == circuit.curve[-1][0]


def test_whole_parts_can_be_asked_for() -> None:
    planted, circuit = found("gate", of="nodes")
    assert {"tokens", "a0.h0", "a0.h1", "f1", "logits"} == set(circuit.nodes)
    assert planted.edges <= set(circuit.edges)


def test_the_table_says_what_each_edge_costs() -> None:
    planted, circuit = found("copy")
    rows = {(row[0], row[1]): row[3] for row in circuit.table().rows}
    assert rows.keys() == planted.edges
    assert all(cost == pytest.approx(1, abs=0.01) for cost in rows.values())  # one chain


def test_the_drawing_has_its_parts_and_edges_as_wide_as_they_matter(tmp_path: Path) -> None:
    _, circuit = found("gate")
    drawing = reasoning.draw_circuit(circuit, tmp_path / "circuit.svg", lang="zh")
    flows = [a for a in drawing.picture.arrows if not a.source.startswith("legend")]
    ends = {(a.source, a.target) for a in flows if a.effect is not None}
    assert ("a0.h0", "f1") in ends
    assert ("f1", "logits") in ends
    svg = (tmp_path / "circuit.svg").read_text(encoding="utf-8")
    ET.fromstring(svg)
    assert "前馈网络" in svg
    assert (tmp_path / "circuit.dot").exists()


def test_an_edge_is_as_wide_as_its_cost_and_has_the_colour_of_its_sign() -> None:
    _, circuit = found("gate")
    costs = tuple(float(c) for c in np.linspace(-1.0, 0.5, len(circuit.edges)))
    drawing = reasoning.draw_circuit(dataclasses.replace(circuit, costs=costs), theme="light")
    edges = [line for line in drawing.dot.splitlines() if " -> " in line and "legend" not in line]
    shown = [float(re.findall(r"[+-]\d\.\d\d", line.split("->")[1])[0]) for line in edges]
    widths, colours = (
        [re.findall(rf'{name}="?([^\s"\]]+)', line)[0] for line in edges]
        for name in ("penwidth", " color")
    )
    np.testing.assert_allclose(sorted(shown), sorted(costs), atol=0.006)
    # 6 points for all of the effect, 0.6 for none, in proportion between.
    expected = [0.6 + 5.4 * abs(cost) for cost in shown]
    np.testing.assert_allclose([float(w) for w in widths], expected, atol=0.06)
    light = THEMES["light"]
    assert colours == [light.hurts if cost < 0 else light.helps for cost in shown]
    assert {light.hurts, light.helps} == set(colours)


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    _, circuit = found("copy")
    reasoning.draw_faithfulness(circuit, tmp_path / "curve.svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_what_no_circuit_can_be_found_for_says_so() -> None:
    p = planted_gate()
    with pytest.raises(ShapeError, match="corrupted"):
        reasoning.discover_circuit(p.model, p.clean, p.corrupted[:, :-1], p.metric)
    with pytest.raises(DataError, match="alike"):
        reasoning.discover_circuit(p.model, p.clean, p.clean, p.metric)
    with pytest.raises(ValueError, match="rank"):
        reasoning.discover_circuit(p.model, p.clean, p.corrupted, p.metric, rank="luck")
    bert = tx.models.BERT(tx.models.BERTConfig(8, 6, 1, 1, 16)).eval()
    with pytest.raises(GraphError):
        reasoning.discover_circuit(bert, p.clean, p.corrupted, p.metric)
    with pytest.raises(GraphError, match="subsets"):
        reasoning.exact_circuit(Judge(p.model, p.clean, p.corrupted, p.metric), most=3)
