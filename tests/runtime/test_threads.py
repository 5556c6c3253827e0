"""The same bits whatever the number of threads, over several training steps and under load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.compiler.program import KernelStep


@pytest.fixture
def load() -> Iterator[None]:
    """Other processes that fight for the cores, so that shares finish in any order."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: sum(range(100000))"]) for _ in range(3)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def trained(threads: int, steps: int) -> bytes:
    """All weights after some steps of a GPT whose rows are worth several shares."""
    before = tx.config.threads
    tx.config.threads = threads
    try:
        model = tx.models.GPT(tx.models.GPTConfig(65, 64, 2, 4, 128))
        optimizer = tx.optim.AdamW(model.parameters(), 1e-3)

        @tx.jit
        def step(x: tx.Tensor, y: tx.Tensor) -> tx.Tensor:
            optimizer.zero_grad()
            loss = model.loss(x, y)
            loss.backward()
            tx.optim.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()
            return loss

        rng = np.random.default_rng(0)
        for _ in range(steps):
            tokens = rng.integers(0, 65, (12, 65))
            step(tokens[:, :-1].copy(), tokens[:, 1:].copy())
        plan = step.plan(tokens[:, :-1], tokens[:, 1:])
        shares = [s.shares for s in plan.program.steps if isinstance(s, KernelStep)]
        assert max(shares) > 1, "nothing ran in parallel: the test says nothing"
        return b"".join(v.tobytes() for v in model.state_dict().values())
    finally:
        tx.config.threads = before


@pytest.mark.usefixtures("load")
def test_training_gives_the_same_bits_with_one_thread_and_with_two() -> None:
    one = trained(1, steps=6)
    assert all(trained(2, steps=6) == one for _ in range(3))
