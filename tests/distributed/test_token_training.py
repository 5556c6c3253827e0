"""`tinygrad-tx train --data` under mpirun: the windows of one process, at any number of ranks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.distributed import mpi
from tests.distributed.runs import assert_alike, losses_of, ranks_of, steps_of, stop_after
from tinygrad_tx.data import Preparation, prepare
from tinygrad_tx.train import RunFolder

pytestmark = [pytest.mark.parity, pytest.mark.slow]

SIZES = "--layers 1 --heads 2 --width 16 --context 16 --batch 12 --dropout 0.1 --validate-every 20"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has the data sets `sums` and `products`."""
    folder = tmp_path_factory.mktemp("ranks")
    texts = {
        "sums": "".join(f"{i} plus {i + 8} is {2 * i + 8}.\n" for i in range(900)),
        "products": "".join(f"{i} times {i + 3} makes {i * (i + 3)}; " for i in range(700)),
    }
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
        how = Preparation("byte", held_out=0.2, piece=300, shard_tokens=9000)
        prepare([folder / f"{name}.txt"], folder / name, how)
    return folder


def command(folder: Path, name: str, steps: int, *data: str) -> list[str]:
    sets = [word for one in data for word in ("--data", str(folder / one))]
    given = [*SIZES.split(), *sets, "--out", str(folder / name), "--steps", str(steps)]
    return ["-m", "tinygrad_tx", "train", *given]


def drawn(path: Path) -> str:
    """What the checkpoint says of the rows that were drawn."""
    return RunFolder(path).load_checkpoint()[1]["batches"]


def test_two_ranks_draw_from_token_files_what_one_process_does(folder: Path) -> None:
    for ranks, name in ((1, "alone"), (2, "both")):
        mpi.run(ranks, *command(folder, name, 24, "sums"))
    assert_alike(folder / "both", folder / "alone")
    assert drawn(folder / "both") == drawn(folder / "alone")


def test_a_mixture_goes_on_at_the_very_next_row_with_another_number_of_ranks(folder: Path) -> None:
    mixture = ("sums=2", "products")
    mpi.run(1, *command(folder, "mixture", 400, *mixture), "--documents")
    path = folder / "killed"
    job = mpi.start(2, *command(folder, path.name, 400, *mixture), "--documents")
    stop_after(job, path, 50)
    os.kill(ranks_of(path)[1], signal.SIGKILL)
    code, said = mpi.end(job, 60)
    assert code != 0
    assert steps_of(path) < 400, said
    mpi.run(3, "-m", "tinygrad_tx", "train", "--resume", "--out", str(path))
    assert drawn(path) == drawn(folder / "mixture")
    found, truth = losses_of(path), losses_of(folder / "mixture")
    # One batch differs from the next by a hundred times this.
    assert [r["loss"] for r in found] == pytest.approx([r["loss"] for r in truth], abs=1e-3)


def test_a_file_cut_short_ends_all_ranks_in_one_line_and_the_checkpoint_stands(
    folder: Path,
) -> None:
    path = folder / "cut"
    job = mpi.start(2, *command(folder, path.name, 100_000, "products"))
    stop_after(job, path, 30)
    for file in (folder / "products").glob("learning-*.tokens"):
        os.truncate(file, 4)
    code, said = mpi.end(job, 60)
    assert code != 0
    (line,) = [line for line in said.splitlines() if line.startswith("tinygrad-tx:")]
    assert "is cut short: 4 bytes, not" in line
    step = int(RunFolder(path).load_checkpoint()[1]["step"])
    assert step >= 20
    assert step % 20 == 0
