"""The entry point: bad input ends with one line and exit code 2."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tinygrad_tx import __version__
from tinygrad_tx.cli.bench import bench
from tinygrad_tx.cli.compare import compare
from tinygrad_tx.cli.data import data
from tinygrad_tx.cli.draw import draw
from tinygrad_tx.cli.explain import explain
from tinygrad_tx.cli.export import export
from tinygrad_tx.cli.finetune import finetune
from tinygrad_tx.cli.generate import generate
from tinygrad_tx.cli.gradcheck import check_gradients
from tinygrad_tx.cli.import_ import import_weights
from tinygrad_tx.cli.info import info
from tinygrad_tx.cli.plan import plan
from tinygrad_tx.cli.pretrain import pretrain
from tinygrad_tx.cli.prompt import prompt
from tinygrad_tx.cli.replay import replay
from tinygrad_tx.cli.search import search
from tinygrad_tx.cli.train import train
from tinygrad_tx.distributed import end_of_job
from tinygrad_tx.errors import TinygradTxError

__all__ = ["main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(train)
app.command()(generate)
app.command()(compare)
app.command()(search)
app.command()(pretrain)
app.command()(finetune)
app.command()(prompt)
app.command()(bench)
app.command()(draw)
app.command()(plan)
app.command()(explain)
app.command()(replay)
app.command("gradcheck")(check_gradients)
app.command("import")(import_weights)
app.command()(export)
app.command()(info)
app.add_typer(data, name="data")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="The version alone."),
    ] = False,
) -> None:
    """Train, draw and look into small transformers on a CPU."""


def main() -> None:
    """Runs the command line; exit code 2 for bad input, 130 after Ctrl-C."""
    try:
        app()
    except (TinygradTxError, ValueError) as error:
        _end(str(error), 2)
    except OSError as error:
        _end(f"{error.filename or 'file'}: {error.strerror or error}", 2)
    except MemoryError as error:
        remedy = "use smaller sizes or a smaller --batch; what was saved stands"
        _end(f"not enough memory: {error or 'none is left'}; {remedy}", 2)
    except KeyboardInterrupt:
        _end("interrupted", 130)


def _end(message: str, code: int) -> None:
    if os.environ.get("TINYGRAD_TX_TRACEBACK"):
        raise  # called from an except block, for those who debug
    end_of_job(message, code)
    sys.exit(code)
