"""Guards: a step that fails is met as asked, and leaves no trace but a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import DataError, NonFiniteError
from tinygrad_tx.train import Progress, Result, RunFolder, TrainConfig, fit
from tinygrad_tx.train.guard import PassedOver, Spikes

TOKENS = np.tile(np.arange(11), 60)
BAD = tx.tensor(np.float32(0))
"""What is added to the loss of `Flawed`."""


class Flawed(tx.models.GPT):
    def loss(self, tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        return super().loss(tokens, targets) + BAD


class Healing(RunFolder):
    """Once a failure is written down, what caused it is gone."""

    def write(self, path: Path, data: bytes | str) -> None:
        super().write(path, data)
        if path == self.bad_step:
            BAD.assign_(np.float32(0))


def train(
    folder: RunFolder, bad_after: int, value: float, **settings: object
) -> tuple[Flawed, Result, list[int]]:
    """A run whose loss is wrong once, after the first step of that number."""
    steps: list[int] = []
    BAD.assign_(np.float32(0))

    def on_step(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step == bad_after and steps.count(bad_after) == 1:
            BAD.assign_(np.float32(value))

    config = TrainConfig(
        **{"steps": 12, "batch": 2, "warmup": 2, "validate_every": 6, **settings}  # type: ignore[arg-type]  # any
    )
    model = Flawed(tx.models.GPTConfig(11, 8, 1, 1, 32))
    batches, held_out = Windows(TOKENS, 2, 8, seed=1), Windows(TOKENS[:99], 2, 8)
    return model, fit(model, batches, held_out, config, folder, on_step=on_step), steps


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_a_step_that_fails_is_passed_over(tmp_path: Path, policy: str) -> None:
    folder = Healing(tmp_path)
    model, result, steps = train(folder, 8, np.nan, on_bad=policy)
    assert result.step == 12
    (note,) = result.passed_over
    assert (note["step"], note["policy"]) == (9, policy)
    assert "first in" in note["reason"]
    again = [*range(9, 13)] if policy == "skip" else [*range(7, 13)]
    assert steps == [*range(1, 9), *again]
    assert all(np.isfinite(v).all() for v in model.state_dict().values())
    assert [r["step"] for r in folder.read_metrics()] == list(range(1, 13))


def test_a_flaw_that_stays_ends_the_run_after_ten_tries(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="10 failures in a row"):
        train(RunFolder(tmp_path), 8, np.nan, on_bad="skip")
    _, notes = RunFolder(tmp_path).load_checkpoint()
    assert notes["step"] == "6"


def test_a_leap_of_the_loss_is_bad_where_that_is_asked_for(tmp_path: Path) -> None:
    _, result, _ = train(Healing(tmp_path), 30, 50.0, steps=40, spike=3.0, on_bad="skip")
    (note,) = result.passed_over
    assert note["step"] == 31
    assert "leaps to" in note["reason"]
    assert max(r["loss"] for r in result.metrics) < 10


@pytest.mark.parametrize("floor", [0.0, 1e-9])
def test_noise_around_a_loss_of_nothing_is_no_leap(floor: float) -> None:
    """A text learnt by heart: many times the median is still next to nothing."""
    spikes = Spikes(50.0)
    for loss in [2.4, 0.3, *[floor] * 100]:
        spikes.note(loss)
    assert 3e-4 < spikes.limit(first=2.4) < 0.24
    assert spikes.limit(first=float("nan")) == 50.0 * floor


def test_of_many_failures_the_last_are_kept_and_all_are_counted() -> None:
    passed = PassedOver()
    for step in range(1000):
        passed.note(step, "skip", "a leap")
    again = PassedOver()
    again.restore(passed.state())
    assert again == passed
    assert (again.total, len(again), again[-1]["step"]) == (1000, 100, 999)


def test_without_a_bound_a_leap_is_trained_on(tmp_path: Path) -> None:
    _, result, _ = train(Healing(tmp_path), 5, 50.0)
    assert max(r["loss"] for r in result.metrics) > 50
    assert not result.passed_over


def test_the_batch_of_a_failure_is_kept_with_the_weights_that_it_failed_with(
    tmp_path: Path,
) -> None:
    with pytest.raises(NonFiniteError, match="tinygrad-tx replay"):
        train(RunFolder(tmp_path), 7, np.inf)
    folder = RunFolder(tmp_path)
    state, notes = folder.load_bad_step()
    assert notes["step"] == "8"
    batches = Windows(TOKENS, 2, 8, seed=1)
    tokens, targets = [batches.draw() for _ in range(8)][-1]
    np.testing.assert_array_equal(state["batch.0"], tokens)
    np.testing.assert_array_equal(state["batch.1"], targets)


@pytest.mark.parametrize("bad", [{"on_bad": "ignore"}, {"spike": -1.0}, {"spike": float("nan")}])
def test_settings_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(bad))):
        TrainConfig(**bad)  # type: ignore[arg-type]  # that is the point
