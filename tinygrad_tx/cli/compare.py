"""tinygrad-tx compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.train import compare as compare_runs

__all__ = ["compare"]


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option(help="A folder for the picture and the table as files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
) -> None:
    """Sets runs side by side: what differs in their settings, how low their losses came, how fast.

    With --out also one picture of all losses, by step, by tokens and by seconds.

    \b
    Example:
      tinygrad-tx compare runs/gpt runs/novel --out comparison
    """
    found = compare_runs(runs, out)
    table = found.table()
    typer.echo(json.dumps(table.json(), default=str) if as_json else table.text())
    if out is not None and not as_json:
        typer.echo(f"Left in {out}: compare.md, compare.json, compare.svg, compare.png")
