"""The bar of long work: what is done, how much there is, how long it will still take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tinygrad_tx.config import config

__all__ = ["bar", "progress_on"]


class Show(Protocol):
    """Moves a bar; with `name`, under another name from then on."""

    def __call__(self, done: int, total: int, name: str = "", /) -> None: ...


def progress_on(console: Console, in_bytes: bool = False) -> Progress:
    """A bar on a terminal, nothing elsewhere. in_bytes: counts them, and says how many a second."""
    counted: tuple[ProgressColumn, ...] = (TextColumn("{task.completed}/{task.total}"),)
    if in_bytes:
        counted = (DownloadColumn(), TransferSpeedColumn())
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *counted,
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=console.quiet or not console.is_terminal)


@contextmanager
def bar(name: str, in_bytes: bool = False) -> Iterator[Show]:
    """Gives what is called with (done, total) as the work goes on; on standard error."""
    with progress_on(Console(highlight=False, stderr=True), in_bytes) as shown:
        task = shown.add_task(name, total=None)
        config.on_compile = lambda kernel: shown.update(
            task, description=f"{name}: compiling {kernel[:40]}"
        )

        def show(done: int, total: int, other: str = "") -> None:
            shown.update(task, completed=done, total=total, description=other or name)

        try:
            yield show
        finally:
            config.on_compile = None
