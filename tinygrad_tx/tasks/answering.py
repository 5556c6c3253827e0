"""Questions about stories, answered by a span: one and two hops, and stories longer than learnt.

And which facts the reader attends to: the weights that the words of the question give to the
sentences that the answer rests on, against an even spread over the story.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.data.units import CLS, FIRST, PAD, SEP
from tinygrad_tx.models import BERTConfig, BERTReader
from tinygrad_tx.tasks.attended import patterns
from tinygrad_tx.tasks.picture import bars, levels, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.reading import Framed, best_spans, frame, word_f1
from tinygrad_tx.tasks.stage import open_task, train_stage
from tinygrad_tx.tasks.stories import PLACES, Story, stories, vocabulary
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.train import RunFolder, TrainConfig

__all__ = ["attention_on_facts", "exam_of", "last_place", "run", "sinusoids"]

READER, LAST, COMMONEST = "BERT reader", "the last place named", "the commonest answer"
Array = np.ndarray[Any, Any]
Part = tuple[int, str]
"""Hops, and "short" (as in training) or "long"."""


@dataclass(frozen=True)
class Plan:
    """stories: of each number of hops; asked: of each part. Lengths in sentences."""

    stories: int = 12_000
    asked: int = 400
    looked: int = 200
    steps: int = 2200
    short: tuple[int, int] = (2, 6)
    long: tuple[int, int] = (7, 10)
    time: int = 80
    batch: int = 32
    layers: int = 3
    width: int = 64
    heads: int = 4
    learning_rate: float = 1e-3


FULL = Plan()
QUICK = Plan(100, 16, 8, 4, batch=8, layers=2, width=32, heads=2)


@dataclass(frozen=True)
class Looks:
    """Of each layer and head (layers, heads): share of the weights on facts, and an even spread's.

    best: the head chosen on half of the stories, measured on the other half.
    """

    share: Array
    chance: float
    best: tuple[int, int]
    measured: Figure
    """Share less chance at `best`, in each story of the other half."""


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: those of `fit`."""
    began = time.perf_counter()
    folder, plan, say = open_task(config), QUICK if config.quick else FULL, config.watch.say
    exam = exam_of(plan, config.seed)
    asked = {story for some in exam.values() for story in some}
    train = [
        story
        for hops in (1, 2)
        for story in stories(plan.stories, plan.short, hops, config.seed, asked.__contains__)
    ]
    say(f"{len(train):,} stories to learn from, {len(asked):,} held out")
    model = _model(plan, config.seed)
    held_out = [story for hops in (1, 2) for story in exam[hops, "short"]]
    every = max(1, plan.steps // 6)
    training = TrainConfig(
        plan.steps, plan.batch, plan.learning_rate, plan.steps // 10, 0.01, 1.0, every, 8,
        config.seed,
    )  # fmt: skip
    done = train_stage(
        config, "training", model, _examples(train, plan, config.seed),
        _examples(held_out, plan, config.seed + 1), training,
    )  # fmt: skip
    rows = _rows(plan, model, train, exam, done.seconds)
    for row in rows:
        say(f"{row.method}, {', '.join(v for _, v in row.more[:2])}: {row.score.text()}")
    looks = {hops: attention_on_facts(model, exam[hops, "short"][: plan.looked]) for hops in (1, 2)}
    _draw(folder, rows, looks)
    outcome = _outcome(config, rows, looks, plan, len(train), began)
    write_outcome(folder, outcome)
    return outcome


def exam_of(plan: Plan, seed: int) -> dict[Part, list[Story]]:
    """Held-out stories, each once."""
    return {
        (hops, name): stories(plan.asked, lengths, hops, 1000 + seed, lambda story: False)
        for hops in (1, 2)
        for name, lengths in (("short", plan.short), ("long", plan.long))
    }


def _model(plan: Plan, seed: int) -> BERTReader:
    """A reader whose weights fit its small width, with a segment for each sentence.

    BERT's deviation of 0.02 is about 1 / sqrt(width) for the published widths; at 64 it makes
    attention nearly even at the start. Positions and numbers
    of sentences start as sinusoids, which tell how far apart two are wherever a story stands.
    Sentences that are numbered: Sukhbaatar et al. 2015, section 4.1 (temporal encoding).
    """
    shape = BERTConfig(
        FIRST + len(vocabulary()), plan.time, plan.layers, plan.heads, plan.width,
        segments=1 + 2 * plan.long[1], dropout=0.0,
    )  # fmt: skip
    model = BERTReader(shape, seed)
    for name, p in model.named_parameters():
        if ".blocks." in name and name.endswith("weight") and p.ndim == 2:
            p.assign_(p.numpy() / (0.02 * p.shape[0] ** 0.5))
    waves = 0.02 * 2**0.5 * sinusoids(plan.time, plan.width)
    model.encoder.position.weight.assign_(waves)
    drawn = model.encoder.segment.weight.numpy().copy()
    asked = slice(1 + plan.long[1], None)  # the same number, and what all of these have in common
    drawn[1 : asked.start] = waves[: plan.long[1]]
    drawn[asked] = waves[: plan.long[1]] + 2 * drawn[0]
    model.encoder.segment.weight.assign_(drawn)
    return model


def sinusoids(count: int, width: int) -> Array:
    """Sinusoids of 0 to count - 1: (count, width). Vaswani et al. 2017, section 3.5."""
    places = np.arange(count)[:, None] / 10_000 ** (np.arange(width) // 2 * 2 / width)
    waves = np.where(np.arange(width) % 2, np.cos(places), np.sin(places))
    return waves.astype(np.float32)


def _examples(some: Sequence[Story], plan: Plan, seed: int) -> Examples:
    """Batches for `BERTReader.loss`."""
    f = frame(some, plan.time, plan.long[1], seed)
    return Examples([f.tokens, f.spans, f.segments, f.tokens != PAD], plan.batch, seed)


def last_place(story: Story) -> tuple[str, ...]:
    """The place that the story names last."""
    places = {tuple(p.split()) for p in PLACES}
    for words in reversed(story.sentences):
        for size in (1, 2):
            if words[-1 - size : -1] in places:
                return words[-1 - size : -1]
    return ()


def _rows(
    plan: Plan,
    model: BERTReader,
    train: Sequence[Story],
    exam: dict[Part, list[Story]],
    seconds: float,
) -> list[Row]:
    commonest = Counter(story.answer for story in train).most_common(1)[0][0]
    words = ["", *vocabulary()]
    rows = []
    for part, some in exam.items():
        framed = frame(some, plan.time, plan.long[1], 2)
        found = framed.answers(_spans(model, framed))
        read = [tuple(words[max(0, t - FIRST + 1)] for t in tokens) for tokens in found]
        rows.append(_scored(READER, part, plan, some, read, model.num_parameters(), seconds))
        rows.append(_scored(LAST, part, plan, some, [last_place(s) for s in some]))
        rows.append(_scored(COMMONEST, part, plan, some, [commonest] * len(some)))
    return rows


def _spans(model: BERTReader, framed: Framed) -> Array:
    def logits(tokens: Tensor, segments: Tensor) -> Tensor:
        places: Tensor = model(tokens, segments, tokens != PAD)
        return places

    found = predict(model, logits, (framed.tokens, framed.segments))
    return best_spans(found, framed.sentence >= 0)


def _scored(
    method: str,
    part: Part,
    plan: Plan,
    some: Sequence[Story],
    said: Sequence[tuple[str, ...]],
    trained: int = 0,
    seconds: float = 0.0,
) -> Row:
    both = list(zip(said, (story.answer for story in some), strict=True))
    exact = bootstrap(np.array([a == b for a, b in both]))
    f1 = bootstrap(np.array([word_f1(a, b) for a, b in both]))
    least, most = plan.short if part[1] == "short" else plan.long
    more = (("hops", str(part[0])), ("sentences", f"{least} to {most}"), ("F1", f1.text()))
    return Row(method, exact, trained, seconds, more)


def attention_on_facts(model: BERTReader, some: Sequence[Story]) -> Looks:
    """Where the words of the question look, of all that they give to the story."""
    framed = frame(some, model.config.context, model.config.segments // 2, 3)
    model.eval()
    with no_grad():
        found = patterns(model(framed.tokens, framed.segments, framed.tokens != PAD))
    asks = (framed.segments == 0) & ~np.isin(framed.tokens, (PAD, CLS, SEP))
    told = framed.sentence >= 0
    facts = np.array(
        [np.isin(row, story.supporting) for row, story in zip(framed.sentence, some, strict=True)]
    )
    shares = np.stack([_shares(p, asks, told, facts) for p in found], 1)  # (stories, layers, heads)
    chance = facts.sum(1) / told.sum(1)
    more = shares - chance[:, None, None]
    half = len(some) // 2
    layer, head = np.unravel_index(more[:half].mean(0).argmax(), more.shape[1:])
    measured = bootstrap(more[half:, layer, head])
    best = (int(layer), int(head))
    return Looks(shares.mean(0), float(chance.mean()), best, measured)


def _shares(pattern: Array, asks: Array, told: Array, facts: Array) -> Array:
    """(batch, heads): the weights from the question on facts, of those on the story."""
    given = np.einsum("bhqk,bq->bhk", pattern, asks)
    on_story = np.maximum((given * told[:, None]).sum(-1), 1e-12)
    return np.asarray((given * facts[:, None]).sum(-1) / on_story)


def _draw(folder: RunFolder, rows: list[Row], looks: dict[int, Looks]) -> None:
    picture, (scores, *places) = panels(3)
    names = [f"{r.method}: {dict(r.more)['hops']} hops, {dict(r.more)['sentences']}" for r in rows]
    bars(scores, names, [r.score for r in rows])
    scores.tick_params(axis="y", labelsize=7)
    scores.set(xlabel="exact match")
    for axes, (hops, found) in zip(places, looks.items(), strict=True):
        layers, heads = found.share.shape
        for head in range(heads):
            xs = np.arange(layers) + 0.8 * head / heads
            axes.bar(xs, found.share[:, head], 0.7 / heads, color="#1f5f99")
        levels(axes, {"even spread": found.chance})
        axes.set_xticks(np.arange(layers) + 0.3, [f"layer {i}" for i in range(layers)])
        axes.set(ylabel="weight on facts, each head", title=f"questions of {hops} hops")
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    rows: list[Row],
    looks: dict[int, Looks],
    plan: Plan,
    learnt: int,
    began: float,
) -> Outcome:
    by = {(r.method, *(v for _, v in r.more[:2])): r.score for r in rows}
    short = f"{plan.short[0]} to {plan.short[1]}"
    best = max((LAST, COMMONEST), key=lambda m: by[m, "2", short].value)
    ours, other = by[READER, "2", short], by[best, "2", short]
    told = "better than" if ours.low > other.high else "not clearly better than"
    return Outcome(
        name="question-answering",
        what="Where is somebody, or a thing? A BERT reader from scratch marks the answer in a "
        "story: one fact answers, or two together.",
        data=f"Stories made by a grammar of our own: {learnt:,} to learn from with {short} "
        f"sentences, {plan.asked} held out for each row; no story is in both parts.",
        command="tinygrad-tx finetune question-answering --out runs/question-answering",
        metric="exact match, two hops",
        baseline_name=best,
        baseline=other,
        score=ours,
        trained=max(r.trained for r in rows),
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"Two hops: {told} {best}. One hop: {by[READER, '1', short].text()}.",
            "Sentences are numbered for the reader, and words that the question has are marked.",
            *(_said(hops, found) for hops, found in looks.items()),
            "The head is chosen on half of the stories and measured on the other half. Weights of "
            "attention show where a head looks, not what the answer is made of.",
        ),
        quick=config.quick,
    )


def _said(hops: int, found: Looks) -> str:
    layer, head = found.best
    m = found.measured
    told = "more than" if m.low > 0 else "not clearly more than"
    above = int((found.share > found.chance).sum())
    kinds = "one fact" if hops == 1 else "two facts"
    return (
        f"Questions that rest on {kinds}: their words give {found.share[layer, head]:.1%} of their "
        f"weight on the story to the facts in layer {layer}, head {head}, {told} an even spread, "
        f"{found.chance:.1%} (by {m.value:+.1%}, {m.low:+.1%} to {m.high:+.1%}); {above} of "
        f"{found.share.size} heads give more than that."
    ).replace("%", " %")
