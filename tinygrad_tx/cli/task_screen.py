"""What a task shows on the terminal: lines, and a bar for each stage of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from tinygrad_tx.cli.bar import progress_on
from tinygrad_tx.config import config as process
from tinygrad_tx.tasks import Outcome, TaskConfig, Watch
from tinygrad_tx.train import Progress as Step
from tinygrad_tx.viz.picture import duration

__all__ = ["TaskScreen", "run_task"]


class TaskScreen(Watch):
    """A bar where there is a terminal, else a line at each validation."""

    def __init__(self, stderr: bool = False) -> None:
        self.console = Console(highlight=False, soft_wrap=True, stderr=stderr)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Callable[[Step], None]]:
        with progress_on(self.console) as bar:
            shown = bar.add_task(name, total=steps)
            process.on_compile = lambda kernel: bar.update(
                shown, description=f"{name}: compiling {kernel[:40]}"
            )

            def on_step(step: Step) -> None:
                bar.update(shown, completed=step.step, description=f"{name}: loss {step.loss:.3f}")
                if step.validation is not None:
                    held = f"held out {step.validation:.3f}"
                    self.say(f"{name}: step {step.step}/{steps}  loss {step.loss:.3f}  {held}")

            try:
                yield on_step
            finally:
                process.on_compile = None


def run_task(
    task: Callable[[TaskConfig], Outcome],
    out: Path,
    quick: bool,
    seed: int,
    resume: bool,
    as_json: bool,
    pretrained: Path | None = None,
) -> None:
    """Runs a task and says what came of it; with `as_json` the outcome's JSON alone on stdout."""
    screen = TaskScreen(stderr=as_json)
    outcome = task(TaskConfig(out, quick, seed, resume, pretrained, screen))
    if as_json:
        print((out / "outcome.json").read_text(encoding="utf-8"), end="")
        return
    screen.say("")
    for row in outcome.rows:
        more = "".join(f"  {title} {text}" for title, text in row.more)
        screen.say(f"{row.method:>44}  {row.score.text(outcome.percent)}{more}")
    for note in outcome.notes:
        screen.say(note)
    screen.say(
        f"{outcome.metric}: {outcome.score.text(outcome.percent)} against "
        f"{outcome.baseline.text(outcome.percent)} for {outcome.baseline_name}, "
        f"in {duration(outcome.seconds)}"
    )
    screen.say(f"Left in {out}: summary.md, figure.svg, figure.png, outcome.json")
