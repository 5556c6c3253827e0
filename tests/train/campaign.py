"""The fault campaign: what training survives, tried out, as a table.

python tests/train/campaign.py [--kills 200] [--flips 200] [--page docs/faults.md]

A child process trains; faults are done to it and to its folder. After each one training goes on to
the bits of a run that nothing happened to, or says in one line what to do. The runs accumulate
gradients, average weights and end by patience, so that all of that has to be kept too. The parent
never runs a kernel: its children are forked, so that a try costs no import.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.data import Windows
from tinygrad_tx.errors import CheckpointError, TinygradTxError
from tinygrad_tx.train import RunFolder, TrainConfig, fit

TOKENS, HELD_OUT = (
    np.random.default_rng(seed).integers(0, 31, count) ** 2 // 31
    for seed, count in ((0, 800), (1, 300))
)
CONFIG = TrainConfig(
    steps=240, batch=4, warmup=10, learning_rate=4e-3, validate_every=8, validation_batches=2,
    accumulate=2, average=0.9, patience=6,
)  # fmt: skip
"""How often each token comes is soon known, and nothing else helps with the held-out ones:
patience ends the runs before their last step."""


@dataclass(frozen=True)
class Fault:
    """tried: how often. went_on: to the same final bits. refused: with one clear line. lost: all
    else, which must be none."""

    name: str
    tried: int
    went_on: int
    refused: int

    @property
    def lost(self) -> int:
        return self.tried - self.went_on - self.refused


def train(folder: Path, batch: int = 4) -> None:
    """To the end, from where the folder stands."""
    model = tx.models.GPT(tx.models.GPTConfig(31, 16, 1, 2, 16, dropout=0.1))
    run = RunFolder(folder)
    batches, held_out = Windows(TOKENS, batch, 16, seed=1), Windows(HELD_OUT, 4, 16)
    fit(model, batches, held_out, CONFIG, run, run.checkpoint.exists() or run.previous.exists())


def child(work: Callable[[], None]) -> int:
    """Starts `work` in a process of its own: 0 at its end, 2 with a clear error, else 1."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        work()
        code = 0
    except (TinygradTxError, MemoryError):
        code = 2
    finally:
        os._exit(code)


def end_of(number: int) -> int:
    """The exit code; negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def bits(folder: Path) -> bytes:
    """What a run ended with: weights, moments, averages, the best weights, and where its batches,
    random numbers and patience stand."""
    run = RunFolder(folder)
    state, notes = run.load_checkpoint()
    parts = [part[name].tobytes() for part in (state, run.load_weights()) for name in sorted(part)]
    return b"".join([*parts, *(notes[n].encode() for n in ("step", "batches", "random", "best"))])


def whole(folder: Path) -> tuple[bytes, float]:
    """The bits of a run that nothing happened to, and how long it took."""
    began = time.perf_counter()
    assert end_of(child(lambda: train(folder))) == 0
    assert int(RunFolder(folder).load_checkpoint()[1]["step"]) < CONFIG.steps  # by patience
    return bits(folder), time.perf_counter() - began


def wait_for(path: Path, seconds: float = 60.0) -> None:
    """Until the file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} is not written"
        time.sleep(0.002)


def goes_on(folder: Path, wanted: bytes) -> bool:
    return end_of(child(lambda: train(folder))) == 0 and bits(folder) == wanted


def kills(folder: Path, wanted: bytes, seconds: float, count: int, seed: int = 0) -> Fault:
    """SIGKILL at random instants of runs that go on from each other; a finished one starts anew."""
    rng, done, went_on = np.random.default_rng(seed), 0, 0
    while done < count:
        number = child(lambda: train(folder))
        time.sleep(float(rng.uniform(0, 1.1 * seconds)))
        os.kill(number, signal.SIGKILL)
        if end_of(number) == 0:
            if bits(folder) != wanted:
                break
            shutil.rmtree(folder)
            continue
        done += 1
        run = RunFolder(folder)
        try:
            if run.checkpoint.exists() and "recovered" in run.load_checkpoint()[1]:
                break  # a kill alone must never damage the newest checkpoint
        except CheckpointError:
            break
        went_on += 1
    is_same = goes_on(folder, wanted)
    return Fault("kill -9 at a random instant", done, went_on if is_same else 0, 0)


def flips(folder: Path, wanted: bytes, count: int, seed: int = 0) -> Fault:
    """One flipped bit, or a cut, anywhere in the newest checkpoint."""
    rng, went_on = np.random.default_rng(seed), 0
    run = RunFolder(folder)
    pair = run.checkpoint.read_bytes(), run.previous.read_bytes()
    for number in range(count):
        raw = bytearray(pair[0])
        place = int(rng.integers(len(raw)))
        if number % 4 == 3:
            raw = raw[:place]
        else:
            raw[place] ^= 1 << int(rng.integers(8))
        run.checkpoint.write_bytes(bytes(raw))
        run.previous.write_bytes(pair[1])
        went_on += "recovered" in run.load_checkpoint()[1] and bits(folder) != wanted
    is_same = goes_on(folder, wanted)
    return Fault("a flipped bit or a cut in the checkpoint", count, went_on if is_same else 0, 0)


def both_damaged(folder: Path) -> Fault:
    """Both checkpoints: nothing to go on from, and that is said."""
    run = RunFolder(folder)
    for path in (run.checkpoint, run.previous):
        path.write_bytes(path.read_bytes()[:-9])
    code = end_of(child(lambda: train(folder)))
    return Fault("both checkpoints cut short", 1, 0, int(code == 2))


def two_trainers(folder: Path, wanted: bytes) -> Fault:
    """A second process on the folder of a running one is refused, and the first one ends well."""
    first = child(lambda: train(folder))
    run, refused = RunFolder(folder), False
    # Not before: who asks while nobody holds the folder holds it, and keeps the first one out.
    wait_for(run.checkpoint)
    try:
        with run.held():
            pass
    except CheckpointError as error:
        refused = f"process {first}" in str(error)
    ended = end_of(first) == 0 and bits(folder) == wanted
    return Fault("two processes on one folder", 1, 0, int(refused and ended))


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of that size at `folder`; False where this user may not make one."""
    folder.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    made = shutil.which("mount") and not subprocess.run(line, capture_output=True).returncode
    try:
        yield bool(made)
    finally:
        if made:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def full_disk(folder: Path, wanted: bytes) -> Fault:
    """No room for the next checkpoint: said, the last one stands; with room training goes on."""
    with small_disk(folder, "1m") as made:
        if not made:
            return limited_files(folder, wanted)
        filler = folder / "filler"
        number = child(lambda: train(folder))
        wait_for(RunFolder(folder).previous)
        with contextlib.suppress(OSError):
            filler.write_bytes(b"x" * (1 << 20))
        code = end_of(number)
        stands = "recovered" not in RunFolder(folder).load_checkpoint()[1]
        filler.unlink()
        good = code == 2 and stands and goes_on(folder, wanted)
    return Fault("a full disk", 1, 0, int(good))


def limited_files(folder: Path, wanted: bytes) -> Fault:
    """Where no file system can be made: files that may not grow."""

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        train(folder)

    code = end_of(child(work))
    return Fault("files that may not grow", 1, 0, int(code == 2 and goes_on(folder, wanted)))


def read_only(folder: Path) -> Fault:
    """A folder that cannot be written is refused before the first step."""
    with small_disk(folder, "1m") as made:
        if made:
            line = ["mount", "-o", "remount,ro", str(folder)]
            subprocess.run(line, check=True, capture_output=True)
        else:
            folder.chmod(0o555)
        code = end_of(child(lambda: train(folder)))
    return Fault("a read-only folder", 1, 0, int(code == 2))


def clock_jumps(folder: Path, wanted: bytes) -> Fault:
    """The clock of the wall goes back an hour, and forward a year, at every look."""

    def work() -> None:
        jumps = iter(range(10**9))
        real = time.time
        time.time = lambda: real() + (-3600 if next(jumps) % 2 else 3e7)
        train(folder)

    good = end_of(child(work)) == 0 and bits(folder) == wanted
    return Fault("a clock that jumps", 1, int(good), 0)


def little_memory(folder: Path, wanted: bytes) -> Fault:
    """Room for the compiler (256 MB) but not for the batch: said, and with less it goes on."""

    def work() -> None:
        held = resource.getrlimit(resource.RLIMIT_AS)[1]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), held))
        train(folder, batch=1 << 15)

    code = end_of(child(work))
    return Fault("no memory", 1, 0, int(code == 2 and goes_on(folder, wanted)))


def campaign(kill_count: int, flip_count: int) -> list[Fault]:
    """All faults, each in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted, seconds = whole(folder / "whole")
        wanted, seconds = whole(folder / "again")  # with all kernels compiled
        for part in ("flipped", "cut"):
            shutil.copytree(folder / "again", folder / part)
        return [
            kills(folder / "killed", wanted, seconds, kill_count),
            flips(folder / "flipped", wanted, flip_count),
            both_damaged(folder / "cut"),
            two_trainers(folder / "two", wanted),
            full_disk(folder / "full", wanted),
            read_only(folder / "locked"),
            clock_jumps(folder / "clock", wanted),
            little_memory(folder / "memory", wanted),
        ]


def page(faults: list[Fault]) -> str:
    """docs/faults.md."""
    rows = "\n".join(
        f"| {f.name} | {f.tried} | {f.went_on} | {f.refused} | {f.lost} |" for f in faults
    )
    return (
        "# What training survives\n\n"
        "Faults done to a training run and its folder, by `python tests/train/campaign.py`.\n"
        "After each, training goes on to the same final bits as a run that nothing happened to\n"
        "(weights, moments, averages, best weights, order of batches, random numbers, the step at\n"
        "which patience ends it), or ends with one line that says what to do and with its last\n"
        "good checkpoint in place; nothing else may happen. The runs accumulate gradients over\n"
        f"{CONFIG.accumulate} batches, average their weights and end by patience.\n\n"
        "| fault | tried | went on to the same bits | said what to do | lost |\n"
        "| --- | --- | --- | --- | --- |\n" + rows + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    found = campaign(asked.kills, asked.flips)
    text = page(found)
    print(text)
    if asked.page is not None:
        asked.page.write_text(text, encoding="utf-8")
    sys.exit(int(any(f.lost for f in found)))
