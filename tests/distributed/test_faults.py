"""Ranks that meet what is not finite, or an error, on their own; and what each one keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.distributed import mpi

pytestmark = [pytest.mark.parity, pytest.mark.slow]

BEGIN = """
import json, sys
import numpy as np
import tinygrad_tx as tx
from tinygrad_tx import nn
from tinygrad_tx.data import Examples
from tinygrad_tx.distributed import end_of_job, join
from tinygrad_tx.errors import TinygradTxError
from tinygrad_tx.train import RunFolder, TrainConfig, fit

group = join()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.first, self.second = nn.Linear(8, 64, rng), nn.Linear(64, 1, rng)

    def loss(self, x, y):
        return tx.square(self.second(tx.tanh(self.first(x)))[:, 0] - y).mean()


def data(bad=None):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    y = x.sum(1)
    if bad is not None:
        x[bad] = np.nan
    return x, y


def train(folder, bad=None, **more):
    tx.manual_seed(0)
    model = Model()
    config = TrainConfig(steps=20, batch=12, warmup=2, validate_every=5, **more)
    run = RunFolder(folder)
    args = Examples(data(bad), 12), Examples(data(), 12), config, run
    return model, fit(model, *args, group=group)
"""


def script(folder: Path, text: str, ranks: int) -> tuple[int, str]:
    path = folder / "script.py"
    path.write_text(BEGIN + text)
    return mpi.end(mpi.start(ranks, str(path), str(folder / f"run {ranks}")))


def told(said: str) -> list[list[float]]:
    """What the first rank printed of all."""
    (line,) = [line for line in said.splitlines() if line.startswith("[")]
    found: list[list[float]] = json.loads(line)
    return found


PASSING = """
model, result = train(sys.argv[1], 7, on_bad=POLICY, accumulate=ACCUMULATE)
tops = [float(np.abs(p.numpy()).sum()) for p in model.parameters()]
passed = [r["step"] for r in result.passed_over]
told = np.array([*passed, *[0] * (20 - len(passed)), result.validation, *tops])
every = group.gather(told)
if group.is_first:
    print(json.dumps(every.tolist()))
"""


@pytest.mark.parametrize(("policy", "accumulate"), [("skip", 1), ("rollback", 1), ("skip", 2)])
def test_all_ranks_pass_over_the_steps_that_one_process_would(
    policy: str, accumulate: int, tmp_path: Path
) -> None:
    text = PASSING.replace("POLICY", repr(policy)).replace("ACCUMULATE", str(accumulate))
    (alone,) = told(script(tmp_path, text, 1)[1])
    found = told(script(tmp_path, text, 3)[1])
    assert len(found) == 3
    assert alone[0]  # it did meet the bad row
    for row in found:
        assert row[:20] == alone[:20]
        assert row[20] == pytest.approx(alone[20], rel=1e-4)
        assert row == found[0]  # the same bits on all ranks


def test_a_bad_step_stops_all_ranks_with_one_line(tmp_path: Path) -> None:
    text = """
try:
    train(sys.argv[1], 7)
except TinygradTxError as error:
    end_of_job(str(error), 2)
    sys.exit(2)
"""
    code, said = script(tmp_path, text, 2)
    assert code == 2
    (line,) = [line for line in said.splitlines() if line.startswith("tinygrad-tx:")]
    assert "is not finite" in line
    assert "an input" in line


@pytest.mark.parametrize("error", ["ValueError('mine alone')", "TinygradTxError('mine alone')"])
def test_an_error_of_one_rank_ends_all(error: str, tmp_path: Path) -> None:
    text = f"""
if group.rank == 1:
    try:
        raise {error}
    except TinygradTxError as error:
        end_of_job(str(error), 2)
        sys.exit(2)
group.any(True)  # would wait for ever
"""
    code, said = script(tmp_path, text, 2)
    assert code != 0
    assert "mine alone" in said


def test_each_rank_keeps_its_share_of_the_moments(tmp_path: Path) -> None:
    text = """
from tinygrad_tx.distributed import Shards
from tinygrad_tx.optim import AdamW

model = Model()
x, y = data()
shards = Shards(group, model.parameters(), lambda: model.loss(x[:4], y[:4]).backward())
optimizer = AdamW(shards.pieces)
kept = sum(m.numpy().nbytes for m in optimizer.first)
every = group.gather(np.array([kept, sum(p.numpy().nbytes for p in model.parameters())]))
if group.is_first:
    print(json.dumps(every.tolist()))
"""
    for ranks in (2, 4):
        found = told(script(tmp_path, text, ranks)[1])
        whole = found[0][1]
        assert sum(kept for kept, _ in found) == whole
        assert max(kept for kept, _ in found) <= whole / ranks + 64 * 4


def test_buckets_of_one_parameter_give_what_one_process_does(tmp_path: Path) -> None:
    """Where a bucket is smaller than its padding, a rank has nothing of it to send or to keep."""
    text = """
from tinygrad_tx.distributed import Shards
from tinygrad_tx.optim import AdamW
from tinygrad_tx.train.step import Step

model, batch = Model(), tuple(a[:12] for a in data())
mine = group.rows(batch)
shards = Shards(group, model.parameters(), lambda: model.loss(*mine).backward(), 4)
step = Step(model, shards, AdamW(shards.pieces, 1e-2), 1.0, accumulate=2)
numbers = [x for _ in range(10) for x in step([batch, batch], float("inf"))]
every = group.gather(np.array([*numbers, *(float(p.sum().item()) for p in model.parameters())]))
if group.is_first:
    print(json.dumps(every.tolist()))
"""
    (alone,) = told(script(tmp_path, text, 1)[1])
    found = told(script(tmp_path, text, 4)[1])
    assert all(row == found[0] for row in found)
    assert found[0] == pytest.approx(alone, rel=1e-4, abs=1e-4)
