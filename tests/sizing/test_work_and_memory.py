"""What is counted in the graph, and what a device holds, against the formulas of papers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.bench.ours import build
from tinygrad_tx.bench.workloads import CONFIGS, suite
from tinygrad_tx.errors import ShapeError
from tinygrad_tx.models import GPTConfig
from tinygrad_tx.models.presets import PRESETS
from tinygrad_tx.sizing import Layout, work_of
from tinygrad_tx.sizing.duration import flops_of_step
from tinygrad_tx.sizing.memory import (
    activations_of_block,
    memory_of_stage,
    parameters_of_stage,
    passes_in_flight,
)
from tinygrad_tx.sizing.schedule import schedule

STACKS = [n for n, c in PRESETS.items() if hasattr(c, "layers")]
SMALL = GPTConfig(1000, 64, 4, 8, 32)


@pytest.mark.parametrize("name", STACKS)
def test_parameters_are_those_of_the_model(name: str) -> None:
    assert work_of(PRESETS[name]).parameters == tx.models.abstract(name).num_parameters()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 8), st.integers(1, 70))
@settings(max_examples=15, deadline=None)
def test_work_is_narayanans_operation_count(layers: int, heads: int, each: int, time: int) -> None:
    """24 B s h^2 + 4 B s^2 h a layer and 2 B s h V, forward; Narayanan et al. 2021, appendix."""
    width, vocab = heads * each, 65
    work = work_of(GPTConfig(vocab, time, layers, heads, width))
    block = 24 * time * width**2 + 4 * time**2 * width
    assert work.forward_flops == layers * block + 2 * time * width * vocab


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.booleans(),
    st.sampled_from(["none", "selective", "full"]),
    st.integers(1, 4),
)
@settings(max_examples=30, deadline=None)
def test_activations_are_those_of_korthikanti(
    tensor: int, sequence: bool, recompute: Any, batch: int
) -> None:
    """Korthikanti et al. 2022, table 2."""
    sequence = sequence and tensor > 1
    layout = Layout(tensor, microbatch=batch, sequence=sequence, recompute=recompute)
    s, h, a, t = SMALL.context, SMALL.width, SMALL.heads, tensor
    scores = 5 * a * s / h if recompute == "none" else 0
    outside = 10 / t if sequence else 10
    expected = s * batch * h * (outside + 24 / t + scores / t)
    expected = 2 * s * batch * h if recompute == "full" else expected
    assert activations_of_block(work_of(SMALL), layout) == pytest.approx(expected)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_passes_in_flight_are_those_of_the_played_schedule(
    pipeline: int, groups: int, chunks: int
) -> None:
    chunks = chunks if pipeline > 1 else 1
    microbatches = groups * pipeline
    layout = Layout(1, pipeline, 1, microbatches, chunks=chunks)
    passes = schedule(pipeline, microbatches, chunks)
    for device in range(pipeline):
        mine = sorted((p for p in passes if p.device == device), key=lambda p: p.start)
        held = most = 0
        for p in mine:
            held += 1 if p.is_forward else -1
            most = max(most, held)
        assert passes_in_flight(layout, device) == most


def test_the_first_stage_of_interleaved_chunks_holds_the_published_factor() -> None:
    """1 + (p - 1) / (p m), Korthikanti et al. 2022, section 4.2."""
    layout = Layout(8, 35, 1, 280, chunks=3)
    assert passes_in_flight(layout, 0) / (35 * 3) == pytest.approx(1 + 34 / (35 * 3))


def test_a_parameter_takes_the_published_bytes() -> None:
    """Rajbhandari et al. 2020, section 3.1: 16 with Adam in mixed precision, and table 1."""
    work = work_of(PRESETS["gpt2"])
    count = parameters_of_stage(work, Layout(), 0)
    assert count == work.parameters
    devices = 64
    for zero, expected in (
        (0, 16),
        (1, 4 + 12 / devices),
        (2, 2 + 14 / devices),
        (3, 16 / devices),
    ):
        layout = Layout(data=devices, batch=devices, zero=zero, precision="zero")
        memory = memory_of_stage(work, layout, 0)
        state = memory.weights + memory.gradients + memory.optimizer
        assert state / count == pytest.approx(expected)


@given(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]))
@settings(max_examples=9, deadline=None)
def test_stages_hold_the_whole_model_once(tensor: int, pipeline: int) -> None:
    """But for vectors, one on each device of a group, and the copy of a tied embedding."""
    work = work_of(SMALL)
    layout = Layout(tensor, pipeline)
    held = tensor * sum(parameters_of_stage(work, layout, s) for s in range(pipeline))
    extra = (tensor - 1) * work.layers * work.block_vectors
    extra += work.shared if pipeline > 1 else 0
    assert held == pytest.approx(work.parameters + extra)


def test_two_stacks_are_refused_in_one_line() -> None:
    with pytest.raises(ShapeError, match=r"not one stack.*GPT"):
        work_of(PRESETS["t5-small"])


@pytest.mark.parametrize(("name", "within"), [("A", 0.1), ("B", 0.12), ("C", 0.3)])
def test_our_own_engine_holds_what_is_planned(name: str, within: float) -> None:
    """Gradients and activations against the arena of a captured step. In C, whose values are
    of a few KB, temporaries weigh more than what is kept."""
    layers, heads, width, context, batch, vocab = CONFIGS[name]
    work = work_of(GPTConfig(vocab, context, layers, heads, width))
    layout = Layout(batch=batch, microbatch=batch, precision="float32")
    layout = replace(layout, fused_attention=True, dropout=False)
    memory = memory_of_stage(work, layout, 0)
    step: Any = build(next(w for w in suite("steps") if w.name == f"step {name}"), 1)
    plan = step.step.plan(*step.batch)
    assert memory.gradients + memory.activations == pytest.approx(plan.peak_bytes, rel=within)
    assert flops_of_step(work, layout) == pytest.approx(plan.flops, rel=0.05)
