"""tinygrad-tx search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tinygrad_tx.cli.bar import progress_on
from tinygrad_tx.cli.corpus import TokenData
from tinygrad_tx.cli.job import Job, new_job, old_job, run_job
from tinygrad_tx.cli.options import Options
from tinygrad_tx.cli.report import Material
from tinygrad_tx.cli.train import DEFAULT_OUT, train
from tinygrad_tx.config import config as process
from tinygrad_tx.data import Tokenizer, read_text
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.jit import Plan
from tinygrad_tx.models import GPT
from tinygrad_tx.train import (
    Budget,
    Found,
    Halving,
    Progress,
    Result,
    RunFolder,
    Space,
    TrainConfig,
    Trial,
    read_plan,
    search as search_space,
)
from tinygrad_tx.train.space import Choice, Settings

__all__ = ["search"]

FIXED = ("out", "resume", "quick", "documents", "tensorboard", "distributed")
"""Options of `train` that are the same for all trials, or are the search's own."""


def search(
    options: Annotated[
        list[str] | None, typer.Argument(help="After --: options of `train`, for all trials.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the search.")] = Path("runs/search"),
    vary: Annotated[
        list[str] | None,
        typer.Option(help="SETTING=a,b,c or SETTING=low..high; log: or linear: before a range."),
    ] = None,
    random: Annotated[
        int | None, typer.Option(min=1, help="Draw so many trials.  [all combinations]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn; train has its own.")] = 0,
    halving: Annotated[
        bool, typer.Option("--halving", help="End the worse half early, several times.")
    ] = False,
    least: Annotated[
        int | None, typer.Option(min=1, help="Steps before the first halving.  [an eighth]")
    ] = None,
    budget_steps: Annotated[
        int | None, typer.Option(min=1, help="Of all trials together, until --resume.")
    ] = None,
    budget_seconds: Annotated[
        float | None, typer.Option(min=0.001, help="The same, by the clock.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep the weights of so many best.  [all]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
) -> None:
    """Trains once for each of many settings and ranks them by held-out loss.

    Each trial is a run folder in OUT/trials. Goes on where it was stopped: --resume --out OUT.

    \b
    Example:
      tinygrad-tx search --out runs/search --vary learning_rate=1e-4..1e-2 \\
        --vary width=64,128 --random 12 --halving -- --text novel.txt --steps 400
    """
    if resume:
        if vary or options or halving or least or seed:
            what = "the search is the one in the folder: --vary, --seed, --halving, --least and "
            what += "options of train do not go with --resume"
            raise DataError(explain("search", what, remedy="leave them out"))
        asked = _asked_before(out, random)
        trials = _Trials(asked.words, asked.space, Screen(as_json))
    else:
        asked = _Asked(options or [], Space.of(**_pairs(vary or [])), random, seed)
        trials = _Trials(asked.words, asked.space, Screen(as_json))
        if halving:
            steps = trials.whole_steps()
            halves = Halving.of(steps) if least is None else Halving(steps, least)
            asked = dataclasses.replace(asked, halving=halves)
    if asked.halving is not None:
        trials.rungs = asked.halving.rungs(len(asked.space.points(asked.random, asked.seed)))
    with trials.screen.shown():
        found = search_space(
            trials.train,
            asked.space,
            out,
            random=asked.random,
            seed=asked.seed,
            halving=asked.halving,
            budget=Budget(budget_steps or math.inf, budget_seconds or math.inf),
            keep=keep,
            resume=resume,
            notes={"options": asked.words},
            on_step=trials.screen.on_step_of,
            on_trial=trials.screen.on_trial,
        )
    _say(found, out, as_json)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What makes a search. words: options of `train`."""

    words: list[str]
    space: Space
    random: int | None
    seed: int
    halving: Halving | None = None


def _asked_before(out: Path, random: int | None) -> _Asked:
    """That of a folder, with more random trials if asked. Errors: CheckpointError."""
    plan = read_plan(out)
    try:
        halving = Halving(**plan["halving"]) if plan["halving"] else None
        words, space = [str(w) for w in plan["notes"]["options"]], Space.of(**plan["space"])
        return _Asked(words, space, random or plan["random"], int(plan["seed"]), halving)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(explain(f"{out}/search.json", f"is damaged: {error}")) from None


def _say(found: Found, out: Path, as_json: bool) -> None:
    table, best = found.table(), found.best
    if as_json:
        typer.echo((out / "runs.json").read_text(encoding="utf-8"), nl=False)
        return
    typer.echo(table.text())
    typer.echo(f"Left in {out}: runs.md, runs.json, runs.svg, compare.md, compare.svg, trials")
    if found.stopped:
        typer.echo(f"Go on with: tinygrad-tx search --resume --out {out}")
    elif best is not None:
        typer.echo(f'Write with the best: tinygrad-tx generate {best.run.path} --prompt "The "')


class _Trials:
    """From settings to a run, by the options of `train`."""

    rungs: tuple[int, ...] = ()
    """Steps at which trials are halved, and so have to validate."""

    def __init__(self, words: Sequence[str], space: Space, screen: Screen) -> None:
        self.words, self.space, self.screen = words, space, screen
        app = typer.Typer(add_completion=False)
        app.command()(train)
        self._command = typer.main.get_command(app)
        self._check()

    def train(self, settings: Settings, run: RunFolder, resume: bool, on_step: Any) -> Result:
        self.screen.listener = on_step
        job = old_job(run) if resume else self._new_job(settings)
        return run_job(job, run, resume, self.screen).result

    def whole_steps(self) -> int:
        """Of a trial that is not stopped. Errors: DataError where they vary."""
        if "steps" in self.space.axes:
            what = "trials of different --steps cannot be halved at the same ones"
            raise DataError(explain("--halving", what))
        first = {n: _ends(axis)[0] for n, axis in self.space.axes.items()}
        steps = new_job(_options(self._params(first))).settings["training"]["steps"]
        assert isinstance(steps, int)
        return steps

    def _new_job(self, settings: Settings) -> Job:
        given = self._params(settings)
        job = new_job(_options(given))
        if self.rungs and given.get("validate_every") is None:
            job.settings["training"]["validate_every"] = self.rungs[0]
        if given["tensorboard"]:
            job.settings["tensorboard"] = True
        return job

    def _params(self, settings: Settings) -> dict[str, Any]:
        """What `train` is told, by its own names. Errors: DataError for what it would refuse."""
        words = list(self.words)
        for name, value in settings.items():
            option = "start-from" if name == "start" else name.replace("_", "-")
            words += [f"--{option}", str(value)]
        try:
            found: dict[str, Any] = self._command.make_context("train", words).params
        except Exception as error:
            said = getattr(error, "format_message", None)  # what a command says of its options
            if said is None:
                raise
            raise DataError(explain("train", str(said()).rstrip("."))) from None
        if found["distributed"]:
            what = "a search trains in one process"
            raise DataError(explain("--distributed", what, remedy="leave it out"))
        if found["resume"] or found["out"] != DEFAULT_OUT:
            what = "--out and --resume are given to search itself, before the --"
            raise DataError(explain("search", what))
        return found

    def _check(self) -> None:
        """That all that varies is an option of `train`, with values it takes, and that what all
        trials read is there: else each of them would fail for the same reason."""
        known = {p.name for p in self._command.params} - {*FIXED, "help"}
        settings: list[Settings] = [{}]
        for name, axis in self.space.axes.items():
            if name not in known:
                remedy = f"name one of {', '.join(sorted(map(str, known)))}"
                raise DataError(
                    explain(f"--vary {name}", "is no setting of train that can vary", remedy=remedy)
                )
            settings += [{name: value} for value in _ends(axis)]
        for given in map(self._params, settings):
            if given["text"]:
                read_text(given["text"])
            if given["data"]:
                TokenData.open(given["data"])
            if given["start"]:
                RunFolder(given["start"]).read_config()


def _options(given: Mapping[str, Any]) -> Options:
    return Options(**{f.name: given[f.name] for f in dataclasses.fields(Options)})


def _ends(axis: Any) -> tuple[Any, ...]:
    return axis.values if isinstance(axis, Choice) else (axis.low, axis.high)


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """SETTING=values by setting. Errors: DataError."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, values = text.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        name = "start" if name == "start_from" else name
        if not sign or not name or name in found:
            what = f"{text!r} is no SETTING=VALUES, or gives a setting again"
            raise DataError(explain("--vary", what, remedy="for example learning_rate=1e-4..1e-2"))
        found[name] = values
    return found


class Screen:
    """Two bars on standard error: trials, and the steps of the one that is trained."""

    def __init__(self, is_quiet: bool) -> None:
        self.console = Console(highlight=False, stderr=True, soft_wrap=True)
        self.bars = progress_on(self.console)
        self.is_quiet = is_quiet
        self.trials = self.bars.add_task("trials", total=None)
        self.steps = self.bars.add_task("planning", total=None)
        self.listener: Any = None
        self.line = ""

    @contextmanager
    def shown(self) -> Iterator[None]:
        process.on_compile = lambda kernel: self.bars.update(
            self.steps, description=f"compiling {kernel[:40]}"
        )
        try:
            with self.bars:
                yield
        finally:
            process.on_compile = None

    def on_trial(self, found: Found) -> None:
        best, over = found.best, sum(t.state not in ("waiting", "started") for t in found.trials)
        low = f", best {best.loss(found.unit):.3f} by {best.number:03d}" if best else ""
        self.bars.update(
            self.trials, total=len(found.trials), completed=over, description=f"trials{low}"
        )
        line = f"{over} of {len(found.trials)} trials over{low}"
        if line != self.line and not self.is_quiet and not self.console.is_terminal:
            self.console.print(line, markup=False)
        self.line = line

    def on_step_of(self, trial: Trial, step: Progress) -> None:
        self.bars.update(
            self.steps,
            completed=step.step,
            description=f"trial {trial.number:03d}: loss {step.loss:.3f}",
        )

    def on_step(self, step: Progress) -> None:
        self.listener(step)

    def announce_parent(self, path: Path, parent: Mapping[str, Any]) -> None:
        pass

    def announce(
        self, model: GPT, config: TrainConfig, units: Tokenizer, material: Material, ranks: int
    ) -> None:
        self.bars.update(self.steps, total=config.steps, completed=0, description="planning")

    @contextmanager
    def training(self, steps: int) -> Iterator[None]:
        yield

    def on_plan(self, plan: Plan) -> None:
        pass
