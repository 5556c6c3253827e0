"""tinygrad-tx explain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import tinygrad_tx as tx  # for tx.reasoning, which no other command waits for
from tinygrad_tx.cli.bar import bar
from tinygrad_tx.cli.completion import LANGUAGES, among
from tinygrad_tx.cli.load import load_model
from tinygrad_tx.errors import DataError, explain as message

__all__ = ["explain"]


def explain(
    model: Annotated[
        str, typer.Argument(help="A run folder that `train` made, or weights that `import` found.")
    ],
    text: Annotated[str, typer.Option(help="What the model reads.")],
    instead: Annotated[
        str | None,
        typer.Option(
            help="A text of as many tokens that differs in what matters: what tells them apart?"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="The token asked about.  [what the model expects most]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The page; its figures stand beside it as .json.")] = (
        Path("explain.html")
    ),
    lang: Annotated[str, typer.Option(help="en or zh.", autocompletion=among(LANGUAGES))] = "en",
    audit: Annotated[
        bool, typer.Option("--audit", help="Also ask: he or she after occupations, in English.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures too.")] = False,
) -> None:
    """Why a model says what it says: attention, lenses, attributions, circuits, on one page.

    \b
    Examples, the second with published weights:
      tinygrad-tx explain runs/gpt --text "The statement" --out why.html
      tinygrad-tx explain smollm2 --text "The capital of France is"
    """
    found, tokenizer = load_model(model)
    with bar("Looking inside") as advance:
        checks = tx.reasoning.pronoun_checks(tokenizer) if audit else []
        audits = [tx.reasoning.bias_audit(found, checks)] if audit else []
        made = tx.reasoning.report(
            found,
            text,
            tokenizer,
            out,
            instead=instead,
            target=_token(tokenizer, target),
            findings=audits,
            lang=lang,
            on_section=advance,
        )
    if as_json:
        typer.echo(json.dumps(made.json(), ensure_ascii=False))
    else:
        typer.echo(f"Written: {out}, {out.with_suffix('.json')}")


def _token(tokenizer: Any, word: str | None) -> int | None:
    """The single token of a word. Errors: DataError where it has several."""
    if word is None:
        return None
    tokens = [int(t) for t in tokenizer.encode(word)]
    if len(tokens) != 1:
        pieces = [tokenizer.decode([t]) for t in tokens]
        what = f"{word!r} is {len(tokens)} tokens: {pieces}"
        raise DataError(message("--target", what, remedy="give a text of one token"))
    return tokens[0]
