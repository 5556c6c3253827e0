"""Samples that a model wrote, and a verifier that learns from them which ones are right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.models import GPT, Sampling, write_batch
from tinygrad_tx.nn import Linear, Module
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.stage import train_stage
from tinygrad_tx.tasks.task import TaskConfig
from tinygrad_tx.tensor import Tensor, concat, cross_entropy, tensor, zeros
from tinygrad_tx.train import TrainConfig

__all__ = [
    "Form", "Problem", "Sample", "Verifier", "confidence", "different", "framed", "likelihood",
    "solutions", "trained_verifier",
]  # fmt: skip

Array = np.ndarray[Any, Any]
IGNORED = -100
AT_ONCE = 1000  # texts written side by side: their keys and values take some 100 MB


class Problem(Protocol):
    """Something asked, with the one right answer as text."""

    @property
    def answer(self) -> Any: ...


class Form(Protocol):
    """How problems of a task are written, as tokens; with a scratchpad or without."""

    end: int
    """The token behind what is written."""

    def question(self, problem: Any) -> list[int]: ...

    def written(self, problem: Any) -> list[int]:
        """What should stand behind the question, with the end."""
        ...

    def answer(self, written: Sequence[int]) -> Any:
        """The answer in what a model wrote; None where there is none."""
        ...


@dataclass(frozen=True)
class Sample:
    """What a model wrote behind a question. answer: None where there is none.

    agrees: how many tokens of what is written are as they should be, up to the first other one.
    """

    problem: Problem
    question: tuple[int, ...]
    written: tuple[int, ...]
    answer: Any
    agrees: int = 0

    @property
    def is_right(self) -> bool:
        return bool(self.answer == self.problem.answer)


def solutions(
    model: GPT,
    form: Form,
    problems: Sequence[Any],
    samples: int,
    temperature: float,
    seed: int,
) -> list[list[Sample]]:
    """`samples` written solutions of each problem."""
    longest = max(len(form.written(p)) for p in problems) + 2
    prompts = [form.question(p) for p in problems for _ in range(samples)]
    drawing, said = Sampling(temperature=temperature), list[list[int]]()
    model.eval()
    for part, first in enumerate(range(0, len(prompts), AT_ONCE)):
        some = prompts[first : first + AT_ONCE]
        own = 1000 * seed + part
        said += write_batch(model, some, longest, drawing, stop=[form.end], seed=own)
    found = []
    for i, (prompt, new) in enumerate(zip(prompts, said, strict=True)):
        # The end itself is not given out; a text that filled all the room has none.
        ended = [*new, form.end] if len(new) < longest else new
        problem = problems[i // samples]
        pairs = zip(ended, form.written(problem), strict=False)
        agrees = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        sample = Sample(problem, tuple(prompt), tuple(ended), form.answer(ended), agrees)
        found.append(sample)
    return [found[i : i + samples] for i in range(0, len(found), samples)]


class Verifier(Module):
    """How likely each token of a written solution is right, if all before it are.

    It starts as the model that writes, and is shown how likely that holds the token:

        logits_t = h_t W + b + u (-log P(x_t | x_<t)),  u = (1, 0) at first

    so that it has to learn only where the model is mistaken about itself. It learns up to the first
    wrong token of a sample, which tells it where the fault lies: process supervision (Uesato et al.
    2022, section 2; Lightman et al. 2023, section 2.4). Both were needed: without the last term, or
    told only whether the answer is right in the end (Cobbe et al. 2021), 500 to 1,000 steps on
    5,000 to 8,000 samples of additions taught it which problems are easy, but of the samples of one
    problem it chose no better than blindly. Logits (batch, time, 2): wrong, right.
    """

    def __init__(self, writer: GPT, seed: int = 0) -> None:
        super().__init__()
        self.reader = GPT(writer.config, seed)
        self.reader.load_state_dict(writer.state_dict())
        self.head = Linear(writer.config.width, 2, np.random.default_rng(seed))
        self.surprise = tensor(np.array([1, 0], np.float32), requires_grad=True)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.reader.hidden(tokens)
        logits: Tensor = self.head(self.reader.norm(hidden))
        return logits + surprises(self.reader.logits(hidden), tokens)[..., None] * self.surprise

    def loss(self, tokens: Tensor, is_right: Tensor) -> Tensor:
        """Mean cross-entropy in nats. is_right: (batch, time), 0 or 1; -100 where not asked."""
        return cross_entropy(self(tokens), is_right)


def surprises(logits: Tensor, tokens: Tensor) -> Tensor:
    """-log P of each token after those before it, 0 for the first: (batch, time)."""
    later = cross_entropy(logits[:, :-1], tokens[:, 1:], reduction="none")
    return concat([zeros((tokens.shape[0], 1)), later], axis=1)


def framed(samples: Sequence[Sample], context: int) -> tuple[Array, Array]:
    """Tokens and labels, (samples, context): 1 at right tokens, 0 at the first wrong one.

    -100 before what is written and behind the first wrong token.
    """
    tokens = np.zeros((len(samples), context), np.int64)
    labels = np.full((len(samples), context), IGNORED)
    for row, asked, sample in zip(tokens, labels, samples, strict=True):
        whole = (*sample.question, *sample.written)[:context]
        row[: len(whole)] = whole
        start = len(sample.question)
        asked[start : start + sample.agrees] = 1
        asked[start + sample.agrees : min(start + sample.agrees + 1, len(whole))] = 0
    return tokens, labels


def different(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Each text once, in a random order."""
    every = list({(s.question, s.written): s for s in samples}.values())
    return [every[i] for i in np.random.default_rng(seed).permutation(len(every))]


def trained_verifier(
    config: TaskConfig,
    stage: str,
    verifier: Verifier,
    samples: Sequence[Sample],
    steps: int,
    batch: int,
) -> float:
    """Learns which of the samples are right; the seconds that it took."""
    tokens, labels = framed(samples, verifier.reader.config.context)
    cut = max(1, len(samples) // 10)
    parts = [
        Examples([tokens[part], labels[part]], batch, config.seed)
        for part in (slice(cut, None), slice(None, cut))
    ]
    training = TrainConfig(
        steps, batch, 1e-3, steps // 10, 0.1, 1.0, max(1, steps // 4), 8, config.seed
    )
    return train_stage(config, stage, verifier, parts[0], parts[1], training).seconds


def confidence(verifier: Verifier, samples: Sequence[Sample]) -> Array:
    """The probability that all tokens of a sample are right: (samples,).

    The product over its parts scores a text (Lightman et al. 2023, section 2.6).
    """
    tokens, written = _places(samples, verifier.reader.config.context)
    logits = predict(verifier, lambda some: verifier(some), (tokens,))  # (samples, time, 2)
    surprise = np.logaddexp(0, logits[..., 0] - logits[..., 1])  # -log P(right)
    found: Array = np.exp(-np.where(written, surprise, 0).sum(1))
    return found


def likelihood(model: GPT, samples: Sequence[Sample]) -> Array:
    """log P of what is written, by the model's own account: (samples,)."""
    tokens, written = _places(samples, model.config.context)
    found = predict(model, lambda some: surprises(model(some), some), (tokens,))
    total: Array = -np.where(written, found, 0).sum(1)
    return total


def _places(samples: Sequence[Sample], context: int) -> tuple[Array, Array]:
    """Tokens (samples, context), and whether each is of what is written."""
    tokens, _ = framed(samples, context)
    starts = np.array([len(s.question) for s in samples])[:, None]
    ends = starts + np.array([len(s.written) for s in samples])[:, None]
    places = np.arange(context)
    return tokens, (places >= starts) & (places < ends)
