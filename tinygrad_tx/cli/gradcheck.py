"""tinygrad-tx gradcheck."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from tinygrad_tx.cli.completion import among
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.graph.registry import find, operators
from tinygrad_tx.testing import GradientError, Report, check_operator, checked_operators, gradcheck
from tinygrad_tx.testing.pages import as_html, summary_line

__all__ = ["check_gradients"]


def check_gradients(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Operators by name, or module:function; all operators if none.",
            autocompletion=among([op.name for op in operators() if op.row is not None]),
        ),
    ] = None,
    shapes: Annotated[
        str, typer.Option(help="Shapes of the inputs of module:function, as 3,4;4.")
    ] = "3,4",
    examples: Annotated[int, typer.Option(min=1, help="Inputs for module:function.")] = 10,
    order: Annotated[int, typer.Option(min=1, max=2, help="2: second derivatives too.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Other inputs and directions.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Reports as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Reports as a page, in this file.")] = None,
) -> None:
    """Checks gradients against finite differences: of the operators, or of your function.

    \b
    Examples, of operators and of a function of yours:
      tinygrad-tx gradcheck softmax attention
      tinygrad-tx gradcheck mypackage.losses:focal --shapes "8,5;8"
    """
    jobs = _jobs(targets, shapes, examples, order, seed)
    console = Console(stderr=True, highlight=False)
    reports: list[Report] = []
    failed: list[GradientError] = []
    for job in track(jobs, "checking", console=console, transient=True, disable=as_json):
        try:
            reports.append(job())
        except GradientError as error:
            failed.append(error)
    if html is not None:
        html.write_text(as_html(reports), encoding="utf-8")
    if as_json:
        wrong = [{"name": e.report.name, "message": str(e)} for e in failed]
        typer.echo(json.dumps({"reports": [r.as_json() for r in reports], "failures": wrong}))
    else:
        for report in reports if targets else ():
            typer.echo(report.text())
        for failure in failed:
            typer.echo(f"\n{failure}", err=True)
        typer.echo(summary_line(reports))
    if failed:
        raise typer.Exit(1)


def _jobs(
    targets: list[str] | None, shapes: str, examples: int, order: int, seed: int
) -> list[Callable[[], Report]]:
    if not targets:
        every = checked_operators()
        return [partial(check_operator, op, seed=seed + 7, order=order) for op in every]
    jobs: list[Callable[[], Report]] = []
    for target in targets:
        if ":" in target:
            function, sizes = _function(target), _shapes(shapes)
            jobs.append(partial(_checked, function, sizes, examples, order, seed))
        else:
            jobs.append(partial(check_operator, find(target), seed=seed + 7, order=order))
    return jobs


def _checked(
    function: Callable[..., Any], sizes: list[tuple[int, ...]], examples: int, order: int, seed: int
) -> Report:
    rng = np.random.default_rng(seed)
    report = Report(getattr(function, "__name__", "function"))
    for example in range(examples):
        inputs = [rng.normal(size=s) for s in sizes]
        report.add(gradcheck(function, inputs, order=order, seed=seed + example))
    return report


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(explain(target, f"cannot be imported: {error}")) from None
    finally:
        sys.path.remove("")
    if not callable(found):
        raise DataError(explain(target, f"is a {type(found).__name__}, not a function"))
    function: Callable[..., Any] = found
    return function


def _shapes(text: str) -> list[tuple[int, ...]]:
    try:
        found = [tuple(int(n) for n in part.split(",") if n.strip()) for part in text.split(";")]
    except ValueError:
        found = []
    if not found or any(n < 0 for shape in found for n in shape):
        remedy = "give sizes with commas, and a semicolon between inputs: 3,4;4"
        raise DataError(explain("--shapes", f"cannot read {text!r}", remedy=remedy))
    return found
