"""Prints docs/results.md from docs/results.json, which `tinygrad-tx bench` measured.

tinygrad-tx bench --out bench && cp bench/bench.json docs/results.json
python docs/make_results.py > docs/results.md && python docs/make_results.py --readme
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_tx.files import write_whole

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
BEGIN, END = "<!-- made by docs/make_results.py --readme -->", "<!-- end -->"
PEERS = {
    "torch": "PyTorch",
    "torch compiled": "PyTorch compiled",
    "jax": "JAX",
    "numpy": "NumPy (OpenBLAS)",
    "transformer lens": "TransformerLens",
    "torchlens": "TorchLens",
}
SHAPES = "layers, heads, width, context, batch, vocabulary"
BUSY = 1.0
"""Load above which figures of time are said to be of a shared machine."""

Row = Mapping[str, Any]


def page(found: Row) -> str:
    """The whole page."""
    parts = [_beginning(found), _glance(found), *_times(found), _first(found), _learning(found)]
    return (
        "\n\n".join(part for part in [*parts, _caught(), _capture(found), _repeat()] if part) + "\n"
    )


def _beginning(found: Row) -> str:
    v = found["versions"]
    packages = {"tinygrad-tx": "tinygrad_tx", "torch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}
    packages |= {"numba": "Numba", "transformer-lens": "TransformerLens", "torchlens": "TorchLens"}
    named = ", ".join(f"{name} {v[key]}" for key, name in packages.items() if key in v)
    busy = (
        f"\nOther programs used the machine: its load was {found['load']:.1f} when this began, so "
        "that times are longer than on an idle one. Ratios are of turns side by side."
        if found["load"] > BUSY
        else "\nThe machine was idle."
    )
    roof = found["roofline"]
    return f"""# Results

Made by `docs/make_results.py` of one run of `tinygrad-tx bench`, of {found["on"]}.

{v["machine"]}, {v["processors"]} processors, threads for each contender: {v["threads"]}, float32;
measured roofline {roof["flops"] / 1e9:.0f} GFLOPS, {roof["bytes_a_second"] / 1e9:.0f} GB a second.
{busy}
{named}.

Contenders take turns, each in a process of its own. Times are milliseconds, the median over the
turns and behind it the best turn. A ratio is the peer's median by ours: above 1 we are faster."""


def _glance(found: Row) -> str:
    """One table that a README has room for."""
    rows = [("what", "here", "beside it")]
    for name in ("step A", "step B", "step C"):
        row = _row_of(found, name)
        if row is not None and row["ratios_of_medians"]:
            peer, ratio = min(row["ratios_of_medians"].items(), key=lambda p: p[1])
            what = f"training {name}, {_parameters(row)}"
            beside = f"{PEERS[peer]}, the fastest peer: {_ms(row, peer)} ms, {ratio:.2f} times"
            rows.append((what, f"{_ms(row, 'ours')} ms", beside))
    learning = found.get("learning")
    if learning and "ours" in learning["losses"]:
        ours, theirs = (_mean(learning["losses"].get(n, ())) for n in ("ours", "torch"))
        what = f"held-out loss after {learning['steps']} steps"
        rows.append((what, ours, f"PyTorch {theirs}, bigram counts {learning['bigram']:.3f}"))
    ours, theirs = _mutants()
    rows.append(("planted bugs caught", ours, theirs))
    nothing, everything = (_row_of(found, f"capture {n} A") for n in ("nothing", "everything"))
    if nothing is not None and everything is not None:
        costs = {n: _cost(everything, nothing, n) for n in nothing["turns_seconds"]}
        beside = ", ".join(f"{PEERS[n]} {c:.2f}" for n, c in costs.items() if n != "ours" and c)
        here = f"{costs['ours']:.2f} times a plain pass" if costs.get("ours") else "-"
        rows.append(("capturing every named value", here, beside))
    return f"## At a glance\n\n{_table(rows)}"


def _times(found: Row) -> list[str]:
    kinds: tuple[tuple[str, str, Callable[[Row], bool]], ...] = (
        (
            "Training steps and writing",
            f"A step is forward, backward, clipping and AdamW. Sizes: {SHAPES}.",
            lambda w: w["kind"] in ("step", "write"),
        ),
        (
            "Products of matrices",
            "m x k x n; N: as it lies in memory, T: transposed.",
            lambda w: w["kind"] == "matmul",
        ),
        (
            "Other parts",
            "The result and the gradients of all inputs; AdamW: one update.",
            lambda w: w["kind"] not in ("step", "write", "matmul", "capture"),
        ),
    )
    made = []
    for title, text, is_one in kinds:
        rows = [r for r in found["results"] if is_one(r["workload"]) and _has(r, "ours")]
        if rows:
            made.append(f"## {title}\n\n{text}\n\n{_race_table(rows)}{_failures(rows)}")
    return made


def _first(found: Row) -> str:
    rows = [r for r in found["results"] if r["workload"]["kind"] == "step" and _has(r, "ours")]
    if not rows:
        return ""
    names = [n for n in ("ours", *PEERS) if any(_has(r, n) for r in rows)]
    lines = [("workload", *(PEERS.get(n, n) for n in names))]
    for row in rows:
        cells = (
            f"{row['first_seconds'][n]:.2f} s, {row['grown_bytes'][n] / 1e6:.0f} MB"
            if n in row["first_seconds"]
            else "-"
            for n in names
        )
        lines.append((row["workload"]["name"], *cells))
    return f"""## The first step, and memory

Seconds of the first step, model and data being there, in a new process; ours finds its kernels in
the cache if an earlier process compiled them. Megabytes: what the peak of the process grew by over
four steps.

{_table(lines)}"""


def _race_table(rows: Sequence[Row]) -> str:
    peers = [p for p in PEERS if any(_has(r, p) for r in rows)]
    lines = [("workload", "sizes", "ours", *(PEERS[p] for p in peers))]
    for row in rows:
        cells = [
            f"{_ms(row, p)}: {row['ratios_of_medians'][p]:.2f}" if _has(row, p) else "-"
            for p in peers
        ]
        sizes = ", ".join(map(str, row["workload"]["sizes"]))
        lines.append((row["workload"]["name"], sizes, _ms(row, "ours"), *cells))
    ratios = [r["ratios_of_medians"][p] for r in rows for p in peers if _has(r, p)]
    slower = sum(r < 1 for r in ratios)
    said = (
        ""
        if not ratios
        else (
            f"\n\nMedian ratio {statistics.median(ratios):.2f}, from {min(ratios):.2f} to "
            f"{max(ratios):.2f}; slower than the peer in {slower} of {len(ratios)}."
        )
    )
    return _table(lines) + said


def _failures(rows: Iterable[Row]) -> str:
    failed = [f"- {r['workload']['name']}: {why}" for r in rows for why in r["failed"].values()]
    return "\n\nNot measured:\n\n" + "\n".join(failed) if failed else ""


def _learning(found: Row) -> str:
    learning = found.get("learning")
    if not learning or "ours" not in learning["losses"]:
        return ""
    rows = [("", "held-out loss, mean", "each seed", "seconds, median")]
    for name, losses in learning["losses"].items():
        seconds = statistics.median(learning["seconds"][name])
        each = ", ".join(f"{x:.4f}" for x in losses)
        rows.append((PEERS.get(name, "tinygrad_tx"), _mean(losses), each, f"{seconds:.0f}"))
    rows.append(("bigram counts", f"{learning['bigram']:.3f}", "", ""))
    return f"""## Learning

A GPT of {learning["parameters"]:,} parameters (4 layers, width 128, context 64, batch 12) on the
English text inside Python, character by character, {learning["steps"]} steps of AdamW.
Both start from the same weights and see the same batches at the same learning rates; they differ in
rounding alone. Losses in nats a character. Seconds are of the steps behind the first.

{_table(rows)}"""


def _caught() -> str:
    ours, theirs = _mutants()
    return f"""## Gradients caught

Of the plausible bugs planted one by one, our tests caught {ours}; of those that are wrong rules of
reverse mode, {theirs}. Each bug, and who caught it: [mutations.md](mutations.md), by
`python tests/mutations/table.py`."""


def _mutants() -> tuple[str, str]:
    """What the page of mutants ends with."""
    text = (DOCS / "mutations.md").read_text(encoding="utf-8")
    ours = re.search(r"Ours caught (\d+ of \d+)", text)
    theirs = re.search(r"Of the (\d+).*gradcheck caught (\d+),.*check_grads (\d+)", text)
    assert ours is not None, "docs/mutations.md ends otherwise"
    assert theirs is not None, "docs/mutations.md ends otherwise"
    rules, torch, jax = theirs.groups()
    return ours[1], f"PyTorch's gradcheck {torch} of {rules}, JAX's check_grads {jax} of {rules}"


def _capture(found: Row) -> str:
    rows = [r for r in found["results"] if r["workload"]["kind"] == "capture" and _has(r, "ours")]
    if len(rows) < 2:
        return ""
    nothing, *others = rows
    lines = [("", "nothing, ms", *(f"{r['workload']['option']}, times nothing" for r in others))]
    for name in nothing["turns_seconds"]:
        cells = [_cost(r, nothing, name) for r in others]
        lines.append(
            (
                PEERS.get(name, "tinygrad_tx"),
                _ms(nothing, name),
                *("-" if c is None else f"{c:.2f}" for c in cells),
            )
        )
    return f"""## What looking inside costs

A forward pass of GPT A with nothing captured, with every named value, with the hidden units of one
layer, and with the attention pattern of one. All have our weights.

{_table(lines)}"""


def _cost(row: Row, nothing: Row, name: str) -> float | None:
    """The median over the rounds of ratios within a round."""
    if not (_has(row, name) and _has(nothing, name)):
        return None
    turns = zip(row["turns_seconds"][name], nothing["turns_seconds"][name], strict=True)
    return statistics.median(a / b for a, b in turns)


def _repeat() -> str:
    return """## To repeat it

    pip install -e '.[bench]'
    tinygrad-tx bench --out bench
    cp bench/bench.json docs/results.json && python docs/make_results.py > docs/results.md

On an idle machine. One part of it: `tinygrad-tx bench steps --only "step A"`, `bench learning`,
`bench capture`. Contenders that are not installed are left out."""


def _row_of(found: Row, name: str) -> Row | None:
    return next(
        (r for r in found["results"] if r["workload"]["name"] == name and _has(r, "ours")), None
    )


def _has(row: Row, name: str) -> bool:
    return bool(row["turns_seconds"].get(name))


def _ms(row: Row, name: str) -> str:
    turns = row["turns_seconds"][name]
    return f"{_short(1e3 * statistics.median(turns))} / {_short(1e3 * min(turns))}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _mean(losses: Sequence[float]) -> str:
    return f"{statistics.mean(losses):.3f}" if losses else "not measured"


def _parameters(row: Row) -> str:
    layers, _, width, context, _, vocab = row["workload"]["sizes"]
    count = layers * (12 * width**2 + 13 * width) + (vocab + context + 2) * width
    return f"{count / 1e6:.1f} million parameters"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def readme(text: str, found: Row) -> str:
    """README's text with the table at a glance between its marks."""
    table = _glance(found).partition("\n\n")[2]
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    measured = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    if "--readme" in sys.argv:
        write_whole(README, readme(README.read_text(encoding="utf-8"), measured))
    else:
        print(page(measured), end="")
