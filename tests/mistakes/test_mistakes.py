"""What newcomers do wrong: each is told what, with values and a remedy, and the remedy works."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIST = runpy.run_path(str(HERE / "told.py"))
TOPICS = LIST["topics"]()
MISTAKES = [pytest.param(m, id=m.name) for topic in TOPICS for m in topic.mistakes]


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [(topic.title, m.name) for topic in TOPICS for m in topic.mistakes]
    assert len(names) == len(set(names)) >= 150


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_what_it_is_and_what_to_do(mistake: object) -> None:
    kind, text = LIST["told"](mistake)
    assert kind == (mistake.error or ("exit code 2" if mistake.command else "")), text
    for part in mistake.parts:
        assert part in text


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_to_write_instead_runs(mistake: object) -> None:
    LIST["do_instead"](mistake)


def test_the_page_is_up_to_date() -> None:
    make = runpy.run_path(str(ROOT / "docs" / "make_mistakes.py"))["page"]
    page = make(TOPICS, LIST["told"], LIST["PRELUDE"])
    found = (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8")
    assert found == page, "run: python docs/make_mistakes.py > docs/mistakes.md"
