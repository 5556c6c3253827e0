"""Prints docs/sizing.md: plans beside published trainings; `--measure` times our engine first."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from scipy.optimize import least_squares

from tinygrad_tx.bench.ours import build
from tinygrad_tx.bench.workloads import CONFIGS, suite
from tinygrad_tx.config import config
from tinygrad_tx.models import GPTConfig
from tinygrad_tx.sizing import MACHINES, Layout, plan, work_of
from tinygrad_tx.sizing.duration import flops_of_step
from tinygrad_tx.sizing.memory import memory_of_stage
from tinygrad_tx.sizing.published import FITTED_ON, PUBLISHED, Published

MEASURED = Path(__file__).parent / "sizing_measured.json"
TIMES = 8
ROUNDS = {"A": 15, "B": 3, "C": 15}

INTRODUCTION = """# Sizing on paper

Made by `docs/make_sizing.py`. Memory of each device and the time of a step, for a model on many
devices:

    tinygrad-tx plan --preset mt-nlg-530b --gpus 280x8 --tensor 8 --pipeline 35 \\
        --data 8 --batch 1920 --recompute full
    tinygrad-tx plan --preset gpt3-175b --gpus 128x8 --batch 1536 --search
    tinygrad-tx plan --preset llama3-8b --gpus 4x8 --machine h100 --batch 256 --search --json

`--out memory.svg` draws the memory of each stage, `--schedule time.svg` the pipeline. In Python:
`tinygrad_tx.sizing.plan(work_of(config), machine("selene").of(280), Layout(...))`.

**What is counted.** Parameters, operations and what the backward pass reads come from the graph
of the model by shape alone, for any GPT, BERT or Llama. That these are the formulas of the papers
is tested: Korthikanti et al. 2022, table 2; Narayanan et al. 2021, equation 3; Rajbhandari et al.
2020, table 1. Embedding and head are divided evenly over tensor-parallel devices, as with a
padded vocabulary.

**What a step takes.** Products at `efficiency` times the peak, and `overhead` seconds for each
block; what a block stores is written once and read once at the memory's bandwidth; rings at the
links' stated rates; a bubble of (p - 1) / v microbatches; the optimiser's traffic. A backward
pass is two forward passes. The schedule is played pass by pass in a test, which gives the same
bubble and the same number of passes in flight.

**What was fitted.** Two constants, efficiency {efficiency} and overhead {overhead:.2f} ms, by
least squares on the relative errors of four figures: {fitted} (Korthikanti et al. 2022, table 5,
selective recomputation), marked *. Two forms of the curve were tried. One that grows with the
width of the model came nearer to these four (within {other_near:.0f} %) and missed the models
below 10 billion parameters by up to {other_far:.0f} %; the form kept is within {near:.0f} % and
{far:.0f} %. So the table of Narayanan et al. informed the choice of the form, though not the
constants. The peaks and links of H100 and V100 are their makers'; the two constants are those of
A100, and nothing here checks them there.

## Step time

| training | layout | published, s | planned, s | error |
| --- | --- | --- | --- | --- |
"""

READING = """
Iteration times of Narayanan et al. are those of its rates by the operations of our graph. Its
microbatches and chunks are not stated: we take 4 texts without a pipeline, else 1, and the fewest
chunks above one. The rates of Smith et al. (126, 121, 113 TFLOP/s) follow from its seconds within
0.8.

**Where the figures are from.** Seconds of table 5 of Korthikanti et al. and of Smith et al. were
confirmed in public tools that validate against them; the parts of the peak for 2240 devices
stand in the abstract of Korthikanti et al. Layers and widths of Narayanan et al. give the
parameters that its models are named after; its rates and batches, but for the largest, could not
be looked up again here and are cited from memory of its table 1.

**What falls short.** The planned times of MT-NLG are {smith:.0f} to {smith_most:.0f} % too
short, though Narayanan et al. reached 163 TFLOP/s a device with the same model on the same
machine: the fit is on newer software, which may be why. The relation of its three sizes is
planned within 4 %. Models below 40 billion parameters are planned too slow by up to {small:.0f}
%, and that rests on the microbatch that we assume: with 16 texts the three smallest are within
{wide:.0f} %, with 2 texts the one of 39.1 billion is. The published hardware utilisation of
selective recomputation counts attention three times (a term s / 3h); we count the one forward
pass that is run, so our HFU is lower. Of memory, the papers give formulas, which tests compare,
but no table of bytes on devices that we could confirm: the sum with buffers and fragments is
unchecked, beside {reserved:.0f} GB held back. Links have no latency and no contention; expert
parallelism, context parallelism, offloading and encoder-decoders are not planned.

## Our own size

Gradients and activations as planned (32 bits, fused attention, no dropout) beside the memory that
`step.plan().peak_bytes` lays out; and the least time by our measured roofline beside the best
time of a step, one thread, in seconds of the processor, because other work shared the machine.
The roofline is the best of {times} measurements ({machine}). It knows products only, at their
peak: it is a bound, not a prediction.

| step | planned, MB | laid out, MB | error | roofline, ms | measured, ms | ratio |
| --- | --- | --- | --- | --- | --- | --- |
"""


def own(name: str) -> tuple[float, float, float]:
    """Bytes planned, bytes laid out, operations of a step."""
    layers, heads, width, context, batch, vocab = CONFIGS[name]
    work = work_of(GPTConfig(vocab, context, layers, heads, width))
    sizes: dict[str, Any] = {"precision": "float32", "fused_attention": True, "dropout": False}
    layout = Layout(batch=batch, microbatch=batch, **sizes)
    memory = memory_of_stage(work, layout, 0)
    laid = step_of(name).planned_bytes
    return memory.gradients + memory.activations, laid, flops_of_step(work, layout)


def step_of(name: str) -> Any:
    return build(next(w for w in suite("steps") if w.name == f"step {name}"), 1)


def measure() -> None:
    config.threads = 1
    found: dict[str, Any] = {}
    for name, rounds in ROUNDS.items():
        step, times = step_of(name), []
        step()
        for _ in range(rounds):
            started = time.process_time()
            step()
            times.append(time.process_time() - started)
        found[name] = min(times)
    found["flops"] = max(peak() for _ in range(TIMES))
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")


def peak() -> float:
    """Operations a second of one thread, by a process of its own: `roofline` measures once."""
    code = "from tinygrad_tx.roofline import roofline; print(roofline().flops)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(made.stdout)


def missed(efficiency: Any, overhead: float, rows: list[Published]) -> list[float]:
    """Relative errors with another efficiency, which may depend on the width, and overhead."""
    found = []
    for p in rows:
        made = p.plan()
        reached = efficiency(made.work.width)
        machine = replace(made.machine, efficiency=reached, overhead=overhead)
        planned = plan(made.work, machine, p.layout).time.total
        found.append(100 * (planned / p.published_seconds - 1))
    return found


def forms() -> dict[str, float]:
    """The largest errors in % of both forms: on the fitted, and on models below 10 billion."""
    fitted = [p for p in PUBLISHED if p.name in FITTED_ON]
    small = [p for p in PUBLISHED if p.source.startswith("Narayanan") and p.width < 6144]

    def other(x: Any) -> Any:
        return lambda width: x[0] * width / (width + 1000 * x[1])

    fit = least_squares(
        lambda x: missed(other(x), 0.0, fitted), [0.7, 1.0], bounds=([0.1, 0], [1, 100])
    ).x
    selene = MACHINES["selene"]
    kept = [missed(lambda _: selene.efficiency, selene.overhead, r) for r in (fitted, small)]
    tried = [missed(other(fit), 0.0, r) for r in (fitted, small)]
    most = [max(map(abs, errors)) for errors in (*kept, *tried)]
    return dict(zip(("near", "far", "other_near", "other_far"), most, strict=True))


def with_other_microbatches() -> float:
    """The largest error, in %, of models that are planned too slow, by the microbatches above."""
    others = {"1.7B": 16, "3.6B": 16, "7.5B": 16, "39.1B": 2}
    changed = [
        replace(p, layout=replace(p.layout, microbatch=others[p.name]))
        for p in PUBLISHED
        if p.name in others
    ]
    return max(abs(100 * p.error()) for p in changed)


def row(p: Published) -> str:
    star = "*" if p.name in FITTED_ON else ""
    assumed = f" (assumed: {p.assumed})" if p.assumed else ""
    cells = (f"{p.published_seconds:.2f}", f"{p.plan().time.total:.2f}", f"{p.error():+.1%}")
    layout = f"{p.layout.text()}, batch {p.layout.batch}{assumed}"
    return f"| {p.name}{star} ({p.source}) | {layout} | {' | '.join(cells)} |"


def own_row(name: str, measured: dict[str, float]) -> str:
    planned, laid, flops = own(name)
    least, took = flops / measured["flops"] * 1e3, measured[name] * 1e3
    cells = f"{planned / 1e6:.1f} | {laid / 1e6:.1f} | {planned / laid - 1:+.0%}"
    return f"| {name} | {cells} | {least:.2f} | {took:.2f} | {took / least:.1f} |"


def main() -> None:
    if "--measure" in sys.argv:
        measure()
    measured = json.loads(MEASURED.read_text())
    selene = MACHINES["selene"]
    smith = [-100 * p.error() for p in PUBLISHED if p.source.startswith("Smith")]
    narayanan = [p for p in PUBLISHED if p.source.startswith("Narayanan")]
    small = max(100 * p.error() for p in narayanan if p.width <= 8192)
    text = INTRODUCTION.format(
        efficiency=selene.efficiency,
        overhead=selene.overhead * 1e3,
        fitted=", ".join(FITTED_ON),
        **forms(),
    )
    lines = [row(p) for p in PUBLISHED]
    reading = READING.format(
        smith=min(smith),
        smith_most=max(smith),
        small=small,
        reserved=selene.reserved / 1e9,
        times=TIMES,
        wide=with_other_microbatches(),
        machine=f"{measured['flops'] / 1e9:.0f} GFLOPS a thread",
    )
    rows = [own_row(name, measured) for name in ROUNDS]
    sys.stdout.write(text + "\n".join(lines) + "\n" + reading + "\n".join(rows) + "\n")


main()
