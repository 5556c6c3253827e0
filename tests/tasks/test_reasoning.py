"""Votes, the verifier and what each adds, on samples whose rightness is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tasks import TaskConfig
from tinygrad_tx.tasks.reasoning import (
    ANY,
    GREEDY,
    LIKELIEST,
    SINGLE,
    VERIFIED,
    VOTE,
    WEIGHED,
    Answers,
    majority,
    rows_of,
    ways,
)
from tinygrad_tx.tasks.verifier import (
    Sample,
    Verifier,
    confidence,
    different,
    framed,
    likelihood,
    solutions,
    trained_verifier,
)
from tinygrad_tx.tensor import tensor

VOCAB, CONTEXT = 9, 12


@dataclass(frozen=True)
class Asked:
    """A problem whose answer is a token."""

    number: int
    answer: int


def sample(problem: Asked, answer: int | None, *more: int) -> Sample:
    written = (*more, *(() if answer is None else (answer,)))
    return Sample(problem, (problem.number % 4, 7), written, answer)


def verifier_of(seed: int = 0) -> Verifier:
    return Verifier(GPT(GPTConfig(VOCAB, CONTEXT, 1, 2, 16), seed), seed)


def test_votes_go_to_the_commonest_answer_and_unfinished_ones_have_none() -> None:
    assert majority(["1", "2", "2", None, None, None], [1] * 6) == "2"
    assert majority(["3", "1", "1", "3"], [1] * 4) == "3"
    assert majority([None, None], [1, 1]) is None


def test_weights_of_votes_add_up_for_each_answer() -> None:
    assert majority(["1", "2", "2", "3"], [0.5, 0.3, 0.3, 0.55]) == "2"
    assert majority(["1", "2", "2", "3"], [0.7, 0.3, 0.3, 0.65]) == "1"


def test_a_verifier_says_of_each_token_what_it_says_of_the_text_up_to_there() -> None:
    verifier = verifier_of(3)
    tokens = np.random.default_rng(0).integers(0, VOCAB, (3, CONTEXT))
    found = verifier(tensor(tokens)).numpy()
    for place in (1, 5, CONTEXT - 1):
        alone = verifier(tensor(tokens[:, : place + 1])).numpy()
        np.testing.assert_allclose(found[:, place], alone[:, -1], atol=1e-5)


def texts_of(*lengths: int) -> list[Sample]:
    rng = np.random.default_rng(0)
    return [Sample(Asked(0, 5), (3, 7), tuple(rng.integers(0, VOCAB, n)), 5) for n in lengths]


def test_likelihood_is_the_product_over_what_is_written_and_not_over_the_question() -> None:
    model, some = verifier_of(2).reader, texts_of(1, 4, 7)
    for one, found in zip(some, likelihood(model, some), strict=True):
        whole = [*one.question, *one.written]
        logits = model(np.array([whole])).numpy()[0].astype(np.float64)
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        truth = sum(np.log(chances[i - 1, whole[i]]) for i in range(2, len(whole)))
        assert found == pytest.approx(truth, abs=1e-5)


def test_a_verifier_starts_as_the_model_s_own_doubt_of_each_token() -> None:
    verifier = verifier_of(2)
    for p in verifier.head.parameters():
        p.assign_(np.zeros(p.shape, np.float32))
    (one,) = texts_of(5)
    whole = [*one.question, *one.written]
    logits = verifier(tensor(np.array([whole]))).numpy()[0]
    for i in range(2, len(whole)):
        so_far = Sample(one.problem, tuple(whole[:i]), (whole[i],), None)
        own = float(likelihood(verifier.reader, [so_far])[0])
        assert logits[i] == pytest.approx([-own, 0], abs=1e-5)


def test_confidence_is_the_product_over_the_written_tokens() -> None:
    verifier, some = verifier_of(), texts_of(1, 4, 7)
    for one, found in zip(some, confidence(verifier, some), strict=True):
        whole = np.array([[*one.question, *one.written]])
        logits = verifier(tensor(whole)).numpy()[0].astype(np.float64)
        chances = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
        assert found == pytest.approx(chances[len(one.question) :].prod(), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8))
def test_a_verifier_learns_from_right_tokens_and_the_first_wrong_one(
    cases: list[tuple[int, int]],
) -> None:
    some = [Sample(Asked(0, 5), (3, 7), (5,) * n, 5, min(n, k)) for n, k in cases]
    tokens, labels = framed(some, CONTEXT)
    for row, asked, one in zip(tokens, labels, some, strict=True):
        size, right = len(one.written), one.agrees
        assert row.tolist() == [3, 7] + [5] * size + [0] * (CONTEXT - 2 - size)
        wrong = [0] if right < size else []
        shown = [-100, -100] + [1] * right + wrong
        assert asked.tolist() == shown + [-100] * (CONTEXT - len(shown))


def test_each_text_is_learnt_once() -> None:
    problem = Asked(0, 5)
    some = [sample(problem, 5), sample(problem, 5), sample(problem, 4, 1), sample(Asked(1, 2), 5)]
    assert sorted(s.written for s in different(some, 0)) == [(1, 4), (5,), (5,)]


class Copies:
    """Questions have two tokens; written is the first of these again, the answer and the end."""

    end = 0

    def question(self, problem: Asked) -> list[int]:
        return [1 + problem.number % 8, 7]

    def written(self, problem: Asked) -> list[int]:
        return [1 + problem.number % 8, problem.answer, self.end]

    def answer(self, written: Sequence[int]) -> int | None:
        return written[-2] if len(written) == 3 else None


def test_samples_know_how_far_they_are_right() -> None:
    """A model at random writes all sorts of texts."""
    model = GPT(GPTConfig(VOCAB, CONTEXT, 1, 2, 16), 0)
    problems = [Asked(i, 1 + i % 3) for i in range(40)]
    form = Copies()
    found = [s for some in solutions(model, form, problems, 8, 1.0, 0) for s in some]
    for one in found:
        truth = form.written(one.problem)
        assert list(one.written[: one.agrees]) == truth[: one.agrees]
        assert (
            one.agrees == min(len(one.written), 3) or one.written[one.agrees] != truth[one.agrees]
        )
        assert one.is_right == (one.answer == one.problem.answer)
    assert {s.agrees for s in found} >= {0, 1, 2}


def test_a_trained_verifier_tells_right_texts_from_wrong_ones_of_one_problem(
    tmp_path: Path,
) -> None:
    """Tokens 1 to 3 are right and 4 to 6 are not, wherever they stand."""
    rng = np.random.default_rng(0)
    some = []
    for i in range(400):
        said = [int(t) for t in rng.integers(1, 7, 2)]
        agrees = 0 if said[0] > 3 else 1 if said[1] > 3 else 3
        some.append(Sample(Asked(i, 1), (i % 4, 7), (*said, 0), said[1], agrees))
    verifier = verifier_of()
    trained_verifier(TaskConfig(tmp_path), "judge", verifier, some, 150, 16)
    pairs = [(a, b) for a in range(1, 7) for b in range(1, 7)]
    texts = [Sample(Asked(0, 1), (2, 7), (a, b, 0), b) for a, b in pairs]
    found = confidence(verifier, texts)
    right = np.array([max(pair) <= 3 for pair in pairs])
    assert found[right].min() > found[~right].max()


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=3,
                                              max_size=3)), min_size=1, max_size=6,
    )
)  # fmt: skip
def test_each_way_is_right_where_its_choice_is(cases: list[tuple[int, list[int | None]]]) -> None:
    problems = [Asked(i, truth) for i, (truth, _) in enumerate(cases)]
    sampled = [[sample(p, a) for a in said] for p, (_, said) in zip(problems, cases, strict=True)]
    greedy = [[sample(p, said[1])] for p, (_, said) in zip(problems, cases, strict=True)]
    verifier = verifier_of()
    found = ways(greedy, sampled, verifier.reader, verifier)
    assert {len(v) for v in found.values()} == {len(cases)}
    for i, (truth, said) in enumerate(cases):
        right = [a == truth for a in said]
        scores = confidence(verifier, sampled[i])
        counts = {a: said.count(a) for a in said if a is not None}
        assert found[GREEDY][i] == right[1]
        assert found[SINGLE][i] == pytest.approx(np.mean(right))
        assert found[ANY][i] == any(right)
        own = likelihood(verifier.reader, sampled[i])
        assert found[VERIFIED][i] == right[int(scores.argmax())]
        assert found[LIKELIEST][i] == right[int(own.argmax())]
        assert not found[VOTE][i] or counts[truth] == max(counts.values())
        assert found[VOTE][i] or not right[0] or counts[truth] < 2
        assert found[WEIGHED][i] <= found[ANY][i]


def test_rows_say_what_each_way_adds_on_the_counted_problems_alone() -> None:
    right = {GREEDY: np.array([1.0, 0, 0, 1]), SINGLE: np.array([0.5, 0, 0, 0]),
             VOTE: np.array([1.0, 1, 0, 0])}  # fmt: skip
    one = Answers("m", right, dict.fromkeys(right, 7), dict.fromkeys(right, 1.0), "")
    counted = np.array([True, True, True, False])
    rows = rows_of([one], lambda r: (("last", f"{r[~counted].mean():.0f}"),), counted)
    assert [r.method for r in rows] == ["m, greedy", "m, one sample", "m, vote"]
    assert [r.score.value for r in rows] == pytest.approx([1 / 3, 1 / 6, 2 / 3])
    more = [dict(r.more) for r in rows]
    assert [m["last"] for m in more] == ["1", "0", "0"]
    assert [m["added to greedy"].split(" (")[0] for m in more] == ["", "-16.7 %", "+33.3 %"]
    assert [m["added to one sample"].split(" (")[0] for m in more] == ["+16.7 %", "", "+50.0 %"]
