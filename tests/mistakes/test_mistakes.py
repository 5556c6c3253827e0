"""What newcomers do wrong: each is told what, with values and a remedy, and the remedy works."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIST = runpy.run_path(str(HERE / "told.py"))
MAKE = runpy.run_path(str(ROOT / "docs" / "make_mistakes.py"))
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


def test_the_pages_are_up_to_date_and_all_there_are() -> None:
    made = MAKE["pages"](TOPICS, LIST["told"], LIST["PRELUDE"])
    found = (ROOT / "docs" / "mistakes").glob("*.md")
    texts = {p.name: p.read_text(encoding="utf-8") for p in found}
    assert texts == made, "run: python docs/make_mistakes.py"


def test_each_mistake_has_one_place_on_github_and_on_the_site() -> None:
    """Python's Markdown makes one dash of several, and none at an end; GitHub keeps them."""
    for topic in TOPICS:
        places = [MAKE["_anchor"](m.name) for m in topic.mistakes]
        assert len(set(places)) == len(places)
        assert not [p for p in places if "--" in p or p.strip("-") != p]
