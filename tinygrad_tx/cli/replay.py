"""tinygrad-tx replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.from_run import filled_model, tokenizer_of
from tinygrad_tx.optim import AdamW
from tinygrad_tx.tensor import set_state
from tinygrad_tx.train import RunFolder, explain_step
from tinygrad_tx.train.run import part_of
from tinygrad_tx.untrusted import parse_json

__all__ = ["replay"]


def replay(
    run: Annotated[Path, typer.Argument(help="A run folder in which a step failed.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Repeats the step that failed, operation by operation, and names the first bad value.

    \b
    Example:
      tinygrad-tx replay runs/gpt
    """
    folder = RunFolder(run)
    settings = folder.read_config()
    if not folder.bad_step.exists():
        what = "no step has failed there"
        raise CheckpointError(explain(f"run folder {run}", what))
    state, notes = folder.load_bad_step()
    own = part_of(state, "model.")
    model = filled_model(settings, folder, own)
    parts = part_of(state, "batch.")
    try:
        batch = [parts[str(i)] for i in range(len(parts))]
        set_state(parse_json(notes["random"]))
        step, reason = int(notes["step"]), notes["reason"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(explain(str(folder.bad_step), f"is damaged: {error}")) from None
    model.train()
    found = explain_step(model, AdamW(model.parameters(), 0.0), batch)
    weights = {k: v for k, v in own.items() if not np.isfinite(v).all()}
    largest = max(float(np.abs(v[np.isfinite(v)]).max(initial=0)) for v in own.values())
    said: dict[str, Any] = {
        "step": step,
        "then": reason,
        "now": found,
        "weights that are not finite": list(weights),
        "largest weight": largest,
        "first text": tokenizer_of(folder).decode(batch[0][0]),
    }
    if as_json:
        typer.echo(json.dumps(said))
        return
    for name, value in said.items():
        typer.echo(f"{name:>28}  {value}")
