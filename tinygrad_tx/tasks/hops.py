"""Two-hop questions as text: a story, the answer alone or behind its facts, and rows to learn from.

Where is the lantern? Whoever has it is somewhere: two facts of the story answer together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data.batches import Batch
from tinygrad_tx.tasks.made import MadeRows
from tinygrad_tx.tasks.stories import (
    NAMES,
    PLACES,
    QUESTION,
    THINGS,
    VERBS,
    Story,
    questions,
)

__all__ = ["WORDS", "StoryForm", "StoryRows", "asked_about"]

END, SO = "\n", "so"
PHRASES = (*NAMES, *PLACES, *THINGS, *(verb for some in VERBS.values() for verb in some))
WORDS = (END, SO, *PHRASES, "the", ".", *QUESTION)
"""A token for each: phrases are one, so that all sentences have as many; END fills up rows."""
HELD_OUT = 0.1
IGNORED = -100
Words = tuple[str, ...]
_INDEX = {word: i for i, word in enumerate(WORDS)}
Ints = np.ndarray[Any, np.dtype[np.int64]]


def encode(words: Sequence[str]) -> list[int]:
    """Tokens; of two words that make a phrase, one."""
    tokens: list[int] = []
    at = 0
    while at < len(words):
        phrase = " ".join(words[at : at + 2])
        size = 2 if phrase in _INDEX else 1
        tokens.append(_INDEX[" ".join(words[at : at + size])])
        at += size
    return tokens


def decode(tokens: Sequence[int]) -> list[str]:
    """The word or phrase of each token."""
    return [WORDS[t] for t in tokens]


def told(story: Story) -> list[str]:
    """The story alone."""
    return [word for words in story.sentences for word in words]


def question_of(story: Story) -> list[str]:
    """The story, then the question."""
    return [*told(story), *story.question]


def written(story: Story, with_facts: bool) -> list[str]:
    """What stands behind the question: the answer, behind the facts where they are written.

    The facts in brief, who has or left the thing first: lantern Greta . Greta mill . so mill. As in
    Nye et al. 2021, section 2.
    """
    if not with_facts:
        return [*story.answer, END]
    asked, who = story.question[-2], story.sentences[story.supporting[-1]][0]
    first = [asked, who, "."] if story.hops == 2 else []
    return [*first, who, *story.answer, ".", SO, *story.answer, END]


def answer_of(words: Sequence[str], with_facts: bool) -> Words | None:
    """The answer in what a model wrote behind a question; None where it comes to no end."""
    if END not in words:
        return None
    whole = list(words[: words.index(END)])
    if with_facts and SO not in whole:
        return None
    answer = whole[len(whole) - whole[::-1].index(SO) :] if with_facts else whole
    return tuple(" ".join(answer).split())


def is_held_out(story: Story) -> bool:
    """Whether it is only ever asked about, never learnt from: by a hash of its sentences."""
    digest = hashlib.sha256(" ".join(told(story)).encode()).hexdigest()
    return int(digest[:16], 16) < HELD_OUT * 2**64


def drawn(rng: np.random.Generator, lengths: tuple[int, int], of_held_out: bool) -> list[Story]:
    """All questions about a story of `lengths` sentences (least, most), one of them of two hops."""
    while True:
        found = questions(int(rng.integers(lengths[0], lengths[1] + 1)), rng)
        if any(s.hops == 2 for s in found) and is_held_out(found[0]) == of_held_out:
            return found


def asked_about(
    lengths: tuple[int, int], hops: int, count: int, seed: int, of_held_out: bool
) -> list[Story]:
    """A question of so many hops about each of `count` different stories."""
    rng = np.random.default_rng((seed, hops, of_held_out))
    found: dict[Words, Story] = {}
    while len(found) < count:
        story = next(s for s in drawn(rng, lengths, of_held_out) if s.hops == hops)
        found.setdefault(tuple(told(story)), story)
    return list(found.values())


class StoryForm:
    """Questions about stories as tokens (a `Form`), with the facts or without."""

    end = 0

    def __init__(self, with_facts: bool) -> None:
        self.with_facts = with_facts

    def question(self, problem: Story) -> list[int]:
        return encode(question_of(problem))

    def written(self, problem: Story) -> list[int]:
        return encode(written(problem, self.with_facts))

    def answer(self, written: Sequence[int]) -> Words | None:
        return answer_of(decode(written), self.with_facts)


class StoryRows(MadeRows):
    """Rows of `context` tokens: a story, and questions with what is written behind them.

    As many of its questions stand there, whole, as there is room for: of rows with one two-hop
    question each, 4,000 steps did not teach a scratchpad who is where (51 % right). Batches are
    pairs (tokens, targets), each (batch, context); the target is -100 but for what is written.
    Never a held-out story. Any batch is a function of the seed and its number.
    """

    def __init__(
        self, lengths: tuple[int, int], with_facts: bool, batch: int, context: int, seed: int
    ) -> None:
        super().__init__()
        self.lengths, self.with_facts = lengths, with_facts
        self.batch, self.context, self.seed = batch, context, seed

    def _made(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, number % 2**32))
        rows = np.zeros((self.batch, self.context + 1), np.int64)
        targets = np.full((self.batch, self.context), IGNORED)
        for row, asked in zip(rows, targets, strict=True):
            found = drawn(rng, self.lengths, False)
            at = self._put(row, 0, told(found[0]))
            for story in found:
                start = self._put(row, at, story.question)
                end = self._put(row, start, written(story, self.with_facts))
                if end < 0:
                    row[at:] = 0
                    break
                asked[start - 1 : end - 1] = row[start:end]
                at = end
        return rows[:, :-1].copy(), targets

    def _put(self, row: Ints, at: int, words: Sequence[str]) -> int:
        """Writes the words at a place of the row; the place behind them, -1 without room."""
        tokens = encode(words)
        end = at + len(tokens)
        if at < 0 or end > len(row):
            return -1
        row[at:end] = tokens
        return end
