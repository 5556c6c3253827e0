"""report: one offline page, and the same figures as JSON, on what a model makes of a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.files import write_whole
from tinygrad_tx.reasoning.report.page import page_of
from tinygrad_tx.reasoning.report.parts import Part, Section
from tinygrad_tx.reasoning.report.sections import SECTIONS
from tinygrad_tx.reasoning.report.subject import Speller, Subject

__all__ = ["Report", "report"]


@dataclass(frozen=True)
class Report:
    """An offline page of what was found about a model; made by `report`.

    sections: in the order of the page.
    """

    title: str
    sections: tuple[Section, ...]
    language: str = "en"

    @property
    def html(self) -> str:
        """The page as text."""
        return page_of(self.title, self.sections, self.language)

    def json(self) -> dict[str, Any]:
        """All figures of the page, by the key of their section."""
        return {"title": self.title, **{s.key: s.json() for s in self.sections}}

    def save(self, path: str | Path) -> None:
        """Writes the page, and beside it the figures as .json. Errors: DrawError."""
        page = Path(path)
        if page.suffix != ".html":
            what = f"{str(path)!r} does not end in .html"
            raise DrawError(explain("report", what))
        try:
            write_whole(page.with_suffix(".json"), json.dumps(self.json(), ensure_ascii=False))
            write_whole(page, self.html)
        except OSError as error:
            what = f"{path} cannot be written: {error.strerror}"
            raise DrawError(explain("report", what)) from None


def report(
    model: Any,
    text: str,
    tokenizer: Speller,
    path: str | Path | None = None,
    *,
    instead: str | None = None,
    target: int | None = None,
    findings: Sequence[Any] = (),
    lang: str = "en",
    title: str = "",
    on_section: Callable[[int, int], None] | None = None,
) -> Report:
    """What `model` expects after `text`, and why: a page of views, attributions and tables.

    instead: a text of as many tokens, which differs in what matters: then a circuit is looked for
    that tells both apart. target: the token asked about; what the model expects most if not given.
    findings: results of audits and the like, shown in a section of their own: whatever has
    `table()`, or `tables()`. path: where the page is written (.html), with its figures beside it
    (.json). on_section gets (sections done, all). Errors: DataError, ShapeError, DrawError.
    """
    subject = Subject(model, tokenizer, text, instead, target, lang)
    made = []
    for number, section in enumerate(SECTIONS):
        found = section(subject)
        made += [found] if found is not None else []
        if on_section is not None:
            on_section(number + 1, len(SECTIONS))
    if findings:
        tables: list[Part] = [t for f in findings for t in _tables(f)]
        heading, about = subject.say("findings"), subject.say("about_findings")
        made.append(Section("findings", heading, about, tuple(tables)))
    heading = title or subject.say("title", model=type(model).__name__)
    result = Report(heading, tuple(made), lang)
    if path is not None:
        result.save(path)
    return result


def _tables(finding: Any) -> list[Part]:
    if hasattr(finding, "tables"):
        return list(finding.tables())
    return [finding.table() if hasattr(finding, "table") else finding]
