"""The bar of long work: what is done, how much there is, how long it will still take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tinygrad_tx.config import config

__all__ = ["bar", "progress_on"]


def progress_on(console: Console) -> Progress:
    """A bar on a terminal, nothing elsewhere."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=console.quiet or not console.is_terminal)


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Gives what is called with (done, total) as the work goes on; on standard error."""
    with progress_on(Console(highlight=False, stderr=True)) as shown:
        task = shown.add_task(name, total=None)
        config.on_compile = lambda kernel: shown.update(
            task, description=f"{name}: compiling {kernel[:40]}"
        )
        try:
            yield lambda done, total: shown.update(
                task, completed=done, total=total, description=name
            )
        finally:
            config.on_compile = None
