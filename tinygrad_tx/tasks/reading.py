"""Stories as arrays for a reader, the spans that it answers with, and how they are scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data.units import CLS, FIRST, PAD, SEP
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.tasks.stories import Story, vocabulary

__all__ = ["NO_SENTENCE", "Framed", "best_spans", "frame", "word_f1"]

Array = np.ndarray[Any, Any]
LONGEST = 3  # words of an answer
NO_SENTENCE = -1


@dataclass(frozen=True)
class Framed:
    """Arrays (stories, time); spans (stories, 2) with the first and last token of the answer.

    segments: 0 for the question, then one for each sentence, in order, and as many again for those
    words of a sentence that the question has, too (the feature "exact match" of Chen et al. 2017,
    section 3.2): without these marks no run of up to 1,000 steps did better than to guess among the
    places named. sentence: its number in the story, NO_SENTENCE outside of it.
    """

    tokens: Array
    segments: Array
    spans: Array
    sentence: Array

    def answers(self, spans: Array) -> list[tuple[int, ...]]:
        """The tokens of a span in each story."""
        pairs = zip(self.tokens, spans, strict=True)
        return [tuple(row[first : last + 1].tolist()) for row, (first, last) in pairs]


def frame(some: Sequence[Story], time: int, sentences: int, seed: int) -> Framed:
    """[CLS] question [SEP] story [SEP], the story at a random place.

    What lies before it is padding, and its first segment is a random one of those that leave room
    for the rest of `sentences`: so all learned positions and segments are trained, and a longer
    story stands at known ones. Errors: DataError for a story that does not fit.
    """
    index = {word: FIRST + i for i, word in enumerate(vocabulary())}
    rng, shape = np.random.default_rng(seed), (len(some), time)
    tokens, segments = np.full(shape, PAD, np.int64), np.zeros(shape, np.int64)
    sentence, spans = np.full(shape, NO_SENTENCE), np.zeros((len(some), 2), np.int64)
    for row, story in enumerate(some):
        asked = [CLS, *(index[w] for w in story.question), SEP]
        length = sum(map(len, story.sentences)) + 1
        if len(asked) + length > time or len(story.sentences) > sentences:
            what = f"{len(asked) + length} tokens in {len(story.sentences)} sentences do not fit "
            what += f"into {time} in {sentences}"
            raise DataError(explain("stories", what))
        tokens[row, : len(asked)] = asked
        at = int(rng.integers(len(asked), time - length + 1))
        segment = int(rng.integers(1, sentences - len(story.sentences) + 2))
        segments[row, at : at + length] = segment + len(story.sentences) - 1  # of [SEP], too
        for number, words in enumerate(story.sentences):
            end = at + len(words)
            tokens[row, at:end] = [index[w] for w in words]
            sentence[row, at:end] = number
            is_asked = np.isin(tokens[row, at:end], asked)
            segments[row, at:end] = segment + number + sentences * is_asked
            if number == story.supporting[-1]:  # its place stands before the full stop
                spans[row] = end - 1 - len(story.answer), end - 2
            at = end
        tokens[row, at] = SEP
    return Framed(tokens, segments, spans, sentence)


def best_spans(logits: Array, allowed: Array) -> Array:
    """The likeliest (first, last) of at most LONGEST tokens: logits (rows, time, 2) -> (rows, 2).

    allowed (rows, time): true for tokens of the story. Devlin et al. 2019, section 4.2.
    """
    scores = np.where(allowed[..., None], logits, -np.inf)
    starts, ends = scores[..., 0], scores[..., 1]
    rows, time = starts.shape
    sums = np.full((LONGEST, rows, time), -np.inf)
    for more in range(LONGEST):
        sums[more, :, : time - more] = starts[:, : time - more] + ends[:, more:]
    best = sums.transpose(1, 0, 2).reshape(rows, -1).argmax(1)
    more, first = np.divmod(best, time)
    return np.stack([first, first + more], 1)


def word_f1(said: Sequence[Any], truth: Sequence[Any]) -> float:
    """Harmonic mean of precision and recall of words (Rajpurkar et al. 2016, section 6.1)."""
    both = sum((Counter(said) & Counter(truth)).values())
    return 2 * both / (len(said) + len(truth)) if both else 0.0
