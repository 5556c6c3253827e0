"""A search: the same table whenever it is killed, halving by an oracle, failures as rows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import CheckpointError, DataError, NonFiniteError
from tinygrad_tx.train import (
    Budget,
    Found,
    Halving,
    Pause,
    Progress,
    Result,
    RunFolder,
    Space,
    TrainConfig,
    fit,
    search,
)

STEPS = 8
Listener = Callable[[Progress], None]


class Killed(BaseException):
    """As if the process were gone: nothing after it runs."""


def curve(x: int, step: int) -> float:
    """Losses that change places as training goes on."""
    return 2 + np.sin(2.3 * x + step / 5) + x / 50


class Fake:
    """Trains nothing, but leaves what `fit` leaves, in its order; dies after so many writes."""

    def __init__(
        self,
        lives: int = 10**9,
        fails: Mapping[int, int] | None = None,
        every: int = 1,
        ends: Mapping[int, int] | None = None,
    ) -> None:
        self.lives, self.fails, self.every, self.ends = lives, fails or {}, every, ends or {}
        self.trained: list[tuple[int, int]] = []

    def _write(self, path: Path, text: str) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        path.write_text(text)

    def __call__(
        self, settings: Mapping[str, Any], run: RunFolder, resume: bool, on_step: Listener
    ) -> Result:
        x, result = settings["x"], Result()
        if resume:
            result.step = int(run.checkpoint.read_text())
            kept = [r for r in run.read_metrics() if r["step"] <= result.step]
            self._write(run.metrics, "".join(json.dumps(r) + "\n" for r in kept))
        while result.step < self.ends.get(x, STEPS):
            if self.fails.get(x) == result.step:
                raise NonFiniteError(f"step {result.step + 1}: loss: is not finite.")
            result.step += 1
            step, loss = result.step, curve(x, result.step)
            self.trained.append((x, step))
            row = {"step": step, "loss": loss}
            if step % self.every == 0:
                row["validation"] = loss
            before = run.metrics.read_text() if run.metrics.exists() else ""
            self._write(run.metrics, before + json.dumps(row) + "\n")
            if step % self.every == 0:
                self._write(run.checkpoint, str(step))
            try:
                on_step(Progress(step, loss, 1.0, 0.1, 1.0, row.get("validation")))
            except Pause:
                self._write(run.checkpoint, str(step))
                result.interrupted = step < STEPS
                break
        return result


def rows_of(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "runs.json").read_text())["rows"]
    return found


def space(count: int) -> Space:
    return Space.of(x=tuple(range(count)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures, which are tested by themselves, and no waiting for a disk: there are hundreds of
    searches here, and none loses its power."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(Found, "write_pictures", lambda found, folder: None)


def oracle(count: int, rungs: list[int], fails: Mapping[int, int]) -> tuple[set[int], int]:
    """Who is left, and how many steps are made in all: written from the paper alone."""
    alive, steps, at = list(range(count)), 0, 0

    def score(x: int, rung: int) -> float:
        return float("inf") if fails.get(x, STEPS) < rung else curve(x, rung)

    for rung in [*rungs, STEPS]:
        steps += sum(max(0, min(rung, fails.get(x, STEPS)) - at) for x in alive)
        if rung < STEPS:
            order = sorted(alive, key=lambda x: (score(x, rung), x))
            alive = order[: max(1, len(order) // 2)]
        at = rung
    return set(alive), steps


@given(st.integers(1, 12), st.dictionaries(st.integers(0, 11), st.integers(0, 7), max_size=4))
@hypothesis_settings(max_examples=25, deadline=None)
def test_halving_leaves_whom_the_paper_leaves_with_as_many_steps(
    count: int, fails: dict[int, int]
) -> None:
    halving = Halving(STEPS, 1)
    train = Fake(fails=fails)
    with TemporaryDirectory() as out:
        with contextlib.suppress(DataError):  # where all failed before they validated
            search(train, space(count), out, halving=halving)
        left = {r["x"] for r in rows_of(Path(out)) if r["state"] == "finished"}
    alive, steps = oracle(count, list(halving.rungs(count)), fails)
    assert left == {x for x in alive if x not in fails}
    assert len(train.trained) == len(set(train.trained)) == steps


@given(
    st.lists(st.integers(0, 60), max_size=5),
    st.booleans(),
    st.dictionaries(st.integers(0, 4), st.integers(0, 7), max_size=2),
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_a_killed_search_ends_with_the_table_of_one_that_was_not(
    lives: list[int], halves: bool, fails: dict[int, int]
) -> None:
    halving = Halving(STEPS, 1) if halves else None
    with TemporaryDirectory() as whole, TemporaryDirectory() as parts:
        search(Fake(fails=fails), space(5), whole, halving=halving)
        for life in lives:
            try:
                resume = (Path(parts) / "search.json").exists()
                search(Fake(life, fails), space(5), parts, halving=halving, resume=resume)
            except Killed:
                continue
        resume = (Path(parts) / "search.json").exists()
        search(Fake(fails=fails), space(5), parts, halving=halving, resume=resume)
        assert rows_of(Path(parts)) == rows_of(Path(whole))


def test_rows_of_before_the_first_checkpoint_are_not_kept_beside_the_new_ones(
    tmp_path: Path,
) -> None:
    with pytest.raises(Killed):
        search(Fake(lives=1, every=2), space(1), tmp_path)
    found = search(Fake(every=2), space(1), tmp_path, resume=True)
    steps = [row["step"] for row in found.trials[0].run.read_metrics()]
    assert steps == list(range(1, STEPS + 1))


def test_finished_trials_are_not_trained_again(tmp_path: Path) -> None:
    search(Fake(), space(3), tmp_path)
    again = Fake()
    found = search(again, space(3), tmp_path, resume=True)
    assert again.trained == []
    assert found.best is not None


def test_a_table_stands_after_each_trial_with_the_best_first(tmp_path: Path) -> None:
    seen: list[list[dict[str, Any]]] = []
    search(Fake(), space(4), tmp_path, on_trial=lambda found: seen.append(rows_of(tmp_path)))
    counts = [sum(r["state"] == "finished" for r in rows) for rows in seen]
    assert counts == [1, 2, 3, 4]
    losses = [r["best held out"] for r in seen[-1]]
    assert losses == sorted(losses)
    lowest = {x: min(curve(x, s) for s in range(1, STEPS + 1)) for x in range(4)}
    assert {r["x"]: r["best held out"] for r in seen[-1]} == pytest.approx(lowest)
    assert "| 001 |" in (tmp_path / "runs.md").read_text()


def test_failures_are_rows_with_their_reason_and_not_the_end(tmp_path: Path) -> None:
    found = search(Fake(fails={1: 5}), space(3), tmp_path)
    last = rows_of(tmp_path)[-1]
    assert (last["x"], last["state"]) == (1, "failed")
    assert "step 6: loss: is not finite" in last["reason"]
    assert found.count("finished") == 2
    assert found.best is not None
    assert found.best.settings["x"] != 1


def test_a_search_of_failures_alone_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no trial came to a held-out loss: step 1: loss"):
        search(Fake(fails={0: 0, 1: 0}), space(2), tmp_path)
    assert len(rows_of(tmp_path)) == 2


def test_a_full_disk_ends_the_search_and_it_goes_on_later(tmp_path: Path) -> None:
    def full(*_: Any) -> Result:
        raise CheckpointError("checkpoint: cannot be written: No space left on device.")

    with pytest.raises(CheckpointError, match="No space"):
        search(full, space(2), tmp_path)
    assert search(Fake(), space(2), tmp_path, resume=True).count("finished") == 2


@given(st.integers(1, 30))
@hypothesis_settings(max_examples=10, deadline=None)
def test_a_budget_of_steps_is_kept_and_spent_budgets_add_up(steps: int) -> None:
    with TemporaryDirectory() as out:
        resume, made = False, 0
        for _ in range(100):
            train = Fake()
            found = search(train, space(3), out, budget=Budget(steps=steps), resume=resume)
            assert len(train.trained) <= steps
            made += len(train.trained)
            resume = True
            if not found.stopped:
                break
        assert made == 3 * STEPS  # nothing was done twice: a spent budget saves
        assert found.count("finished") == 3


def test_a_spent_budget_of_seconds_says_how_to_go_on(tmp_path: Path) -> None:
    found = search(Fake(), space(2), tmp_path, budget=Budget(seconds=1e-9))
    assert "--resume" in found.stopped
    assert found.best is None or found.count("finished") < 2


def test_another_search_is_refused_and_more_random_trials_are_not(tmp_path: Path) -> None:
    wide = Space.of(x="linear:0..99")
    first = search(Fake(), wide, tmp_path, random=2)
    with pytest.raises(CheckpointError, match="already holds a search"):
        search(Fake(), wide, tmp_path, random=2)
    with pytest.raises(CheckpointError, match="another space"):
        search(Fake(), Space.of(x="linear:0..98"), tmp_path, random=2, resume=True)
    with pytest.raises(CheckpointError, match="another seed"):
        search(Fake(), wide, tmp_path, random=2, seed=1, resume=True)
    with pytest.raises(CheckpointError, match="another random"):
        search(Fake(), wide, tmp_path, random=1, resume=True)
    more = search(Fake(), wide, tmp_path, random=4, resume=True)
    assert [t.settings for t in more.trials[:2]] == [t.settings for t in first.trials]
    assert more.count("finished") == 4


def test_weights_of_the_best_alone_are_kept(tmp_path: Path) -> None:
    found = search(Fake(fails={3: 6}), space(5), tmp_path, keep=2)
    kept = [t.run.checkpoint.exists() for t in found.ranked]
    assert kept == [True, True, False, False, False]
    with pytest.raises(DataError, match="keep"):
        search(Fake(), space(2), tmp_path / "other", keep=0)


def test_halving_is_refused_where_trials_validate_too_seldom(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="first validated at step 2"):
        search(Fake(every=2), space(8), tmp_path, halving=Halving(STEPS, 1))


def test_a_trial_whose_patience_was_over_is_judged_by_where_it_ended(tmp_path: Path) -> None:
    """The first ends at step 3 and is still the best at step 4: the others are stopped."""
    assert curve(2, 3) < curve(7, 4) < curve(5, 4)
    points = Space.of(x=(2, 7, 5))
    found = search(Fake(ends={2: 3}), points, tmp_path, halving=Halving(STEPS, 4))
    states = {t.settings["x"]: (t.state, t.history.rows[-1]["step"]) for t in found.trials}
    assert states == {2: ("finished", 3), 7: ("stopped early", 4), 5: ("stopped early", 4)}


def test_the_picture_has_a_panel_for_each_setting_with_the_values_that_are_words(
    tmp_path: Path,
) -> None:
    points = Space.of(x=(1, 30, 2), units=("char", "byte"))
    found = search(Fake(fails={2: 0}), points, tmp_path)
    drawn = found.picture("svg").decode()
    assert drawn == found.picture("svg").decode()
    for said in (">x<", ">units<", ">char<", ">byte<", "cross: failed", "nats for each token"):
        assert said in drawn
    assert drawn.count('id="axes_') == 2


def test_a_damaged_plan_is_one_line(tmp_path: Path) -> None:
    search(Fake(), space(2), tmp_path)
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"search\.json: is damaged"):
        search(Fake(), space(2), tmp_path, resume=True)


# With real training.

TOKENS = np.tile(np.arange(11), 60)


def train_model(
    settings: Mapping[str, Any], run: RunFolder, resume: bool, on_step: Listener
) -> Result:
    config = TrainConfig(
        steps=16, batch=2, warmup=2, validate_every=2, learning_rate=settings["learning_rate"]
    )
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, settings["width"]))
    windows = Windows(TOKENS, 2, 8, seed=1), Windows(TOKENS[:99], 2, 8)
    return fit(model, *windows, config, run, resume, on_step)


def test_a_trial_that_paused_at_rungs_has_the_bits_of_one_that_did_not(tmp_path: Path) -> None:
    points = Space.of(learning_rate=(1e-2, 1e-4, 3e-3, 1e30), width=(16,))
    found = search(train_model, points, tmp_path / "halved", halving=Halving(16, 2))
    states = {t.settings["learning_rate"]: t.state for t in found.trials}
    assert states[1e-4] == "stopped early"
    assert states[1e30] == "failed"
    best = found.best
    assert best is not None
    plain = RunFolder(tmp_path / "plain")
    train_model(best.settings, plain, False, lambda progress: None)
    halved, alone = best.run.load_checkpoint()[0], plain.load_checkpoint()[0]
    for name, value in alone.items():
        assert halved[name].tobytes() == value.tobytes(), name


def test_ctrl_c_ends_the_search_with_all_saved(tmp_path: Path) -> None:
    def interrupt(trial: Any, progress: Progress) -> None:
        if trial.number == 2 and progress.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    points = Space.of(learning_rate=(1e-2, 1e-3), width=(16,))
    found = search(train_model, points, tmp_path, on_step=interrupt)
    assert "interrupted" in found.stopped
    assert [t.state for t in found.trials] == ["finished", "started"]
    again = search(train_model, points, tmp_path, resume=True)
    assert again.count("finished") == 2
