"""The campaign of damaged files: each is refused in one line, or loaded; as a table.

python -m tests.hostile.campaign [--files 10000] [--seed 0] [--workers 2] [--page docs/untrusted.md]

Workers read file after file under a bound on memory and on time. One that dies, hangs, takes more
than it may or raises what is no error of ours leaves its file in `--keep`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.formats import FORMATS, PLACES, Format, make_originals
from tinygrad_tx.errors import TinygradTxError

SECONDS = 30.0
"""For one file; the slowest take a tenth of one, but machines are shared."""

MEMORY = 256 << 20
"""Bytes that one file may take beyond what the worker has; the largest original has half a MB."""

ADDRESSES = 2 << 30
"""Bytes of address space beyond that: what is asked for at once and never touched fails too."""

Job = tuple[int, str, int]
"""Number, format, seed."""


@dataclass
class Tally:
    """What became of the files of a format. memory: the largest that one took, in bytes."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    memory: int = 0

    def row(self) -> str:
        words = ("refused", "loaded", "crashed", "hung")
        figures = " | ".join(f"{self.counts[w]:,}" for w in words)
        total = f"{self.counts.total():,}"
        return f"| {self.name} | {total} | {figures} | {self.memory / 1e6:.0f} MB |"


def jobs_of(files: int, seed: int, formats: Sequence[Format]) -> list[Job]:
    """Shares by format, each file with a seed of its own."""
    whole = sum(f.share for f in formats)
    names = [f.name for f in formats for _ in range(max(1, round(files * f.share / whole)))]
    Random(seed).shuffle(names)
    return [(i, name, seed * 1_000_003 + i) for i, name in enumerate(names)]


def place_of(format: Format, originals: Path, random: Random) -> tuple[Path, str]:
    """One of the folders of a format, and the file in it that is damaged."""
    root = originals / PLACES[format.name]
    folders = [root] if format.name != "tokenizer.json" else sorted(root.iterdir())
    # The real vocabulary takes longest to read: a tenth of them.
    real = [f for f in folders if f.name == "minilm"]
    folder = random.choice([f for f in folders if f not in real])
    folder = real[0] if real and random.random() < 0.1 else folder
    found = sorted(p.name for pattern in format.names for p in folder.glob(pattern))
    return folder, random.choice(found)


def damaged(job: Job, originals: Path, scratch: Path) -> tuple[Format, str]:
    """Writes the folder of a job: all as it was, one file damaged."""
    _, name, seed = job
    format = next(f for f in FORMATS if f.name == name)
    random = Random(seed)
    folder, file = place_of(format, originals, random)
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(folder, scratch)
    raw = (folder / file).read_bytes()
    (scratch / file).write_bytes(format.damaged(file, raw, random))
    return format, file


def verdict(format: Format, file: str, scratch: Path) -> str:
    """refused, loaded, or what went wrong. A message is one line that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            format.read(scratch, file)
    except TinygradTxError as error:
        said = str(error)
        if not said or len(said) > 5000 or not said.isprintable():
            return f"crashed: its message is {said[:200]!r}"
        return "refused"
    except BaseException as error:  # a panic of a library is no Exception
        return f"crashed: {type(error).__name__}: {str(error)[:200]}"
    return "loaded"


def work(pipe: Connection, originals: Path, scratch: Path) -> None:
    """A worker: jobs in, verdicts out, each with the memory that it took."""
    sys.stderr = open("/dev/null", "w")  # noqa: SIM115  # lives as long as the process
    for format in FORMATS:  # warm, and proof that the originals are sound
        if (originals / PLACES[format.name]).exists():
            folder, file = place_of(format, originals, Random(0))
            found = verdict(format, file, folder)
            assert found == "loaded", f"{format.name}: {file}: {found}"
    limit = _memory("VmSize") + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    while True:
        job = pipe.recv()
        if job is None:
            return
        format, file = damaged(job, originals, scratch)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = _memory("VmRSS")
        found = verdict(format, file, scratch)
        taken = max(0, _memory("VmHWM") - before)
        if taken > MEMORY:
            found = f"crashed: took {taken:,} bytes"
        pipe.send((found, taken))


def _memory(word: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{word}:"):
            return int(line.split()[1]) * 1024
    return 0


class Worker:
    """A process with the job that it is at."""

    def __init__(self, originals: Path, scratch: Path) -> None:
        self.originals, self.scratch = originals, scratch
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=work, args=(theirs, originals, scratch), daemon=True
        )
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.since = time.monotonic() + 120  # the first one waits for kernels

    def give(self, job: Job) -> None:
        self.job, self.since = job, max(self.since, time.monotonic())
        self.pipe.send(job)

    def answer(self) -> tuple[str, int] | None:
        """Of the job; None while it is at work."""
        if self.pipe.poll():
            try:
                found: tuple[str, int] = self.pipe.recv()
            except (EOFError, ConnectionError):
                self.process.join()
                return f"crashed: exit code {self.process.exitcode}", 0
            self.since = 0.0
            return found
        if time.monotonic() - self.since > SECONDS:
            return f"hung: more than {SECONDS:g} s", 0
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(
    files: int, seed: int, workers: int, keep: Path, formats: Sequence[Format] = FORMATS
) -> tuple[list[Tally], list[str]]:
    """Tallies by format, and a line for each finding, whose folder is kept."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make_originals(root / "originals")
        there = [f for f in formats if (root / "originals" / PLACES[f.name]).exists()]
        tallies = {f.name: Tally(f.name) for f in there}
        waiting = jobs_of(files, seed, there)[::-1]
        findings: list[str] = []
        crew = [Worker(root / "originals", root / f"scratch{i}") for i in range(workers)]
        for worker in crew:
            worker.give(waiting.pop())
        while any(w.job for w in crew):
            wait([w.pipe for w in crew if w.job], timeout=1.0)
            for i, worker in enumerate(crew):
                found = worker.answer() if worker.job else None
                if found is None or worker.job is None:
                    continue
                said, taken = found
                tally = tallies[worker.job[1]]
                tally.counts[said.split(":")[0]] += 1
                tally.memory = max(tally.memory, taken)
                if ":" in said:
                    findings.append(_kept(worker, said, keep))
                if said.startswith(("hung", "crashed: exit")):
                    worker.end()
                    worker = crew[i] = Worker(worker.originals, worker.scratch)
                worker.job = None
                if waiting:
                    worker.give(waiting.pop())
        for worker in crew:
            worker.end()
    return list(tallies.values()), findings


def _kept(worker: Worker, said: str, keep: Path) -> str:
    assert worker.job is not None
    number, name, seed = worker.job
    target = keep / f"{number}"
    shutil.rmtree(target, ignore_errors=True)
    if worker.scratch.exists():
        shutil.copytree(worker.scratch, target)
    return f"{name}: seed {seed}: {said} ({target})"


def table_of(tallies: Sequence[Tally]) -> str:
    titles = ("format", "files", "refused", "loaded", "crashed", "hung", "largest memory")
    total = Tally("all")
    for tally in tallies:
        total.counts += tally.counts
        total.memory = max(total.memory, tally.memory)
    rows = [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
    return "\n".join([*rows, *(t.row() for t in tallies), total.row()]) + "\n"


def write_page(page: Path, table: str, command: str) -> None:
    """Puts the table between the marks of the page."""
    start, end = "<!-- campaign -->\n", "<!-- end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(start)
    after = rest.partition(end)[2]
    made = f"{before}{start}\n`{command}`\n\n{table}\n{end}{after}"
    page.write_text(made, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--keep", type=Path, default=Path("hostile-findings"))
    given: Any = parser.parse_args()
    tallies, findings = run(given.files, given.seed, given.workers, given.keep)
    table = table_of(tallies)
    print(table)
    for line in findings:
        print(line)
    if given.page:
        command = f"python -m tests.hostile.campaign --files {given.files} --seed {given.seed}"
        write_page(given.page, table, command)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
