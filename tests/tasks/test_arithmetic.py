"""Additions as text, and what a model writes of them: against plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinygrad_tx.data import CharTokenizer
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tasks.sums import (
    ALPHABET,
    Problem,
    SumForm,
    SumRows,
    answer_of,
    drawn,
    held_out_problems,
    written,
)
from tinygrad_tx.tasks.verifier import solutions
from tinygrad_tx.train import RunFolder, TrainConfig, fit

UNITS = CharTokenizer(ALPHABET)


def problems(most: int = 9) -> st.SearchStrategy[Problem]:
    def of(length: int) -> st.SearchStrategy[Problem]:
        number = st.integers(10 ** (length - 1), 10**length - 1)
        return st.builds(Problem, number, number, st.just(length))

    return st.integers(1, most).flatmap(of)


def test_a_scratchpad_reads_as_the_docstring_says() -> None:
    assert written(Problem(57, 68, 2), True) == "7851,5621,=125\n"
    assert written(Problem(57, 68, 2), False) == "125\n"


@given(problems())
def test_the_steps_of_a_scratchpad_add_up_to_the_sum(problem: Problem) -> None:
    steps, _, answer = written(problem, True).rstrip("\n").partition("=")
    digits, carry = "", 0
    for step in steps.split(",")[:-1]:
        x, y, digit, new = map(int, step)
        assert divmod(x + y + carry, 10) == (new, digit)
        digits, carry = f"{digit}{digits}", new
    total = int(f"{carry}{digits}")
    assert total == problem.a + problem.b == int(answer)


@given(problems(), st.booleans())
def test_the_answer_is_found_in_what_is_written(problem: Problem, with_steps: bool) -> None:
    text = written(problem, with_steps)
    assert answer_of(text, with_steps) == problem.answer
    assert answer_of(text + "12+34=46\n", with_steps) == problem.answer  # up to the first end
    assert answer_of(text.rstrip("\n"), with_steps) is None
    assert answer_of("7851,\n", True) is None


def test_held_out_problems_are_never_learnt_and_are_a_tenth() -> None:
    rng = np.random.default_rng(0)
    some = [Problem(int(a), int(b), 3) for a, b in rng.integers(100, 1000, (4000, 2))]
    assert np.mean([p.is_held_out for p in some]) == pytest.approx(0.1, abs=0.02)
    asked = held_out_problems((2, 4), 30, 0)
    assert len(set(asked)) == 60
    assert all(p.is_held_out for p in asked)
    assert not any(drawn(rng, 2, False).is_held_out for _ in range(300))


@pytest.mark.parametrize("with_steps", [False, True])
def test_rows_hold_whole_problems_and_ask_for_answers_alone(with_steps: bool) -> None:
    rows = SumRows(UNITS, (1, 3), with_steps, 4, 60, 0)
    tokens, targets = rows.draw()
    assert tokens.shape == targets.shape == (4, 60)
    for row, asked in zip(tokens, targets, strict=True):
        text = UNITS.decode(row)
        shown = "".join(UNITS.alphabet[t] if t >= 0 else "_" for t in asked)
        for line, said in zip(text.split("\n")[:-1], f"_{shown}".split("\n"), strict=False):
            question, _, answer = line.partition("=")
            a, b = question.split("+")
            problem = Problem(int(a), int(b), len(a))
            assert problem.length in (1, 3)
            assert not problem.is_held_out
            assert f"{answer}\n" == written(problem, with_steps)
            # What is asked for stands one place before itself.
            assert said == "_" * (len(question) + 1) + answer
    again = SumRows(UNITS, (1, 3), with_steps, 4, 60, 0)
    again.restore("1")
    np.testing.assert_array_equal(again.draw()[0], rows.draw()[0])
    first, second = list(rows.in_order(2)), list(again.in_order(2))
    np.testing.assert_array_equal(first, second)


def test_a_model_learns_one_digit_and_its_samples_are_judged_by_their_answers(
    tmp_path: Path,
) -> None:
    config = GPTConfig(len(ALPHABET), 32, 1, 2, 32)
    model = GPT(config)
    rows = SumRows(UNITS, (1,), False, 16, 32, 0)
    fit(model, rows, rows, TrainConfig(150, 16, 5e-3, 10, 0, 1, 150, 2), RunFolder(tmp_path))
    asked = [Problem(a, b, 1) for a, b in ((2, 2), (3, 4), (9, 9))]
    form = SumForm(UNITS, False)
    found = solutions(model, form, asked, 3, 0.7, 0)
    assert [[s.problem for s in some] for some in found] == [[p] * 3 for p in asked]
    for some in found:
        for sample in some:
            assert UNITS.decode(sample.question) == sample.problem.question
            said = UNITS.decode(sample.written)
            assert sample.is_right == (said == written(sample.problem, False))
    assert any(s.answer is not None for some in found for s in some)
    greedy = solutions(model, form, asked, 1, 0.0, 0)
    assert greedy == solutions(model, form, asked, 1, 0.0, 7)
