"""Waves: rows that share a fork must not touch each other's memory, and lose or repeat no share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.compiler.program import KernelStep, Program
from tinygrad_tx.compiler.waves import CHUNKS, waves_of
from tinygrad_tx.graph.lowering import View
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.runtime import execute
from tinygrad_tx.runtime.execute import Executable


def bound_step() -> tuple[Program, list[Any]]:
    """A whole training step of a small GPT."""
    tx.manual_seed(0)
    model = GPT(GPTConfig(40, 16, 2, 2, 32))
    optimizer = tx.optim.AdamW(model.parameters(), 1e-3)

    @tx.jit
    def step(x: tx.Tensor, y: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    tokens = np.random.default_rng(0).integers(0, 40, (4, 17))
    return step.bound(tokens[:, :-1].copy(), tokens[:, 1:].copy())


def places(program: Program, view: View) -> Iterator[tuple[str, int]]:
    """The 64-byte lines of memory that a view's buffer lies in."""
    home = program.memory[view.buffer]
    where = "arena" if home.kind == "arena" else f"{home.kind} {view.buffer}"
    for line in range(home.offset // 64, -(-(home.offset + home.nbytes) // 64)):
        yield where, line


def test_rows_of_a_wave_are_independent() -> None:
    program, _ = bound_step()
    waves = waves_of(program)
    assert sum(w.count for w in waves.values()) > 30  # the updates at least
    for wave in waves.values():
        touched: dict[tuple[str, int], tuple[int, bool]] = {}
        for number in range(wave.first, wave.first + wave.count):
            step = program.steps[number]
            assert isinstance(step, KernelStep)
            for view in (o for o in step.operands if isinstance(o, View)):
                writes = view.buffer in step.writes
                for place in places(program, view):
                    before, was_written = touched.get(place, (number, False))
                    assert before == number or not (writes or was_written)
                    touched[place] = (number, writes or (was_written and before == number))


def test_every_share_runs_once() -> None:
    program, _ = bound_step()
    for wave in waves_of(program).values():
        steps = program.steps[wave.first : wave.first + wave.count]
        wanted = [(i, k) for i, s in enumerate(steps) for k in range(s.shares)]  # type: ignore[union-attr]  # kernels only
        assert list(wave.units) == wanted
        assert (wave.starts[0], wave.starts[-1], len(wave.starts)) == (0, len(wanted), CHUNKS + 1)
        assert list(wave.starts) == sorted(wave.starts)


def test_waves_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    program, arrays = bound_step()
    found = []
    for waves in (waves_of, lambda program: {}):
        monkeypatch.setattr(execute, "waves_of", waves)
        own = [a.copy() for a in arrays]
        (loss,) = Executable(program).run(own)
        found.append([loss.copy(), *own])
    for together, alone in zip(*found, strict=True):
        assert together.tobytes() == alone.tobytes()


def test_what_is_written_is_said() -> None:
    """Each row writes no memory but the buffers it names: run one by one, nothing else changes."""
    program, arrays = bound_step()
    runner = Executable(program)
    runner.run(arrays)
    arena = runner._arena
    for number, step in enumerate(program.steps):
        assert isinstance(step, KernelStep)
        before = arena.copy()
        runner.run_step(number)
        changed = np.flatnonzero(before != arena) // 64
        allowed: set[int] = {0}  # the status words
        for buffer in step.writes:
            home = program.memory[buffer]
            if home.kind == "arena":
                allowed |= set(range(home.offset // 64, -(-(home.offset + home.nbytes) // 64)))
        assert set(changed.tolist()) <= allowed, step.label
