"""Learning beside PyTorch, and the page that is made of what was measured."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tinygrad_tx.bench import Result, Workload, learning as learning_of
from tinygrad_tx.bench.learning import Learning, learn, main
from tinygrad_tx.bench.results import as_json
from tinygrad_tx.cli.main import app
from tinygrad_tx.config import config
from tinygrad_tx.roofline import Roofline

MACHINE = Roofline(2, 1e11, 1e10)
PAGE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_results.py"))["page"]


@pytest.mark.parity
def test_both_learn_the_same_from_the_same_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights, batches, rates, decay and clipping: they differ by rounding alone.

    Another decay, another order of batches or no clipping is far beyond this bound.
    """
    for name, value in {"LAYERS": 1, "WIDTH": 32, "VALIDATION": 2, "WARMUP": 2}.items():
        monkeypatch.setattr(learning_of, name, value)
    torch = pytest.importorskip("torch")
    threads, before = torch.get_num_threads(), config.threads
    try:
        ours, theirs = (main(name, 1, 3, 12) for name in ("ours", "torch"))
    finally:
        torch.set_num_threads(threads)
        config.threads = before
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-6)
    assert ours["bigram"] == theirs["bigram"] < ours["loss"] < 5.0


@pytest.mark.slow
def test_a_learner_that_cannot_is_named_and_tried_once() -> None:
    found = learn(["nobody"], 1, steps=2, seeds=2)
    assert found.failed == {"nobody": "KeyError: 'nobody'"}
    assert found.losses == {}


@pytest.mark.slow
def test_the_command_writes_what_was_learnt(tmp_path: Path) -> None:
    words = ["bench", "learning", "--steps", "2", "--seeds", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["results"] == []
    assert found["learning"]["steps"] == 2
    assert len(found["learning"]["losses"]["ours"]) == 1
    assert "seed 0, ours: held-out loss" in done.output
    assert "## Learning" in PAGE(found)


def measured() -> dict[str, object]:
    """As the command would: a step three times as fast as one peer, half as fast as another."""
    sizes = (2, 2, 64, 32, 8, 65)
    step = Workload("step C", "step", sizes, peers=("torch", "jax"))
    step_result = Result(step, {"ours": [0.002, 0.001], "torch": [0.006, 0.003]})
    step_result.turns["jax"] = [0.001, 0.0005]
    step_result.first = {"ours": 0.25, "torch": 1.5}
    step_result.grown = {"ours": 20_000_000, "torch": 30_400_000}
    failed = Result(
        Workload("step D", "step", sizes), {"ours": [0.01]}, failed={"torch": "no memory"}
    )
    captures = [
        Result(Workload(f"capture {o} A", "capture", sizes, o), {"ours": turns, "torchlens": lens})
        for o, turns, lens in (
            ("nothing", [0.01, 0.02], [0.01, 0.01]),
            ("everything", [0.011, 0.024], [0.15, 0.17]),
        )
    ]
    learning = Learning(10, 800, 2.5, {"ours": [1.9, 2.0], "torch": [1.9, 2.1]}, {})
    learning.seconds = {"ours": [5.0, 6.0], "torch": [10.0, 12.0]}
    results = [step_result, failed, *captures]
    found: dict[str, object] = json.loads(as_json(results, MACHINE, 2, learning, load=3.0))
    return found


def test_the_page_says_what_was_measured_the_bad_with_the_good() -> None:
    text = PAGE(measured())
    assert "| step C | 2, 2, 64, 32, 8, 65 | 1.5 / 1 | 4.5 / 3: 3.00 | 0.75 / 0.5: 0.50 |" in text
    # The fastest peer stands at the top, though it is faster than we are.
    assert "| 1.5 / 1 ms | JAX, the fastest peer: 0.75 / 0.5 ms, 0.50 times |" in text
    assert "| step C | 0.25 s, 20 MB | 1.50 s, 30 MB | - |" in text
    assert "slower than the peer in 1 of 2" in text
    assert "- step D: no memory" in text
    assert "| PyTorch | 2.000 | 1.9000, 2.1000 | 11 |" in text
    assert "bigram counts 2.500" in text
    assert "| tinygrad_tx | 15 / 10 | 1.15 |" in text  # of 1.1 and 1.2, within the rounds
    assert "| TorchLens | 10 / 10 | 16.00 |" in text
    assert "load was 3.0" in text
    assert "70 of 70" in text


def test_the_page_of_a_part_leaves_out_what_was_not_measured() -> None:
    found = measured()
    del found["learning"]
    found |= {"results": [], "load": 0.1}
    text = PAGE(found)
    assert "The machine was idle." in text
    assert "## Learning" not in text
    assert "## What looking inside costs" not in text
    assert "planted bugs caught" in text
