"""Reasoning in small: additions with and without a written scratchpad, voting, and a verifier.

Two GPTs of the same size read the same number of tokens: one learns answers alone, one writes the
steps first (Nye et al. 2021; Wei et al. 2022). Some lengths of numbers are never learnt.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharTokenizer, Examples
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.models.generation import write_batch
from tinygrad_tx.models.sampling import Sampling
from tinygrad_tx.nn import Linear, Module
from tinygrad_tx.tasks.picture import curves, panels, write_picture
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import open_task, train_stage
from tinygrad_tx.tasks.sums import (
    ALPHABET,
    Problem,
    SumRows,
    answer_of,
    drawn,
    held_out_problems,
    written,
)
from tinygrad_tx.tasks.table import write_outcome
from tinygrad_tx.tasks.task import Figure, Outcome, Row, TaskConfig, bootstrap
from tinygrad_tx.tensor import Tensor, broadcast_to, cross_entropy, take_along_axis
from tinygrad_tx.train import TrainConfig

__all__ = ["Sample", "Verifier", "majority", "run"]

Array = np.ndarray[Any, Any]
DIRECT, STEPS = "answer alone", "scratchpad"
EARLY = "scratchpad of a fifth of the training"
"""Where there is still something to gain: votes and verifiers cannot better what is perfect."""
GREEDY, VOTE, VERIFIED = "greedy", "vote", "verifier"
WEIGHED, ANY = "vote weighed by the verifier", "any right"
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Plan:
    """How much of everything. learnt, unseen: lengths of numbers. samples: of each problem."""

    shape: GPTConfig
    steps: int
    batch: int
    learnt: tuple[int, ...]
    unseen: tuple[int, ...]
    test: int
    """Held-out problems of each length."""
    samples: int
    judged: int
    """Training problems whose samples the verifier learns from, four of each."""
    verifier_steps: int


FULL = Plan(GPTConfig(len(ALPHABET), 64, 2, 4, 96), 3000, 32, (2, 3, 5), (4, 6), 100, 8, 500, 300)
QUICK = Plan(GPTConfig(len(ALPHABET), 64, 1, 2, 32), 3, 4, (2,), (3,), 4, 2, 4, 2)


@dataclass(frozen=True)
class Sample:
    """What a model wrote behind a question. answer: None where there is none."""

    problem: Problem
    tokens: tuple[int, ...]
    """Question and all that was written."""
    answer: str | None

    @property
    def is_right(self) -> bool:
        return self.answer == self.problem.answer


class Verifier(Module):
    """How likely a written solution is right, from its last token (Cobbe et al. 2021, section 4).

    It starts as the model that writes. Logits (batch, 2): wrong, right.
    """

    def __init__(self, writer: GPT, seed: int = 0) -> None:
        super().__init__()
        self.reader = GPT(writer.config, seed)
        self.reader.load_state_dict(writer.state_dict())
        self.head = Linear(writer.config.width, 2, np.random.default_rng(seed))

    def forward(self, tokens: Tensor, last: Tensor) -> Tensor:
        """tokens (batch, time), padded on the right; last (batch,): place of the last token."""
        hidden = self.reader.norm(self.reader.hidden(tokens))
        batch, _, width = hidden.shape
        index = broadcast_to(last.reshape((batch, 1, 1)), (batch, 1, width))
        logits: Tensor = self.head(take_along_axis(hidden, index, 1)[:, 0])
        return logits

    def loss(self, tokens: Tensor, last: Tensor, is_right: Tensor) -> Tensor:
        """Mean cross-entropy in nats. is_right: (batch,), 0 or 1."""
        return cross_entropy(self(tokens, last), is_right)


def run(config: TaskConfig) -> Outcome:
    """The task. Errors: those of `fit`."""
    began = time.perf_counter()
    folder, plan = open_task(config), QUICK if config.quick else FULL
    tokenizer = CharTokenizer(ALPHABET)
    folder.write(folder.tokenizer, tokenizer.to_json())
    problems = held_out_problems((*plan.learnt, *plan.unseen), plan.test, config.seed)
    lengths = np.array([p.length for p in problems])
    rows, right = [], dict[str, dict[str, Array]]()
    fifth = dataclasses.replace(plan, steps=max(1, plan.steps // 5))
    for name, some in ((DIRECT, plan), (STEPS, plan), (EARLY, fifth)):
        found, trained, seconds = _solved(config, some, tokenizer, name, problems)
        right[name] = found
        for way, values in found.items():
            row = _row(f"{name}, {way}", values, found[GREEDY], lengths, plan, trained[way])
            rows.append(Row(row.method, row.score, row.trained, seconds[way], row.more))
            config.watch.say(f"{row.method}: {row.score.text()}  {dict(row.more)}")
    _draw(folder, right, lengths)
    outcome = _outcome(config, plan, rows, right, lengths, began)
    write_outcome(folder, outcome)
    return outcome


def _solved(
    config: TaskConfig,
    plan: Plan,
    tokenizer: CharTokenizer,
    name: str,
    problems: Sequence[Problem],
) -> tuple[dict[str, Array], dict[str, int], dict[str, float]]:
    """For each way of answering: 1 where right (problems,), parameters trained, seconds."""
    with_steps, seed, stage = name != DIRECT, config.seed, name.replace(" ", "-")
    model = GPT(plan.shape, seed)
    streams = [
        SumRows(tokenizer, plan.learnt, with_steps, plan.batch, plan.shape.context, s)
        for s in (seed, seed + 1)
    ]
    training = TrainConfig(
        plan.steps, plan.batch, 2e-3, plan.steps // 10, 0.1, 1.0, max(1, plan.steps // 5), 4, seed
    )
    done = train_stage(config, stage, model, streams[0], streams[1], training)
    began = time.perf_counter()
    greedy = solutions(model, tokenizer, problems, with_steps, 1, 0.0, seed)
    asked = time.perf_counter() - began
    sampled = solutions(model, tokenizer, problems, with_steps, plan.samples, TEMPERATURE, seed)
    voted = time.perf_counter() - began - asked
    rng = np.random.default_rng((seed, 2))
    learnt = [drawn(rng, int(rng.choice(plan.learnt)), False) for _ in range(plan.judged)]
    judged = solutions(model, tokenizer, learnt, with_steps, 4, TEMPERATURE, seed + 1)
    flat = [s for some in judged for s in some]
    config.watch.say(f"{name}: {np.mean([s.is_right for s in flat]):.1%} of samples are right")
    verifier = Verifier(model, seed)
    checking = _trained_verifier(config, plan, f"{stage}-verifier", verifier, flat)
    scores = _confidence(verifier, [s for some in sampled for s in some]).reshape(-1, plan.samples)
    best = [some[int(i)] for some, i in zip(sampled, scores.argmax(1), strict=True)]
    chances = 1 / (1 + np.exp(-scores))
    answers, weighed = (
        [majority([s.answer for s in some], w) for some, w in zip(sampled, weights, strict=True)]
        for weights in (np.ones_like(chances), chances)
    )
    found = {
        GREEDY: np.array([some[0].is_right for some in greedy]),
        VOTE: np.array([a == p.answer for a, p in zip(answers, problems, strict=True)]),
        VERIFIED: np.array([s.is_right for s in best]),
        WEIGHED: np.array([a == p.answer for a, p in zip(weighed, problems, strict=True)]),
        ANY: np.array([any(s.is_right for s in some) for some in sampled]),
    }
    own, both = model.num_parameters(), model.num_parameters() + verifier.num_parameters()
    seconds = {
        GREEDY: done.seconds + asked,
        VOTE: done.seconds + voted,
        VERIFIED: done.seconds + voted + checking,
        WEIGHED: done.seconds + voted + checking,
        ANY: done.seconds + voted,
    }
    return found, {GREEDY: own, VOTE: own, VERIFIED: both, WEIGHED: both, ANY: own}, seconds


def solutions(
    model: GPT,
    tokenizer: CharTokenizer,
    problems: Sequence[Problem],
    with_steps: bool,
    samples: int,
    temperature: float,
    seed: int,
) -> list[list[Sample]]:
    """`samples` written solutions of each problem."""
    longest = max(len(written(p, with_steps)) for p in problems) + 2
    prompts = [tokenizer.encode(p.question).tolist() for p in problems for _ in range(samples)]
    end = tokenizer.encode("\n").tolist()
    model.eval()
    said = write_batch(
        model, prompts, longest, Sampling(temperature=temperature), stop=end, seed=seed
    )
    found = []
    for i, (prompt, new) in enumerate(zip(prompts, said, strict=True)):
        # The end itself is not given out; a text that filled all the room has none.
        ended = [*new, *end] if len(new) < longest else new
        answer = answer_of(tokenizer.decode(ended), with_steps)
        found.append(Sample(problems[i // samples], (*prompt, *ended), answer))
    return [found[i : i + samples] for i in range(0, len(found), samples)]


def majority(answers: Sequence[str | None], weights: Sequence[float] | Array) -> str | None:
    """The answer with the largest sum of weights, the first of equals.

    Weights of 1 count the samples (Wang et al. 2023, section 2); a verifier's probabilities weigh
    them (Li et al. 2023, section 3.2).
    """
    sums: dict[str, float] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            sums[answer] = sums.get(answer, 0.0) + float(weight)
    return max(sums, key=lambda a: sums[a]) if sums else None


def _framed(samples: Sequence[Sample], context: int) -> tuple[Array, Array]:
    tokens = np.zeros((len(samples), context), np.int64)
    for row, sample in zip(tokens, samples, strict=True):
        row[: len(sample.tokens[:context])] = sample.tokens[:context]
    return tokens, np.array([min(len(s.tokens), context) - 1 for s in samples])


def _trained_verifier(
    config: TaskConfig, plan: Plan, stage: str, verifier: Verifier, samples: Sequence[Sample]
) -> float:
    """Learns which of the samples are right; the seconds that it took."""
    tokens, last = _framed(samples, plan.shape.context)
    labels = np.array([s.is_right for s in samples]).astype(np.int64)
    cut = max(1, len(samples) // 10)
    parts = [
        Examples([a[part] for a in (tokens, last, labels)], plan.batch, config.seed)
        for part in (slice(cut, None), slice(None, cut))
    ]
    steps = plan.verifier_steps
    training = TrainConfig(steps, plan.batch, 5e-4, steps // 10, 0.1, 1.0, steps, 8, config.seed)
    return train_stage(config, stage, verifier, parts[0], parts[1], training).seconds


def _confidence(verifier: Verifier, samples: Sequence[Sample]) -> Array:
    """How far the verifier holds each sample for right: (samples,)."""
    arrays = _framed(samples, verifier.reader.config.context)
    logits = predict(verifier, lambda tokens, last: verifier(tokens, last), arrays)
    found: Array = logits[:, 1] - logits[:, 0]
    return found


def _row(name: str, right: Array, greedy: Array, lengths: Array, plan: Plan, trained: int) -> Row:
    """Accuracies, and what is added to the greedy answers of the same model."""
    unseen = np.isin(lengths, plan.unseen)
    more = [
        ("learnt lengths", bootstrap(right[~unseen]).text()),
        ("lengths never learnt", bootstrap(right[unseen]).text()),
        ("added to greedy", "" if right is greedy else _difference(right, greedy)),
    ]
    return Row(name, bootstrap(right), trained, 0.0, tuple(more))


def _difference(right: Array, other: Array) -> str:
    """The difference on the same problems, with its interval: resampled in pairs."""
    gain = bootstrap(right.astype(float) - other)
    return f"{gain.value:+.1%} ({gain.low:+.1%} to {gain.high:+.1%})".replace("%", " %")


def _draw(folder: Any, right: dict[str, dict[str, Array]], lengths: Array) -> None:
    lines: dict[str, dict[float, Figure | float]] = {
        f"{name}, {way}": {
            float(n): bootstrap(values[lengths == n]) for n in sorted(set(lengths.tolist()))
        }
        for name, ways in right.items()
        for way, values in ways.items()
        if way != ANY and (name == EARLY or way == GREEDY)
    }
    picture, (axes,) = panels()
    curves(axes, lines)
    axes.set(xlabel="digits of the numbers", ylabel="share of additions that are right")
    axes.set(ylim=(-0.02, 1.02), xticks=sorted(set(lengths.tolist())))
    write_picture(folder, picture)


def _outcome(
    config: TaskConfig,
    plan: Plan,
    rows: list[Row],
    right: dict[str, dict[str, Array]],
    lengths: Array,
    began: float,
) -> Outcome:
    named = {row.method: row for row in rows}
    best, plain = named[f"{STEPS}, {VERIFIED}"], named[f"{DIRECT}, {GREEDY}"]
    tokens = plan.steps * plan.batch * plan.shape.context
    by_length = [
        f"{n} digits{' (never learnt)' if n in plan.unseen else ''}: "
        + ", ".join(f"{right[m][GREEDY][lengths == n].mean():.0%} {m}" for m in (DIRECT, STEPS))
        for n in sorted(set(lengths.tolist()))
    ]
    steps = _difference(right[STEPS][GREEDY], right[DIRECT][GREEDY])
    return Outcome(
        name="arithmetic",
        what="Additions of numbers, by GPTs of one size that read the same number of tokens: the "
        "answer alone or steps first; greedy, by vote of samples, and by a trained verifier.",
        data=f"Made as they are read: numbers of {plan.learnt} digits to learn from; "
        f"{plan.test} held-out additions of each length, and of {plan.unseen} digits, which are "
        "never learnt.",
        command="tinygrad-tx finetune arithmetic --out runs/arithmetic",
        metric="additions that are right, all lengths",
        baseline_name=plain.method,
        baseline=plain.score,
        score=best.score,
        trained=best.trained,
        seconds=time.perf_counter() - began,
        rows=tuple(rows),
        notes=(
            f"{tokens:,} tokens for each of the first two; a scratchpad has room for fewer sums.",
            f"The scratchpad adds {steps} to the answer alone, both greedy.",
            *by_length,
            f"Votes and the verifier have the same {plan.samples} samples at temperature "
            f"{TEMPERATURE}; '{ANY}' is what a perfect choice among them would reach.",
            "Equal samples have equal scores: a verifier chooses among different texts; a right "
            "one that many samples share counts once. Weighed votes count all.",
            f"The verifier learnt from four samples of each of {plan.judged} training problems.",
        ),
        quick=config.quick,
    )
