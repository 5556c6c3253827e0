"""`tinygrad-tx train` under mpirun: what one process does, and what faults leave behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.distributed import mpi
from tests.distributed.runs import (
    assert_alike,
    assert_same_bits,
    losses_of,
    ranks_of,
    steps_of,
    stop_after,
)

pytestmark = [pytest.mark.parity, pytest.mark.slow]

TEXT = "".join(f"{i} times {i + 3} is {i * (i + 3)}; " for i in range(700))
SIZES = "--layers 1 --heads 2 --width 16 --context 16 --batch 12 --dropout 0.1 --tokenizer byte"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "text.txt").write_text(TEXT)
    return folder


def command(folder: Path, name: str, steps: int) -> list[str]:
    text, out = str(folder / "text.txt"), str(folder / name)
    given = ["--text", text, "--out", out, "--steps", str(steps)]
    return ["-m", "tinygrad_tx", "train", *SIZES.split(), *given]


def resumed(folder: Path, name: str) -> list[str]:
    return ["-m", "tinygrad_tx", "train", "--resume", "--out", str(folder / name)]


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    mpi.run(1, *command(folder, "alone", 24))
    return folder / "alone"


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    mpi.run(2, *command(folder, "both", 24))
    return folder / "both"


def test_two_ranks_do_what_one_process_does_also_with_dropout(alone: Path, both: Path) -> None:
    assert_alike(both, alone)


@pytest.mark.parametrize("ranks", [3, 4])
def test_more_ranks_than_cores_do_too(ranks: int, alone: Path, folder: Path) -> None:
    mpi.run(ranks, *command(folder, f"by {ranks}", 24))
    assert_alike(folder / f"by {ranks}", alone)


def test_two_runs_of_two_ranks_give_the_same_bits(both: Path, folder: Path) -> None:
    mpi.run(2, *command(folder, "again", 24))
    assert_same_bits(folder / "again", both)


def test_only_the_first_rank_talks(folder: Path) -> None:
    said = mpi.run(2, *command(folder, "talk", 2))
    assert said.count("Held-out loss") == 1
    assert said.count("To beat") == 1
    assert "By 2 processes, 6 of 12 rows each" in said


@pytest.fixture(scope="module")
def long_(folder: Path) -> Path:
    mpi.run(2, *command(folder, "long", 400))
    return folder / "long"


@pytest.fixture
def interrupted(folder: Path, request: pytest.FixtureRequest) -> Path:
    name = request.node.name
    job = mpi.start(2, *command(folder, name, 400))
    stop_after(job, folder / name, 20)
    os.kill(job.pid, signal.SIGINT)
    code, said = mpi.end(job)
    steps = steps_of(folder / name)
    assert steps < 400, said
    # MPICH passes Ctrl-C on and waits; Open MPI passes it on as SIGTERM, and says so in its code.
    assert "all is saved" in said or code != 0
    return folder / name


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(
    interrupted: Path, long_: Path, folder: Path
) -> None:
    mpi.run(2, *resumed(folder, interrupted.name))
    assert_same_bits(interrupted, long_)


@pytest.mark.parametrize("ranks", [1, 3])
def test_another_number_of_ranks_goes_on_from_it(
    ranks: int, interrupted: Path, long_: Path, folder: Path
) -> None:
    mpi.run(ranks, *resumed(folder, interrupted.name))
    found, truth = losses_of(interrupted), losses_of(long_)
    assert len(found) == len(truth) == 400
    assert found[-1]["loss"] == pytest.approx(truth[-1]["loss"], abs=1e-3)


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_rank_ends_the_job_and_the_checkpoint_stands(
    which: int, folder: Path, long_: Path
) -> None:
    path = folder / f"killed {which}"
    job = mpi.start(2, *command(folder, path.name, 400))
    stop_after(job, path, 130)
    os.kill(ranks_of(path)[which], signal.SIGKILL)
    code, _ = mpi.end(job, 60)
    assert code != 0
    assert not ranks_of(path)
    mpi.run(3, *resumed(folder, path.name))
    assert losses_of(path)[-1]["loss"] == pytest.approx(losses_of(long_)[-1]["loss"], abs=1e-3)


def test_a_rank_that_stands_still_ends_the_job_within_the_timeout(folder: Path) -> None:
    path = folder / "silent"
    job = mpi.start(2, *command(folder, path.name, 100_000), TINYGRAD_TX_RANK_TIMEOUT="3")
    stop_after(job, path, 20)
    silent = ranks_of(path)[1]
    os.kill(silent, signal.SIGSTOP)
    try:
        code, said = mpi.end(job, 60)
    finally:
        for process in ranks_of(path):
            os.kill(process, signal.SIGKILL)
    assert code != 0
    assert "heard nothing from another rank for" in said


def test_a_batch_that_cannot_be_divided_is_refused_in_one_line(folder: Path) -> None:
    code, said = mpi.end(mpi.start(5, *command(folder, "uneven", 4)))
    assert code != 0
    (line,) = [line for line in said.splitlines() if line.startswith("tinygrad-tx:")]
    assert "(12,) is not divided by 5 processes" in line
    assert "multiple of 5" in line


def test_a_folder_that_another_trains_in_is_refused_to_all_ranks(folder: Path, both: Path) -> None:
    code, said = mpi.end(mpi.start(2, *command(folder, both.name, 4)))
    assert code == 2
    (line,) = [line for line in said.splitlines() if line.startswith("tinygrad-tx:")]
    assert "already holds a checkpoint" in line
