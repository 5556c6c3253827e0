"""tinygrad-tx generate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.load import load_run
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.train import Generation, RunFolder, note_generation

__all__ = ["generate"]


def generate(
    run: Annotated[Path, typer.Argument(help="A run folder that `train` made.")],
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "The ",
    tokens: Annotated[int, typer.Option(min=1, help="How many new tokens.")] = 300,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Keep the k likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Keep probability mass p.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.")] = None,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Keep the text in the run folder.")
    ] = True,
) -> None:
    """Writes text from a trained model.

    Example: tinygrad-tx generate runs/gpt --prompt "The statement" --temperature 0.7
    """
    model, tokenizer = load_run(run)
    if not prompt:
        raise DataError(explain("--prompt", "is empty", remedy="give at least one character"))
    start = tokenizer.encode(prompt).tolist()
    new: list[int] = []
    shown = ""
    sys.stdout.write(prompt)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    for token in model.generate(start, tokens, **options):
        new.append(token)
        text = tokenizer.decode(new)
        # A character of several bytes is shown when its last byte is there.
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):
            sys.stdout.write(text[len(shown) :])
            sys.stdout.flush()
            shown = text
    sys.stdout.write("\n")
    if record:
        written = Generation(prompt, tokenizer.decode(new), {"tokens": tokens, **options})
        try:
            note_generation(RunFolder(run), written)
        except OSError as error:
            sys.stderr.write(f"The text is not recorded in {run}: {error.strerror}\n")
