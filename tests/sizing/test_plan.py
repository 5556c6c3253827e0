"""Plans, the search and the command: what fits, what does not, and what cannot be divided."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from typer.testing import CliRunner

from tinygrad_tx.cli.main import app
from tinygrad_tx.errors import DataError, ShapeError
from tinygrad_tx.models import GPTConfig
from tinygrad_tx.models.presets import PRESETS
from tinygrad_tx.sizing import MACHINES, Layout, machine, plan, search, work_of
from tinygrad_tx.sizing.duration import step_time
from tinygrad_tx.sizing.memory import memory_of_stage

WORK = work_of(GPTConfig(1000, 64, 8, 8, 64))
ONE = MACHINES["selene"].of(1, 8)


@pytest.mark.parametrize(
    ("layout", "word"),
    [
        (Layout(8, 1, 2, 8), "16"),
        (Layout(1, 8, 1, 7, microbatch=2), "batch 7"),
        (Layout(1, 8, 1, 8, chunks=2), "layers 8"),
        (Layout(0, 8, 1, 8), "tensor is 0"),
        (Layout(8, 1, 1, 8, zero=4), "zero is 4"),
        (Layout(8, 1, 1, 8, precision="half"), "half"),
        (Layout(1, 1, 8, 8, sequence=True), "sequence"),
    ],
)
def test_what_cannot_be_divided_is_said(layout: Layout, word: str) -> None:
    with pytest.raises(ShapeError, match=word):
        plan(WORK, ONE, layout)


def test_tensor_parallelism_stays_inside_a_node() -> None:
    with pytest.raises(ShapeError, match="of a node"):
        plan(WORK, MACHINES["selene"].of(2, 4), Layout(8, 1, 1, 8))


def test_one_device_has_neither_links_nor_bubble() -> None:
    time = plan(WORK, ONE.of(1, 1), Layout(batch=4)).time
    assert (time.tensor, time.bubble, time.data, time.between_stages) == (0, 0, 0, 0)


@given(st.sampled_from(["none", "selective", "full"]), st.booleans(), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_less_kept_is_never_more_memory(recompute: str, sequence: bool, zero: int) -> None:
    layout = Layout(2, 2, 2, 16, recompute="none", zero=zero)
    whole = memory_of_stage(WORK, layout, 0)
    less = replace(layout, recompute=recompute, sequence=sequence)  # type: ignore[arg-type]
    part = memory_of_stage(WORK, less, 0)
    assert part.activations <= whole.activations
    assert part.total <= whole.total + whole.working + part.working
    assert step_time(WORK, ONE, less).recompute >= step_time(WORK, ONE, layout).recompute


def test_the_search_sorts_what_fits_by_time_and_the_rest_by_what_lacks() -> None:
    small = replace(ONE, memory=4.5e9)
    work = work_of(PRESETS["gpt2"])
    fitting, others = search(work, small, Layout(batch=64))
    assert fitting
    assert others
    assert [p.time.total for p in fitting] == sorted(p.time.total for p in fitting)
    assert [p.over for p in others] == sorted(p.over for p in others)
    assert all(p.fits and p.over <= 0 for p in fitting)
    assert all(p.over > 0 for p in others)
    for p in fitting + others:
        assert p.layout.gpus == 8
        assert sum(asdict(p.time).values()) == pytest.approx(p.time.total)


def test_the_search_says_where_nothing_can_be_divided() -> None:
    with pytest.raises(ShapeError, match="cannot be divided"):
        search(WORK, MACHINES["selene"].of(1, 7), Layout(batch=5))


def test_a_machine_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    fields = {
        "flops": 1e12,
        "memory": 2e9,
        "memory_bandwidth": 1e11,
        "inside": 1e10,
        "between": 1e9,
    }
    path.write_text(json.dumps(fields))
    assert machine(str(path)).name == "mine"
    for bad in ("{", "[]", json.dumps({**fields, "colour": 1}), json.dumps({"flops": 1})):
        path.write_text(bad)
        with pytest.raises(DataError, match="machine"):
            machine(str(path))
    for value in (0, -1, "x", float("nan"), float("inf"), None):
        path.write_text(json.dumps({**fields, "memory": value}))
        with pytest.raises(DataError, match="memory"):
            machine(str(path))


def test_the_command_prints_a_table_json_and_pictures(tmp_path: Path) -> None:
    sizes = "plan --layers 4 --heads 4 --width 64 --context 64 --vocab 100 --batch 16 --gpus 1x8"
    layout = "--tensor 2 --pipeline 2 --data 2 --recompute full"
    pictures = f"--out {tmp_path}/m.svg --schedule {tmp_path}/s.svg"
    shown = CliRunner().invoke(app, f"{sizes} {layout} {pictures}".split())
    assert shown.exit_code == 0, shown.output
    assert "fits:" in shown.output
    assert all((tmp_path / n).read_text().rstrip().endswith("</svg>") for n in ("m.svg", "s.svg"))
    made = json.loads(CliRunner().invoke(app, f"{sizes} {layout} --json".split()).output)
    assert made["fits"] is True
    assert len(made["memory"]) == 2
    best = CliRunner().invoke(app, [*sizes.split(), "--search"])
    assert best.exit_code == 0
    assert "layouts fit" in best.output


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--gpus 8", "--gpus"),
        ("--gpus 0x8", "--gpus"),
        ("--preset t5-small", "stack"),
        ("--preset nothing", "not known"),
        ("--machine abacus", "abacus"),
        ("--efficiency 0", "efficiency"),
        ("--efficiency 2", "efficiency"),
        ("--efficiency nan", "efficiency"),
        ("--tensor 5 --gpus 1x5", "heads 12"),
        ("--recompute some --data 8", "some"),
        ("--out x.txt", "x.txt"),
    ],
)
def test_bad_input_is_one_error(options: str, word: str) -> None:
    found = CliRunner().invoke(app, ["plan", *options.split()])
    assert found.exit_code != 0
    assert isinstance(found.exception, ValueError | RuntimeError)
    assert word in str(found.exception)
    assert "\n" not in str(found.exception)
