"""Samples that a model wrote, and a verifier that learns from them which ones are right."""

from __future__ import annotations

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
from tinygrad_tx.tensor import Tensor, broadcast_to, cross_entropy, take_along_axis
from tinygrad_tx.train import TrainConfig

__all__ = ["Form", "Problem", "Sample", "Verifier", "confidence", "solutions", "trained_verifier"]

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
    """What a model wrote behind a question. answer: None where there is none."""

    problem: Problem
    question: tuple[int, ...]
    written: tuple[int, ...]
    answer: Any

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
        answer = form.answer(ended)
        found.append(Sample(problems[i // samples], tuple(prompt), tuple(ended), answer))
    return [found[i : i + samples] for i in range(0, len(found), samples)]


class Verifier(Module):
    """How likely a written solution is right, said at each token of it (Cobbe et al. 2021, 4.2).

    It starts as the model that writes. Logits (batch, time, 2): wrong, right.
    """

    def __init__(self, writer: GPT, seed: int = 0) -> None:
        super().__init__()
        self.reader = GPT(writer.config, seed)
        self.reader.load_state_dict(writer.state_dict())
        self.head = Linear(writer.config.width, 2, np.random.default_rng(seed))

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.reader.norm(self.reader.hidden(tokens)))
        return logits

    def loss(self, tokens: Tensor, is_right: Tensor) -> Tensor:
        """Mean cross-entropy in nats. is_right: (batch, time), 0 or 1; -100 where not asked."""
        return cross_entropy(self(tokens), is_right)


def _framed(samples: Sequence[Sample], context: int) -> tuple[Array, Array, Array]:
    """Tokens (samples, context), the place of the last one, and whether each is of a right text."""
    tokens = np.zeros((len(samples), context), np.int64)
    labels = np.full((len(samples), context), IGNORED)
    ends = []
    for row, asked, sample in zip(tokens, labels, samples, strict=True):
        whole = (*sample.question, *sample.written)[:context]
        row[: len(whole)] = whole
        asked[len(sample.question) : len(whole)] = sample.is_right
        ends.append(len(whole) - 1)
    return tokens, np.array(ends), labels


def balanced(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Each text once, and as many wrong ones as right ones, in a random order."""
    rng = np.random.default_rng(seed)
    every = list({(s.question, s.written): s for s in samples}.values())
    parts = [[s for s in every if s.is_right is right] for right in (False, True)]
    count = min(map(len, parts)) or max(map(len, parts))
    kept = [p[i] for p in parts for i in rng.permutation(len(p))[:count]]
    return [kept[i] for i in rng.permutation(len(kept))]


def trained_verifier(
    config: TaskConfig,
    stage: str,
    verifier: Verifier,
    samples: Sequence[Sample],
    steps: int,
    batch: int,
) -> float:
    """Learns which of the samples are right; the seconds that it took."""
    tokens, _, labels = _framed(samples, verifier.reader.config.context)
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
    """How far the verifier holds each sample for right, at its last token: (samples,)."""

    def judged(tokens: Tensor, last: Tensor) -> Tensor:
        logits = verifier(tokens)
        index = broadcast_to(last.reshape((-1, 1, 1)), (logits.shape[0], 1, 2))
        return take_along_axis(logits, index, 1)[:, 0]

    arrays = _framed(samples, verifier.reader.config.context)[:2]
    logits = predict(verifier, judged, arrays)
    found: Array = logits[:, 1] - logits[:, 0]
    return found
