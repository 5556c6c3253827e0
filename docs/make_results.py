"""Writes docs/results.md and the table of README.md out of docs/results/*.json.

    python -m tinygrad_tx bench --out BENCH
    python -m tinygrad_tx bench capture --threads 1 --rounds 9 --out CAPTURE
    python tests/benchmarks/learning.py --out docs/results/learning.json
    python docs/make_results.py BENCH CAPTURE

takes in what the first two left, and prints nothing that was not measured by one of the three, or
counted in docs/mutations.md.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from tinygrad_tx.files import write_whole

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
BEGIN, END = "<!-- results: made by docs/make_results.py -->", "<!-- end of results -->"
PEERS = {
    "torch": "PyTorch",
    "torch compiled": "`torch.compile`",
    "jax": "JAX",
    "numpy": "NumPy (OpenBLAS)",
    "transformer lens": "TransformerLens",
    "torchlens": "TorchLens",
}
SECTIONS = {
    "Training steps": ("step",),
    "Writing": ("write",),
    "Matrix products": ("matmul",),
    "Parts, forward and backward": ("softmax", "layer_norm", "gelu", "cross_entropy", "attention"),
    "Updates of AdamW": ("adamw",),
}
NAMES = {
    "step A": "a training step, GPT of 0.8 million parameters",
    "step B": "of 10.8 million",
    "step C": "of 0.1 million",
    "bert step A": "BERT of 0.8 million",
    "encoder-decoder step A": "encoder-decoder of 1.9 million",
    "write A": "writing 48 tokens, GPT of 0.8 million",
}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "results" / f"{name}.json").read_text())
    return found


def setting(of: dict[str, Any]) -> str:
    """Machine, threads and versions of a measurement."""
    known = dict(of["versions"])
    threads, machine = known.pop("threads"), known.pop("machine")
    packages = ", ".join(f"{name} {version}" for name, version in known.items())
    return f"{machine}, {threads} thread{'s' * (threads != 1)} each; {packages}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:,.0f}"


def own(row: dict[str, Any]) -> str:
    turns = row["turns_seconds"]["ours"]
    return f"{milliseconds(statistics.median(turns))} / {milliseconds(min(turns))}"


def beside(row: dict[str, Any], peer: str, short: bool = False) -> str:
    """What a peer took, and how many times as long as we: by medians, and best by best."""
    if peer not in row["turns_seconds"]:
        return f"failed: {row['failed'][peer]}" if peer in row["failed"] else ""
    theirs, ours = row["turns_seconds"][peer], row["turns_seconds"]["ours"]
    median = statistics.median(theirs) / statistics.median(ours)
    times = f"{median:.2f}x"
    said = f"**{times}**" if median < 1 else times
    if short:
        return f"{milliseconds(statistics.median(theirs))} ({said})"
    both = f"{milliseconds(statistics.median(theirs))} / {milliseconds(min(theirs))}"
    return f"{both}: {said}, {min(theirs) / min(ours):.2f}x"


def table(rows: list[dict[str, Any]]) -> list[str]:
    peers = [peer for peer in PEERS if any(peer in r["turns_seconds"] for r in rows)]
    head = ["ms", "tinygrad_tx", *(PEERS[p] for p in peers)]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for row in rows:
        cells = [row["workload"]["name"], own(row), *(beside(row, p) for p in peers)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def speed(bench: dict[str, Any]) -> list[str]:
    roof = bench["roofline"]
    lines = [
        "## Speed",
        "",
        "`tinygrad-tx bench --out bench` on an idle machine, all contenders in turns, "
        f"{len(bench['results'][0]['turns_seconds']['ours'])} rounds: median / best of a turn in "
        "milliseconds, then how many times as long as ours, by medians and best by best. What is "
        "printed bold is where the other is faster.",
        "",
        f"{setting(bench)}. The machine's roof, measured in the same run: "
        f"{roof['flops'] / 1e9:.0f} GFLOPS and {roof['bytes_a_second'] / 1e9:.0f} GB/s.",
        "",
        "GPT A has 4 layers, 4 heads, width 128, context 64, batch 12 and a vocabulary of 65; B "
        "6, 6, 384, 256, 8, 65; C 2, 2, 64, 32, 8, 65; D 3, 3, 96, 80, 5, 1000. A step is "
        "forward, backward, clipping and AdamW.",
    ]  # fmt: skip
    for title, kinds in SECTIONS.items():
        rows = [r for r in bench["results"] if r["workload"]["kind"] in kinds]
        if rows:
            lines += ["", f"### {title}", "", *table(rows)]
    return lines


def over_nothing(capture: dict[str, Any]) -> dict[tuple[str, str], float]:
    """How many times a plain forward pass each capture takes, by contender and what it captures:
    the median over rounds of ratios within a round."""
    plain, *others = capture["results"]
    return {
        (name, row["workload"]["option"]): statistics.median(
            a / b for a, b in zip(turns, plain["turns_seconds"][name], strict=True)
        )
        for row in others
        for name, turns in row["turns_seconds"].items()
    }


def looking(capture: dict[str, Any]) -> list[str]:
    times = over_nothing(capture)
    options = [row["workload"]["option"] for row in capture["results"][1:]]
    lines = [
        "## What looking inside costs",
        "",
        "`tinygrad-tx bench capture --threads 1 --rounds 9`: a forward pass of GPT A with values "
        "kept, in times of the same program's forward pass without.",
        "",
        f"{setting(capture)}.",
        "",
        f"| | nothing captured, ms | {' | '.join(options)} |",
        "| --- " * (2 + len(options)) + "|",
    ]  # fmt: skip
    for name, turns in capture["results"][0]["turns_seconds"].items():
        cells = [f"{times[name, o]:.2f}x" if (name, o) in times else "" for o in options]
        label = "tinygrad_tx" if name == "ours" else PEERS[name]
        lines.append(
            f"| {label} | {milliseconds(statistics.median(turns))} | {' | '.join(cells)} |"
        )
    return lines


def learning(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Learning",
        "",
        f"`python tests/benchmarks/learning.py`: GPT A, {found['steps']:,} steps on the language "
        "reference inside Python by characters; the same first weights and batches for both.",
        "",
        f"{setting(found)}.",
        "",
        "| | held-out loss, nats a token: mean (each seed) | seconds, each seed |",
        "| --- | --- | --- |",
    ]
    for name, label in (("ours", "tinygrad_tx"), ("torch", "PyTorch")):
        losses, seconds = found["losses"][name], found["seconds"][name]
        each = ", ".join(f"{v:.3f}" for v in losses)
        took = ", ".join(f"{v:.0f}" for v in seconds)
        lines.append(f"| {label} | {statistics.mean(losses):.3f} ({each}) | {took} |")
    lines.append(f"| bigram counts | {found['bigram']:.3f} | |")
    return lines


def caught() -> dict[str, tuple[int, int]]:
    """Of the planted bugs that a checker can look for, how many it finds."""
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in (DOCS / "mutations.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| mutant", "| ---"))
    ]
    found = {"ours": (sum(row[1] != "missed" for row in rows), len(rows))}
    for name, column in (("torch", 3), ("jax", 4)):
        asked = [row[column] for row in rows if row[column] != "-"]
        found[name] = (asked.count("caught"), len(asked))
    return found


def gradients() -> list[str]:
    found = caught()
    return [
        "## Gradients",
        "",
        "[Planted bugs](mutations.md), each found by the suite or not; of those that the peers' "
        "checkers of gradients can look for, how many they find on the same inputs.",
        "",
        "| | caught | of |",
        "| --- | --- | --- |",
        "| tinygrad_tx | {} | {} |".format(*found["ours"]),
        "| `torch.autograd.gradcheck` | {} | {} |".format(*found["torch"]),
        "| `jax.test_util.check_grads` | {} | {} |".format(*found["jax"]),
    ]


def page() -> str:
    parts = [speed(read("bench")), looking(read("capture")), learning(read("learning"))]
    text = "\n\n".join("\n".join(part) for part in [*parts, gradients()])
    head = "# Results\n\nMade by `docs/make_results.py` from what the commands below left."
    return f"{head}\n\n{text}\n"


def summary() -> str:
    """The table of README.md."""
    bench, capture, found = read("bench"), read("capture"), read("learning")
    peers = ("torch", "torch compiled", "jax")
    lines = [
        f"| | tinygrad_tx | {' | '.join(PEERS[p] for p in peers)} |",
        "| --- " * (2 + len(peers)) + "|",
    ]
    by_name = {row["workload"]["name"]: row for row in bench["results"]}
    for name, label in NAMES.items():
        row = by_name[name]
        ours = milliseconds(statistics.median(row["turns_seconds"]["ours"]))
        cells = [beside(row, peer, short=True) for peer in peers]
        lines.append(f"| {label} | {ours} ms | {' | '.join(cells)} |")
    losses = {k: f"{statistics.mean(v):.3f}" for k, v in found["losses"].items()}
    caught_by = {k: f"{a} of {b}" for k, (a, b) in caught().items()}
    times, everything = over_nothing(capture), "everything"
    lenses = ", ".join(
        f"{PEERS[name]} {times[name, everything]:.1f}x"
        for name in ("transformer lens", "torchlens")
    )
    lines += [
        f"| held-out loss after {found['steps']:,} steps (bigram counts: {found['bigram']:.3f}) "
        f"| {losses['ours']} | {losses['torch']} | | |",
        f"| planted wrong gradients caught | {caught_by['ours']} | {caught_by['torch']} | "
        f"| {caught_by['jax']} |",
        f"| a forward pass with all inner values kept, in times of one without | "
        f"{times['ours', everything]:.2f}x | {lenses} | | |",
    ]  # fmt: skip
    return "\n".join(lines)


def with_summary(readme: str) -> str:
    """README's text with the table between its marks made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{summary()}\n\n{END}{after}"


if __name__ == "__main__":
    for name, folder in zip(("bench", "capture"), map(Path, sys.argv[1:]), strict=False):
        shutil.copyfile(folder / "bench.json", DOCS / "results" / f"{name}.json")
    write_whole(DOCS / "results.md", page())
    write_whole(README, with_summary(README.read_text(encoding="utf-8")))
