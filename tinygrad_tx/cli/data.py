"""tinygrad-tx data: texts to tokens larger than memory, and what is in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tinygrad_tx.cli.bar import bar
from tinygrad_tx.data import SUFFIXES, Preparation, TokenSet, TokenWindows, prepare

__all__ = ["data"]

OFTEN = 0.1
"""Seconds between two changes of the bar: documents may be short."""

data = typer.Typer(help="Texts to token files larger than memory.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A data set.")]


@data.command("prepare")
def prepare_data(
    texts: Annotated[
        list[Path], typer.Argument(help="UTF-8 files (.txt, .jsonl, any; .gz too) or folders.")
    ],
    out: Annotated[Path, typer.Option(help="The data set.")],
    tokenizer: Annotated[
        str, typer.Option(help="char, byte, bpe or a tokenizer.json.")
    ] = Preparation.tokenizer,
    vocab_size: Annotated[
        int, typer.Option(min=256, help="Units of bpe.")
    ] = Preparation.vocab_size,
    held_out: Annotated[
        float, typer.Option(help="Share of the documents, for validation.")
    ] = Preparation.held_out,
    field: Annotated[
        str, typer.Option(help="Where the text is in a line of .jsonl.")
    ] = Preparation.field,
    piece: Annotated[
        int, typer.Option(min=1, help="Longer texts are cut after so many characters.")
    ] = Preparation.piece,
    shard_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of a shard, in memory until it is written.")
    ] = Preparation.shard_tokens,
    suffix: Annotated[
        list[str] | None,
        typer.Option(help=f"What is read of folders.  [{', '.join(SUFFIXES)}]"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that encode.")] = 1,
) -> None:
    """Makes a data set of texts; stopped at any instant, the same command goes on.

    \b
    Example:
      tinygrad-tx data prepare books letters.jsonl.gz --out data/books
    """
    how = Preparation(tokenizer, vocab_size, held_out, field, piece, shard_tokens)
    began = time.perf_counter()
    done = 0
    with bar("starting", in_bytes=True) as show:
        shown = _seldom(show)

        def on_progress(stage: str, now: int, total: int) -> None:
            nonlocal done
            done = total
            shown(now, total, stage)

        found = prepare(texts, out, how, workers, suffix or SUFFIXES, on_progress)
    seconds = time.perf_counter() - began
    typer.echo(_described(found))
    typer.echo(f"{seconds:.1f} seconds, {done / 1e6 / seconds:.1f} MB of sources a second")
    typer.echo(f"Train on it with: tinygrad-tx train --data {out}")


@data.command()
def info(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What a data set is made of.

    \b
    Example:
      tinygrad-tx data info data/books
    """
    found = TokenSet.open(folder)
    if not as_json:
        typer.echo(_described(found))
        for source in found.sources:
            typer.echo(f"{source['bytes']:>15,} bytes  {source['sha256'][:12]}  {source['path']}")
        return
    sides = {
        name: {k: getattr(side, k) for k in ("tokens", "documents", "characters")}
        for name, side in (("learning", found.learning), ("held_out", found.held_out))
    }
    fields = {"dtype": found.dtype, "vocab_size": found.vocab_size, "digest": found.digest}
    rest = {"settings": found.settings, "sources": found.sources}
    typer.echo(json.dumps({**fields, **sides, **rest}))


@data.command()
def check(folder: Folder) -> None:
    """Reads all files and compares their digests.

    \b
    Example:
      tinygrad-tx data check data/books
    """
    found = TokenSet.open(folder)
    with bar(f"checking {folder}", in_bytes=True) as show:
        files = found.check(lambda done, total: show(done, total, "checking"))
    typer.echo(f"{folder}: {files} files are what they were")


@data.command()
def sample(
    folder: Folder,
    windows: Annotated[int, typer.Option(min=1, help="How many.")] = 3,
    context: Annotated[int, typer.Option(min=1, help="Tokens of each.")] = 64,
    seed: Annotated[int, typer.Option(help="Others with another.")] = 0,
    held_out: Annotated[bool, typer.Option("--held-out", help="Of the held-out part.")] = False,
) -> None:
    """Shows some windows as text.

    \b
    Example:
      tinygrad-tx data sample data/books --windows 5
    """
    found = TokenSet.open(folder)
    side = found.held_out if held_out else found.learning
    tokens, _ = TokenWindows(side, windows, context, seed).draw()
    for row in tokens:
        typer.echo(found.tokenizer.decode(row))
        typer.echo("-" * 40)


def _seldom(show: Callable[[int, int, str], None]) -> Callable[[int, int, str], None]:
    last = ("", 0.0)

    def shown(done: int, total: int, stage: str) -> None:
        nonlocal last
        now = time.monotonic()
        if stage != last[0] or now - last[1] > OFTEN or done == total:
            last = (stage, now)
            show(done, total, stage)

    return shown


def _described(found: TokenSet) -> str:
    lines = [
        f"{found.path}: {found.tokenizer.kind} tokens, vocabulary {found.vocab_size}, {found.dtype}"
    ]
    for name, side in (("to learn from", found.learning), ("held out", found.held_out)):
        lines.append(
            f"{side.tokens:>15,} tokens {name}, in {side.documents:,} documents, "
            f"{side.characters:,} characters"
        )
    return "\n".join(lines)
