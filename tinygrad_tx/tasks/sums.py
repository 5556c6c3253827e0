"""Additions as text: the question, the answer alone or with its steps, and rows to learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharTokenizer
from tinygrad_tx.data.batches import Batch
from tinygrad_tx.tasks.made import MadeRows

__all__ = ["ALPHABET", "Problem", "SumForm", "SumRows", "answer_of", "held_out_problems", "written"]

ALPHABET = "0123456789+=,\n"
END = "\n"
IGNORED = -100
HELD_OUT = 0.1
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Problem:
    """a + b, both of `length` digits."""

    a: int
    b: int
    length: int

    @property
    def question(self) -> str:
        return f"{self.a}+{self.b}="

    @property
    def answer(self) -> str:
        return str(self.a + self.b)

    @property
    def is_held_out(self) -> bool:
        """Whether it is only ever asked, never learnt from: by a hash of the question."""
        digest = hashlib.sha256(self.question.encode()).hexdigest()
        return int(digest[:16], 16) < HELD_OUT * 2**64


def written(problem: Problem, with_steps: bool) -> str:
    """What stands behind the question: the answer, behind the steps where they are written.

    A step has the two digits, their sum's digit and the new carry, from the lowest place on:
    57+68= gives 7851,5621,=125. After Nye et al. 2021, figure 2, shortened.
    """
    if not with_steps:
        return problem.answer + END
    steps, carry = [], 0
    for x, y in zip(reversed(str(problem.a)), reversed(str(problem.b)), strict=True):
        total = int(x) + int(y) + carry
        carry = total // 10
        steps.append(f"{x}{y}{total % 10}{carry},")
    return "".join(steps) + "=" + problem.answer + END


def answer_of(text: str, with_steps: bool) -> str | None:
    """The answer in what a model wrote behind a question; None where it comes to no end."""
    whole, end, _ = text.partition(END)
    if not end:
        return None
    _, sign, last = whole.rpartition("=")
    return last if sign or not with_steps else None


def drawn(rng: np.random.Generator, length: int, is_held_out: bool) -> Problem:
    """A problem at random of the part to learn from, or of the held-out one."""
    while True:
        a, b = (int(n) for n in rng.integers(10 ** (length - 1), 10**length, 2))
        problem = Problem(a, b, length)
        if problem.is_held_out == is_held_out:
            return problem


def held_out_problems(lengths: Sequence[int], count: int, seed: int) -> list[Problem]:
    """`count` different held-out problems of each length."""
    rng = np.random.default_rng(seed)
    found = []
    for length in lengths:
        some: dict[Problem, None] = {}
        while len(some) < count:
            some[drawn(rng, length, True)] = None
        found += list(some)
    return found


class SumForm:
    """Additions as tokens (a `Form`), with their steps or without."""

    def __init__(self, tokenizer: CharTokenizer, with_steps: bool) -> None:
        self.tokenizer, self.with_steps = tokenizer, with_steps
        (self.end,) = tokenizer.encode(END).tolist()

    def question(self, problem: Problem) -> list[int]:
        return self._encoded(problem.question)

    def written(self, problem: Problem) -> list[int]:
        return self._encoded(written(problem, self.with_steps))

    def answer(self, written: Sequence[int]) -> str | None:
        return answer_of(self.tokenizer.decode(list(written)), self.with_steps)

    def _encoded(self, text: str) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text).tolist()
        return tokens


class SumRows(MadeRows):
    """Rows of `context` tokens: problems one behind the other, never a held-out one.

    Batches are pairs (tokens, targets), each (batch, context); the target is -100 in questions,
    whose digits nothing foretells. Any batch is a function of the seed and its number.
    """

    def __init__(
        self,
        tokenizer: CharTokenizer,
        lengths: Sequence[int],
        with_steps: bool,
        batch: int,
        context: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.tokenizer, self.lengths, self.with_steps = tokenizer, tuple(lengths), with_steps
        self.batch, self.context, self.seed = batch, context, seed

    def _made(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, number % 2**32))
        rows = [self._row(rng) for _ in range(self.batch)]
        return np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])

    def _row(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        text, is_asked = "", list[bool]()
        while len(text) <= self.context:
            problem = drawn(rng, int(rng.choice(self.lengths)), False)
            said = written(problem, self.with_steps)
            text += problem.question + said
            is_asked += [False] * len(problem.question) + [True] * len(said)
        tokens = self.tokenizer.encode(text[: self.context + 1])
        targets = np.where(is_asked[1 : self.context + 1], tokens[1:], IGNORED)
        return tokens[:-1].copy(), targets
