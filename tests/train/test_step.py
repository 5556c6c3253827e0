"""Several batches a step, averaged weights, patience: each against what it is defined as."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import Batch, Windows
from tinygrad_tx.distributed import ALONE, Shards
from tinygrad_tx.errors import CheckpointError, DataError, NonFiniteError
from tinygrad_tx.optim import Average
from tinygrad_tx.train import Progress, RunFolder, TrainConfig, fit, held_out_loss
from tinygrad_tx.train.step import Step

TOKENS = np.tile(np.arange(11), 60)
NOISE = np.random.default_rng(5).integers(0, 11, 200)
"""A held-out part of which nothing can be learnt: its loss rises as training goes on."""


def model_of(seed: int = 0) -> tx.models.GPT:
    return tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 32), seed)


class Rows:
    """Rows of `Windows`, drawn one after the other, `size` a batch."""

    def __init__(self, size: int) -> None:
        self.windows = Windows(TOKENS, 1, 8, seed=1)
        self.size, self.drawn = size, 0

    def draw(self) -> Batch:
        self.drawn += 1
        rows = [self.windows.draw() for _ in range(self.size)]
        return tuple(np.concatenate(part) for part in zip(*rows, strict=True))

    def in_order(self, most: int | None = None) -> Iterator[Batch]:
        return Windows(TOKENS, self.size, 8).in_order(most)

    def state(self) -> str:
        return self.windows.state()

    def restore(self, state: str) -> None:
        self.windows.restore(state)


def config_of(**settings: object) -> TrainConfig:
    usual = {"steps": 12, "batch": 2, "warmup": 2, "validate_every": 3, "learning_rate": 3e-3}
    return TrainConfig(**{**usual, **settings})  # type: ignore[arg-type]  # any


@pytest.mark.parametrize(("size", "count"), [(1, 6), (2, 3), (3, 2)])
def test_several_batches_train_as_one_of_all_their_rows(
    size: int, count: int, tmp_path: Path
) -> None:
    whole, parts = model_of(), model_of()
    held_out = Windows(TOKENS[:99], 2, 8)
    one = fit(whole, Rows(6), held_out, config_of(), RunFolder(tmp_path / "one"))
    rows = Rows(size)
    config = config_of(accumulate=count)
    several = fit(parts, rows, held_out, config, RunFolder(tmp_path / "several"))
    assert rows.drawn == 12 * count
    for key in ("loss", "gradient_norm", "tokens"):
        np.testing.assert_allclose(
            [r[key] for r in several.metrics], [r[key] for r in one.metrics], rtol=1e-4
        )
    for name, value in whole.state_dict().items():
        found = parts.state_dict()[name]
        if name.endswith("qkv.bias"):
            # Softmax does not see the bias of keys: its gradient is rounding, which Adam enlarges.
            value[32:64] = found[32:64]
        np.testing.assert_allclose(found, value, atol=2e-5, err_msg=name)


def test_a_batch_that_fails_among_several_is_the_one_that_is_kept(tmp_path: Path) -> None:
    class Poisoned(Rows):
        def draw(self) -> Batch:
            tokens, targets = super().draw()
            if self.drawn == 8:  # the second of three in the third step
                tokens = np.full_like(tokens, 3)
            return tokens, targets

    class Flawed(tx.models.GPT):
        def loss(self, tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
            is_bad = tx.all(tokens == 3)
            return super().loss(tokens, targets) * tx.where(is_bad, float("nan"), 1.0)

    model = Flawed(tx.models.GPTConfig(11, 8, 1, 1, 32))
    held_out = Windows(TOKENS[:99], 2, 8)
    config = config_of(accumulate=3, on_bad="skip")
    result = fit(model, Poisoned(2), held_out, config, RunFolder(tmp_path))
    assert [r["step"] for r in result.passed_over] == [3]
    state, _ = RunFolder(tmp_path).load_bad_step()
    assert (state["batch.0"] == 3).all()
    assert all(np.isfinite(v).all() for v in model.state_dict().values())


def test_a_sum_of_an_abandoned_step_is_not_carried_on(tmp_path: Path) -> None:
    """The first batch of a step starts the sums anew, whatever an earlier step left there."""
    model = model_of()
    parameters = list(model.parameters())
    shards = Shards(ALONE, parameters, lambda: None)
    step = Step(model, shards, tx.optim.AdamW(parameters, 0.1), 1e9, accumulate=2)
    rows = Rows(2)
    first, second, third = rows.draw(), rows.draw(), rows.draw()
    with pytest.raises(NonFiniteError):
        step([first, second], limit=0.0)
    before = model.state_dict()
    _, norm = step([second, third], limit=float("inf"))
    model.load_state_dict(before)
    (gradient,) = (_gradient(model, [second, third]),)
    assert norm == pytest.approx(gradient, rel=1e-5)


def _gradient(model: tx.models.GPT, batches: list[Batch]) -> float:
    for p in model.parameters():
        p.grad = None
    for batch in batches:
        (model.loss(*batch) / len(batches)).backward()
    grads = [p.grad.numpy().astype(np.float64) for p in model.parameters() if p.grad is not None]
    return float(np.sqrt(sum((g * g).sum() for g in grads)))


def test_the_average_follows_its_definition_and_is_what_is_validated(tmp_path: Path) -> None:
    model = model_of()
    expected = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    seen: list[float] = []

    def follow(progress: Progress) -> None:
        t = progress.step - 1
        kept = min(0.9, (1 + t) / (10 + t))
        for name, value in model.state_dict().items():
            expected[name] = kept * expected[name] + (1 - kept) * value
        if progress.validation is not None:
            seen.append(progress.validation)

    held_out = Windows(TOKENS[:99], 2, 8)
    config = config_of(average=0.9, steps=24)
    fit(model, Rows(2), held_out, config, RunFolder(tmp_path), on_step=follow)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)
    assert held_out_loss(model, held_out, 64) == pytest.approx(seen[-1], rel=1e-6)
    for name, value in RunFolder(tmp_path).load_weights().items():
        np.testing.assert_array_equal(value, model.state_dict()[name])


def test_the_run_ends_when_the_held_out_loss_stays_up_and_leaves_the_best_weights(
    tmp_path: Path,
) -> None:
    model, held_out = model_of(), Windows(NOISE, 2, 8)
    config = config_of(steps=90, patience=3, learning_rate=1e-2)
    result = fit(model, Rows(2), held_out, config, RunFolder(tmp_path))
    assert result.step == result.best_step + 3 * 3 < 90
    assert "3 validations without a lower loss" in result.stopped
    losses = {r["step"]: r["validation"] for r in result.metrics if "validation" in r}
    assert min(losses, key=losses.__getitem__) == result.best_step
    assert held_out_loss(model, held_out, 64) == pytest.approx(result.best, rel=1e-6)
    again = model_of(3)
    resumed = fit(again, Rows(2), held_out, config, RunFolder(tmp_path), resume=True)
    assert (resumed.step, resumed.stopped) == (result.step, result.stopped)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value)


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_with_all_of_it_a_resumed_run_ends_with_the_same_bits(stop: int, tmp_path: Path) -> None:
    config = config_of(steps=60, accumulate=2, average=0.8, patience=2, learning_rate=1e-2)
    held_out = Windows(NOISE, 2, 8)

    def interrupt(progress: Progress) -> None:
        if progress.step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    whole, parts = model_of(), model_of(4)
    one = fit(whole, Rows(2), held_out, config, RunFolder(tmp_path / "whole"))
    assert one.stopped
    folder = RunFolder(tmp_path / "parts")
    cut = fit(model_of(), Rows(2), held_out, config, folder, on_step=interrupt)
    assert (cut.interrupted, cut.step) == (True, stop)
    two = fit(parts, Rows(2), held_out, config, folder, resume=True)
    assert (two.step, two.best, two.best_step) == (one.step, one.best, one.best_step)
    for name, value in whole.state_dict().items():
        assert value.tobytes() == parts.state_dict()[name].tobytes(), name
    states = [RunFolder(tmp_path / n).load_checkpoint()[0] for n in ("whole", "parts")]
    for name, value in states[0].items():
        assert value.tobytes() == states[1][name].tobytes(), name


def test_a_second_interrupt_ends_at_once_and_the_last_checkpoint_stands(tmp_path: Path) -> None:
    class Slow(Rows):
        def draw(self) -> Batch:
            if self.drawn == 7:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
            return super().draw()

    held_out = Windows(TOKENS[:99], 2, 8)
    folder = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(model_of(), Slow(2), held_out, config_of(), folder)
    _, notes = folder.load_checkpoint()
    assert (notes["step"], "recovered" in notes) == ("6", False)
    whole, other = model_of(), model_of(9)
    fit(whole, Rows(2), held_out, config_of(), RunFolder(tmp_path / "whole"))
    fit(other, Rows(2), held_out, config_of(), folder, resume=True)
    for name, value in whole.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name


def test_checkpoints_of_another_average_are_refused(tmp_path: Path) -> None:
    held_out = Windows(TOKENS[:99], 2, 8)
    fit(model_of(), Rows(2), held_out, config_of(), RunFolder(tmp_path))
    config = config_of(average=0.9, steps=20)
    with pytest.raises(CheckpointError, match="average"):
        fit(model_of(), Rows(2), held_out, config, RunFolder(tmp_path), resume=True)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay"):
        Average(model_of().named_parameters(), decay)


@pytest.mark.parametrize("bad", [{"accumulate": 0}, {"average": 1.0}, {"patience": -1}])
def test_settings_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(bad))):
        config_of(**bad)


def test_older_checkpoints_have_no_best_score(tmp_path: Path) -> None:
    held_out = Windows(TOKENS[:99], 2, 8)
    folder = RunFolder(tmp_path)
    fit(model_of(), Rows(2), held_out, config_of(), folder)
    state, notes = folder.load_checkpoint()
    best = json.loads(notes.pop("best"))
    assert best[1] in (3, 6, 9, 12)
    folder.save_checkpoint(state, notes)
    result = fit(model_of(), Rows(2), held_out, config_of(steps=15), folder, resume=True)
    assert result.best_step == 15
