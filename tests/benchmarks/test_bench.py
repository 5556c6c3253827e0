"""The benchmark runs, counts right and says what failed; no figure is ever asserted."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tinygrad_tx as tx
from tinygrad_tx.bench import Workload, race, suite
from tinygrad_tx.bench.ours import POINTS, build
from tinygrad_tx.bench.plots import growth_curves, ratio_bars, roofline_points
from tinygrad_tx.bench.results import against_first, as_csv, as_json, line
from tinygrad_tx.bench.workloads import flops_of_step, parameters_of
from tinygrad_tx.cli.main import app
from tinygrad_tx.roofline import Roofline, roofline

MACHINE = Roofline(2, 1e11, 1e10)


def test_suites_hold_what_their_names_say() -> None:
    everything = suite("all")
    assert len({w.name for w in everything}) == len(everything)
    assert {w.kind for w in suite("steps")} == {"step"}
    assert set(suite("quick")) < set(everything)


def test_operations_of_a_step_are_those_that_its_plan_counts() -> None:
    """Within a tenth: the plan counts ragged tiles and the elementwise rest too."""
    sizes = (2, 2, 64, 32, 8, 65)
    work = Workload("step", "step", sizes)
    layers, heads, width, context, batch, vocab = sizes
    model = tx.models.GPT(tx.models.GPTConfig(vocab, context, layers, heads, width))

    @tx.jit
    def gradients(x: tx.Tensor, y: tx.Tensor) -> list[tx.Tensor | None]:
        model.loss(x, y).backward()
        return [p.grad for p in model.parameters()]

    tokens = np.zeros((batch, context), np.int64)
    counted = gradients.plan(tokens, tokens).flops
    assert counted == pytest.approx(flops_of_step(work.sizes), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({w.kind for w in suite("all")}))
def test_every_kind_of_workload_runs(kind: str) -> None:
    before = tx.config.threads
    work = next(w for w in suite("all") if w.kind == kind and "B" not in w.name)
    try:
        build(work, before)()
    finally:
        tx.config.threads = before


def test_a_race_in_turns_and_its_reports() -> None:
    work = Workload("matmul 64x32x16 NN", "matmul", (64, 32, 16), "NN", ("numpy",))
    (result,) = race([work], ["numpy"], threads=1, rounds=2)
    assert result.failed == {}
    assert {len(turns) for turns in result.turns.values()} == {2}
    assert result.ratio("numpy") == result.median("numpy") / result.median("ours")
    assert "numpy" in line(result, MACHINE)
    rows = list(csv.DictReader(as_csv([result]).splitlines()))
    assert [r["contender"] for r in rows] == ["ours", "numpy"]
    found = json.loads(as_json([result], MACHINE, 1))
    assert found["results"][0]["ratios_of_medians"]["numpy"] == result.ratio("numpy")
    assert ratio_bars([result], "svg").startswith(b"<?xml")


def test_workloads_that_are_divided_by_each_other_run_in_turns() -> None:
    sizes = (1, 2, 16, 8, 2, 29)
    works = [Workload(f"capture {o}", "capture", sizes, o) for o in ("nothing", "everything")]
    seen: list[str] = []
    results = race(works, [], 1, 2, lambda r: seen.append(r.work.option), together=True)
    assert seen == ["nothing", "everything"]
    assert all(len(r.turns["ours"]) == 2 and r.failed == {} for r in results)
    (text,) = against_first(results)
    assert text.startswith("ours, against nothing captured: everything ")


def test_what_is_captured_is_what_the_name_says() -> None:
    assert [w.option for w in suite("capture")] == ["nothing", "everything", "hidden", "pattern"]
    paths = tx.reasoning.points(tx.models.GPT(tx.models.GPTConfig(29, 8, 2, 2, 16)))
    assert set(POINTS) == {w.option for w in suite("capture")} - {"nothing"}
    assert all(p == "*" or p in paths for p in POINTS.values())


@pytest.mark.parity
def test_lenses_have_our_weights() -> None:
    """The logits of every contender are the same: they do the same work."""
    pytest.importorskip("torch")
    from tinygrad_tx.bench import lenses

    work = Workload("capture", "capture", (2, 2, 16, 8, 3, 29), "nothing")
    ours = build(work, 1)().numpy()
    models = [lenses.logits_model(work)]
    if importlib.util.find_spec("transformer_lens"):
        models.append(lenses.hooked(work))
    for model in models:
        found = model(lenses.tokens_of(work)).detach().numpy()
        np.testing.assert_allclose(found, ours, atol=1e-5)


def test_growth_reaches_what_it_must_and_is_drawn() -> None:
    works = suite("growth")
    steps = [w for w in works if w.kind == "step"]
    assert max(parameters_of(w.sizes) for w in steps) > 30e6
    assert max(w.sizes[3] for w in steps) == 2048
    layers, heads, width, context, _, vocab = steps[0].sizes
    model = tx.models.GPT(tx.models.GPTConfig(vocab, context, layers, heads, width))
    assert sum(p.size for p in model.parameters()) == parameters_of(steps[0].sizes)
    results = race([w for w in works if w.name in ("context 64", "batch 1")], [], 1, rounds=1)
    assert all(r.planned > 0 for r in results)
    assert growth_curves(results, "svg").startswith(b"<?xml")


def test_a_contender_that_cannot_is_named() -> None:
    work = Workload("matmul", "matmul", (4, 4, 4), "NN", ("torch compiled",))
    impossible = Workload("matmul", "matmul", (4, 4), "NN", ("numpy",))
    (result,) = race([impossible], ["numpy"], threads=1, rounds=1)
    assert set(result.failed) == {"ours", "numpy"}
    assert "ValueError" in result.failed["numpy"]
    assert "failed" in line(result, MACHINE)
    assert work.peers == ("torch compiled",)


def test_the_command(tmp_path: Path) -> None:
    words = [
        "bench",
        "parts",
        "--only",
        "matmul 64x64x64 NN",
        "--rounds",
        "1",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "roofline" in done.output
    assert {p.name for p in tmp_path.iterdir()} == {
        "bench.csv",
        "bench.json",
        "ratios.png",
        "ratios.svg",
    }


def test_profile_times_every_row_and_changes_no_state(tmp_path: Path) -> None:
    w = tx.ones((64, 32)).requires_grad_()
    optimizer = tx.optim.SGD([w], 0.1)

    @tx.jit
    def step(x: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = (tx.gelu(x @ w) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones((16, 64), np.float32)
    found = tx.profile(step, x, rounds=3)
    assert (w.numpy() == 1).all()
    assert len(found.rows) == len(step.plan(x).program.steps)
    assert all(r.seconds > 0 for r in found.rows)
    products = sum(r.flops for r in found.rows if r.label.startswith("matmul"))
    assert products // (16 * 64 * 32) == 2 * 2  # the epilogue is less than a thirtieth of it
    for by in ("operator", "kernel", "module"):
        assert "ms" in found.table(by)
    with pytest.raises(ValueError, match="colour"):
        found.table("colour")
    assert roofline_points(found, "svg").startswith(b"<?xml")
    found.save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(events) == len(found.rows)
    assert {"name", "ph", "ts", "dur", "pid", "tid"} <= set(events[0])
    with pytest.raises(ValueError, match=r"tx\.jit"):
        tx.profile(lambda: None)  # type: ignore[arg-type]  # wrong on purpose


def test_the_roofline_is_measured() -> None:
    found = roofline()
    assert found.flops > 1e8
    assert found.bytes > 1e8
    assert found.seconds(found.flops, 0.0) == pytest.approx(1.0)
