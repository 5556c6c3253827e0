"""tinygrad-tx generate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_tx.cli.load import is_package, load_model, with_tuned
from tinygrad_tx.data import PretrainedTokenizer
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models import write
from tinygrad_tx.train import Generation, RunFolder, note_generation

__all__ = ["generate"]


def generate(
    run: Annotated[
        str, typer.Argument(help="A run folder that `train` made, or weights that `import` found.")
    ],
    prompt: Annotated[str, typer.Option(help="The text to go on from.")] = "The ",
    tokens: Annotated[int, typer.Option(min=1, help="How many new tokens.")] = 300,
    temperature: Annotated[
        float | None, typer.Option(min=0, help="0 takes the likeliest.  [0.8; none with --beams]")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Keep the k likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Keep probability mass p.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: repeats less.")] = 1.0,
    beams: Annotated[int, typer.Option(min=1, help="Texts followed side by side.")] = 1,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text.")] = None,
    chat: Annotated[bool, typer.Option("--chat", help="The prompt is a user's message.")] = False,
    tuned: Annotated[
        Path | None,
        typer.Option(help="A soft prompt or prefix, as runs/prompts/prefix.safetensors."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.")] = None,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Keep the text in the run folder.")
    ] = True,
) -> None:
    """Writes text from a trained model.

    \b
    Examples, the second with published weights:
      tinygrad-tx generate runs/gpt --prompt "The statement" --temperature 0.7
      tinygrad-tx generate smollm2 --chat --prompt "What is a noun?"
    """
    model, tokenizer = load_model(run)
    model = with_tuned(model, tuned)
    if not prompt:
        raise DataError(explain("--prompt", "is empty", remedy="give at least one character"))
    start: Any = prompt
    if temperature is None:
        temperature = 0.8 if beams == 1 else 1.0
    options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    options |= {"repetition_penalty": repetition_penalty, "beams": beams, "seed": seed}
    ends: dict[str, Any] = {"stop": stop or ()}
    if isinstance(tokenizer, PretrainedTokenizer):
        ends["stop_tokens"] = [t for t in (tokenizer.eos,) if t is not None]
        start = tokenizer.chat([{"role": "user", "content": prompt}]) if chat else prompt
    elif chat:
        what = f"{run} was not trained on conversations"
        raise DataError(explain("--chat", what, remedy="leave it out"))
    pieces = write(model, tokenizer, start, tokens, **ends, **options)
    if not chat:
        sys.stdout.write(prompt)
    text = ""
    for piece in pieces:
        text += piece
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    if record and not is_package(run):
        settings = {"tokens": tokens, **options} | ({"tuned": str(tuned)} if tuned else {})
        try:
            note_generation(RunFolder(run), Generation(prompt, text, settings))
        except OSError as error:
            sys.stderr.write(f"The text is not recorded in {run}: {error.strerror}\n")
