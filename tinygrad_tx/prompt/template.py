"""Templates: text with named slots, and the tokens of it with the places of slots and answer.

A space before a slot goes with what is put into it, because byte-pair units begin with their space.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.errors import DataError, explain

__all__ = ["ANSWER", "CLASSIFICATION", "QUESTION", "Encodes", "Prompt", "Slot", "Template"]

ANSWER = "mask"
"""The name of the slot that the model fills."""
CUT = "cut"
Ints = np.ndarray[Any, np.dtype[np.int64]]


class Encodes(Protocol):
    """Text to tokens: any tokenizer, and the units of encoders."""

    def encode(self, text: str) -> Any: ...


@dataclass(frozen=True)
class Slot:
    """A place in a template. is_cut: what stands there may lose its end where room is short."""

    name: str
    is_cut: bool = False

    @property
    def is_answer(self) -> bool:
        return self.name == ANSWER


@dataclass(frozen=True)
class Prompt:
    """Tokens (time,), and for each slot the place of its first token and that behind its last."""

    tokens: Ints
    places: Mapping[str, tuple[int, int]]

    @property
    def answer(self) -> tuple[int, int]:
        """Where the answer stands; a causal model is asked after the token before."""
        return self.places[ANSWER]


@dataclass(frozen=True)
class Template:
    """Text with slots: `Template("{text} It was {mask}.")`; {mask} is where the answer goes.

    {text:cut} may be shortened so that the prompt fits. Braces of the text itself are doubled.
    Errors: DataError for no {mask} or several, a slot given twice, and what is no slot.
    """

    text: str

    def __post_init__(self) -> None:
        names = [slot.name for slot in self.slots]
        twice = sorted({n for n in names if names.count(n) > 1})
        if names.count(ANSWER) != 1 or twice:
            what = f"{self.text!r} has {names.count(ANSWER)} places {{{ANSWER}}}"
            what += f" and {twice} more than once" if twice else ""
            remedy = f"write each slot once, and {{{ANSWER}}} where the answer goes"
            raise DataError(explain("Template", what, remedy=remedy))

    @cached_property
    def parts(self) -> tuple[tuple[str, Slot | None], ...]:
        """Literal texts, each with the slot that follows it."""
        try:
            found = list(string.Formatter().parse(self.text))
        except ValueError as error:
            what = f"{self.text!r}: {error}"
            raise DataError(
                explain("Template", what, remedy="double braces that are text")
            ) from None
        parts = []
        for literal, name, kind, conversion in found:
            if name is not None and (
                not name.isidentifier() or kind not in ("", CUT) or conversion
            ):
                what = f"{{{name}}} in {self.text!r} is no slot"
                remedy = "a slot is a name in braces, as {text}, or {text:cut} if it may be cut"
                raise DataError(explain("Template", what, remedy=remedy))
            parts.append((literal, None if name is None else Slot(name, kind == CUT)))
        return tuple(parts)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots, the answer's too, in their order."""
        return tuple(slot for _, slot in self.parts if slot is not None)

    def fill(self, example: Mapping[str, str], answer: str) -> str:
        """The whole text. Errors: DataError for missing or unknown slots."""
        return "".join(text for _, text in self._pieces(example, answer))

    def prompt(
        self,
        tokenizer: Encodes,
        example: Mapping[str, str],
        answer: str | Sequence[int],
        longest: int | None = None,
    ) -> Prompt:
        """The tokens of the whole text with `answer`, a text or tokens, in its place.

        longest: slots that may be cut lose their ends, the longest first, until so many tokens are
        left. Errors: DataError for missing or unknown slots, and where cutting does not help.
        """
        said = answer if isinstance(answer, str) else ""
        pieces = [
            (slot, [int(t) for t in tokenizer.encode(text)])
            for slot, text in self._pieces(example, said)
        ]
        if not isinstance(answer, str):
            given = [int(t) for t in answer]
            pieces = [(s, given if s is not None and s.is_answer else t) for s, t in pieces]
        if longest is not None:
            _cut(pieces, longest, self.text)
        tokens: list[int] = []
        places = {}
        for slot, some in pieces:
            if slot is not None:
                places[slot.name] = (len(tokens), len(tokens) + len(some))
            tokens += some
        return Prompt(np.array(tokens, np.int64), places)

    def word(self, text: str) -> str:
        """A word as it stands in the answer's place: behind a space where the template has one."""
        literal = next(t for t, slot in self.parts if slot is not None and slot.is_answer)
        return f" {text}" if literal.endswith(" ") else text

    def _pieces(self, example: Mapping[str, str], answer: str) -> list[tuple[Slot | None, str]]:
        wanted = {slot.name for slot in self.slots} - {ANSWER}
        missing, unknown = sorted(wanted - example.keys()), sorted(example.keys() - wanted)
        if missing or unknown:
            what = f"missing slots {missing}, unknown slots {unknown}"
            raise DataError(
                explain("Template", what, remedy=f"{self.text!r} takes {sorted(wanted)}")
            )
        pieces: list[tuple[Slot | None, str]] = []
        for literal, slot in self.parts:
            moved = slot is not None and literal.endswith(" ")
            if literal:
                pieces.append((None, literal[:-1] if moved else literal))
            if slot is not None:
                value = answer if slot.is_answer else example[slot.name]
                pieces.append((slot, f" {value}" if moved and value else value))
        return pieces


QUESTION = Template("{context:cut}\nQuestion: {question}\nAnswer: {mask}")
"""A question about a context, which is cut where both are too long."""
CLASSIFICATION = Template("{text:cut}\nIt was {mask}")
"""A text and a word that says what it was like."""


def _cut(pieces: list[tuple[Slot | None, list[int]]], longest: int, text: str) -> None:
    """Takes tokens off the ends of slots that allow it, one at a time from the longest."""
    for _ in range(sum(len(t) for _, t in pieces) - longest):
        may = [t for slot, t in pieces if slot is not None and slot.is_cut and len(t) > 1]
        if not may:
            what = f"{text!r} filled has {sum(len(t) for _, t in pieces)} tokens, not {longest}"
            remedy = "mark slots that may lose their end, as {text:cut}, or shorten the examples"
            raise DataError(explain("Template", what, remedy=remedy))
        max(may, key=len).pop()
