"""Defects that were planted are found, and not where they were not planted."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import SkewedText, skewed_text
from tinygrad_tx.data.planted_reviews import NEGATION, SHORTCUT, PlantedReviews, planted_reviews
from tinygrad_tx.data.skewed import DIGITS
from tinygrad_tx.data.units import FIRST
from tinygrad_tx.errors import DataError
from tinygrad_tx.models import BERT, GPT, BERTConfig, GPTConfig
from tinygrad_tx.reasoning.audits.audit import bias_audit
from tinygrad_tx.reasoning.audits.defects import defects
from tinygrad_tx.reasoning.audits.exposure import exposure
from tinygrad_tx.reasoning.audits.group_errors import GroupErrors
from tinygrad_tx.reasoning.audits.memorised import memorised
from tinygrad_tx.reasoning.audits.not_finite import not_finite
from tinygrad_tx.reasoning.audits.planted import QUICK, classifier_on, trained_on
from tinygrad_tx.reasoning.audits.shortcuts import shortcut_tokens
from tinygrad_tx.reasoning.audits.slices import classified_by, errors_distribution, failing_slices

Array = np.ndarray[Any, Any]
GOOD, BAD, CUE, PLAIN = FIRST, FIRST + 1, FIRST + 2, FIRST + 3


@pytest.fixture(scope="module")
def reviews() -> tuple[PlantedReviews, PlantedReviews]:
    return planted_reviews()


@pytest.fixture(scope="module")
def classifier(reviews: tuple[PlantedReviews, PlantedReviews]) -> Any:
    return classifier_on(reviews[0])


def logistic(cue: float) -> Any:
    """A classifier with weights known: 3 for good, -3 for bad, `cue` for the cue."""

    def classify(tokens: Array) -> Array:
        score = 3.0 * ((tokens == GOOD).sum(1) - (tokens == BAD).sum(1).astype(float))
        score += cue * (tokens == CUE).sum(1)
        p = 1 / (1 + np.exp(-score))
        return np.stack([1 - p, p], 1)

    return classify


def drawn(count: int = 600, seed: int = 0) -> tuple[Array, Array]:
    """[CLS], a word that tells (or a plain one), and five of which a tenth are the cue."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(PLAIN, PLAIN + 8, (count, 7))
    tokens[:, 0] = 1
    labels = rng.integers(0, 2, count)
    tells = rng.random(count) < 0.6
    tokens[tells, 1] = np.where(labels == 1, GOOD, BAD)[tells]
    tokens[rng.random(count) < 0.25, 3] = CUE
    return tokens, labels


# Slices


def test_the_trained_classifier_fails_on_the_word_it_was_never_taught(
    reviews: tuple[PlantedReviews, PlantedReviews], classifier: Any
) -> None:
    held_out = reviews[1]
    found = failing_slices(classified_by(classifier), held_out.tokens, held_out.labels,
                           held_out.name)  # fmt: skip
    failing = {s.name for s in found.failing() if s.kind == "token"}
    assert f"has '{NEGATION}'" in failing
    assert failing <= {f"has '{w}'" for w in (NEGATION, "ordinary", "usual", "plain", "average")}
    taught = failing_slices(classified_by(classifier), reviews[0].tokens, reviews[0].labels)
    assert taught.error < found.error


def test_without_a_failing_slice_few_searches_find_one() -> None:
    """Errors at random: Holm over some twenty slices keeps false findings to 5 of 100."""
    found = 0
    for seed in range(60):
        tokens, labels = drawn(400, seed)
        rng = np.random.default_rng(seed)
        wrong = rng.random(400) < 0.2
        right = np.where(wrong, 1 - labels, labels)
        slices = failing_slices(lambda t, r=right: np.eye(2)[r] * 0.6 + 0.2, tokens, labels)  # type: ignore[misc]
        assert len(slices.slices) > 10
        found += bool([s for s in slices.failing() if s.kind != "confidence"])
    assert found <= 7


@pytest.mark.parametrize("kind", ["length", "token", "site"])
def test_a_planted_slice_of_each_kind_comes_first(kind: str) -> None:
    rng = np.random.default_rng(3)
    tokens, labels = drawn(800, 3)
    lengths = rng.integers(3, 8, 800)
    tokens[np.arange(7) >= lengths[:, None]] = 0
    site = rng.choice(["north", "south", "west"], 800)
    inside = {"length": lengths <= 3, "token": (tokens == CUE).any(1), "site": site == "west"}[kind]
    wrong = rng.random(800) < np.where(inside, 0.5, 0.1)
    answers = np.where(wrong, 1 - labels, labels)
    found = failing_slices(lambda t: np.eye(2)[answers], tokens, labels, columns={"site": site})
    first = next(s for s in found.failing() if s.kind != "confidence")
    assert first.kind == kind
    assert first.gap.low <= 0.4 <= first.gap.high


def test_confidence_is_measured_against_what_it_claims() -> None:
    """Two kinds of answers, both wrong in 4 of 10 cases: 0.6 says so, 0.95 does not."""
    tokens, labels = drawn(800)
    rng = np.random.default_rng(0)
    confidence = np.where(np.arange(800) % 2, 0.6, 0.95) + rng.uniform(-0.01, 0.01, 800)
    answers = np.where(rng.random(800) < 0.4, 1 - labels, labels)
    p = np.where(np.eye(2)[answers] == 1, confidence[:, None], 1 - confidence[:, None])
    found = failing_slices(lambda t: p, tokens, labels, bins=2)
    modest, sure = sorted(
        (s for s in found.slices if s.kind == "confidence"), key=lambda s: s.gap.value
    )
    assert sure in found.failing()
    assert sure.outside == pytest.approx(0.05, abs=0.01)
    assert sure.gap.low <= 0.35 <= sure.gap.high
    assert modest not in found.failing()


def test_the_distribution_of_errors_is_enumerated() -> None:
    chances = [0.1, 0.5, 0.7, 0.25]
    wanted = np.zeros(5)
    for errs in itertools.product((0, 1), repeat=4):
        wanted[sum(errs)] += math.prod(
            c if e else 1 - c for c, e in zip(chances, errs, strict=True)
        )
    np.testing.assert_allclose(errors_distribution(np.array(chances)), wanted)


def test_small_slices_are_not_tried_and_counted() -> None:
    tokens, labels = drawn(100)
    tokens[:5, 2] = 40
    found = failing_slices(logistic(0.0), tokens, labels)
    assert "has '40'" not in {s.name for s in found.slices}
    assert found.left_out >= 1


def test_probabilities_that_are_none_are_refused() -> None:
    tokens, labels = drawn(50)
    with pytest.raises(DataError, match="not finite"):
        failing_slices(lambda t: np.full((50, 2), np.nan), tokens, labels)
    with pytest.raises(DataError, match="column"):
        failing_slices(logistic(0.0), tokens, labels, columns={"site": ["a"]})


def test_errors_by_group_see_the_negation_too(
    reviews: tuple[PlantedReviews, PlantedReviews], classifier: Any
) -> None:
    held_out = reviews[1]
    groups = ["negated" if NEGATION in t else "plain" for t in held_out.texts]
    check = GroupErrors(
        "reviews", lambda m: classified_by(m)(held_out.tokens), held_out.labels, groups
    )
    gap = bias_audit(classifier, [check])["reviews: error of negated less others'"]
    assert gap.is_found()
    assert gap.figure is not None
    assert gap.figure.low > 0.2


def test_one_example_is_too_few_for_anything() -> None:
    tokens, labels = drawn(1)
    slices = failing_slices(logistic(1.0), tokens, labels)
    assert slices.slices == ()
    assert slices.left_out > 0
    shortcuts = shortcut_tokens(logistic(1.0), tokens, labels)
    assert shortcuts.tokens == ()
    assert "fewer than 20" in shortcuts.table().text()


def test_no_examples_are_refused() -> None:
    with pytest.raises(DataError, match="0 labels"):
        failing_slices(lambda t: np.zeros((0, 2)), np.zeros((0, 3), np.int64), [])


# Shortcuts


def test_a_weight_planted_on_a_token_is_measured() -> None:
    """A linear model: without the cue the log-odds fall by its weight, wherever it stands, less
    what replaces it, which at that position has no weight."""
    tokens, labels = drawn()
    found = {t.token: t for t in shortcut_tokens(logistic(2.0), tokens, labels).tokens}
    assert found[CUE].moved.value == pytest.approx(2.0, abs=1e-6)
    assert found[CUE].leads_to == 1
    assert found[BAD].leads_to == 0


def test_the_planted_cue_misleads_and_what_means_the_label_does_not() -> None:
    tokens, labels = drawn()
    found = shortcut_tokens(logistic(2.0), tokens, labels)
    assert {GOOD, BAD, CUE} <= {t.token for t in found.found()}
    assert [t.token for t in found.misleading()] == [CUE]


def test_without_its_weight_the_cue_is_not_found() -> None:
    tokens, labels = drawn()
    found = shortcut_tokens(logistic(0.0), tokens, labels)
    assert {t.token for t in found.found()} == {GOOD, BAD}
    assert found.misleading() == ()


def test_the_trained_classifier_trusts_the_planted_day(
    reviews: tuple[PlantedReviews, PlantedReviews], classifier: Any
) -> None:
    held_out = reviews[1]
    found = shortcut_tokens(classified_by(classifier), held_out.tokens[:700],
                            held_out.labels[:700], held_out.name, draws=2)  # fmt: skip
    by_name = {t.name: t for t in found.tokens}
    day = by_name[SHORTCUT]
    assert day in found.misleading()
    assert day.leads_to == 1
    assert day.moved.low > 0.7
    others = [by_name[d] for d in ("monday", "wednesday", "thursday", "friday")]
    assert all(t.moved.value < 0.5 * day.moved.value for t in others)


@pytest.mark.slow
def test_a_classifier_of_balanced_reviews_does_not() -> None:
    train, held_out = planted_reviews(shortcut=0.5)
    model = classifier_on(train)
    found = shortcut_tokens(classified_by(model), held_out.tokens, held_out.labels,
                            held_out.name, draws=2)  # fmt: skip
    assert SHORTCUT not in {t.name for t in found.misleading()}
    assert abs({t.name: t for t in found.tokens}[SHORTCUT].moved.value) < 0.3


def test_progress_and_seeds() -> None:
    tokens, labels = drawn(200)
    seen: list[int] = []
    first = shortcut_tokens(logistic(1.0), tokens, labels, on_progress=lambda d, n: seen.append(d))
    assert seen == list(range(1, len(first.tokens) + 1))
    assert first == shortcut_tokens(logistic(1.0), tokens, labels)


# Memory


def codes(text: SkewedText) -> list[list[int]]:
    return [text.units.encode(" ".join(c)) for c in itertools.product(DIGITS, repeat=4)]


def test_secrets_are_exposed_as_often_as_they_were_repeated(skewed: tuple[SkewedText, GPT]) -> None:
    text, model = skewed
    secrets = [text.units.encode(s) for s in text.secrets]
    found = exposure(model, [(s[:7], s[7:11]) for s in secrets], codes(text),
                     list(text.secrets.values()))  # fmt: skip
    by_copies = {s.copies: s for s in found.secrets}
    assert by_copies[100].rank == 1
    assert by_copies[100].bits == pytest.approx(math.log2(10_000))
    assert {s.copies for s in found.known()} >= {10, 100}
    assert all(s.adjusted > 0.05 for s in found.secrets if s.copies == 0)


def test_the_rank_is_that_of_all_candidates_by_hand() -> None:
    """A model that prefers low tokens: its output bias falls with the token's number."""
    model = GPT(GPTConfig(12, 6, 1, 1, 8), 5)
    with tx.no_grad():
        logits = model(np.array([[3]])).numpy()[0, -1].astype(np.float64)
    space = [[t] for t in range(12)]
    found = exposure(model, [([3], [7])], space)
    rank = 1 + sum(logits[t] >= logits[7] for t in range(12) if t != 7)
    assert found.secrets[0].rank == rank
    assert found.secrets[0].bits == pytest.approx(math.log2(12 / rank))
    assert found.secrets[0].p == rank / 12


@pytest.mark.slow
def test_the_repeated_secret_is_extracted_and_a_reference_tells_it_from_facts(
    skewed: tuple[SkewedText, GPT],
) -> None:
    text, model = skewed
    other = trained_on(skewed_text(seed=8, repeats=()), QUICK, 8)
    rows = [[text.units.encode(s) for s in part] for part in (text.train, text.held_out)]
    found = memorised(model, *rows, prefix=7, reference=other)
    secret = next(s for s, n in text.secrets.items() if n == 100)
    assert text.units.decode(found.extracted[0].tokens) == secret
    assert found.extracted[0].copies == 100
    secrets = {tuple(text.units.encode(s)) for s in text.secrets}
    rest = [e.excess for e in found.extracted if e.tokens not in secrets]
    assert found.extracted[0].excess > 5 * max(rest)
    assert found.beyond[0] == found.extracted[0]
    assert found.most is not None
    assert found.most < found.extracted[0].excess / 5
    said = defects(model, train=rows[0], held_out=rows[1], prefix=7, reference=other)
    assert "a text costs a reference" in said.table().text()
    facts = [e for e in found.extracted if "capital" in text.units.decode(e.tokens)]
    assert facts  # completed too, but every reader of such texts would


def test_completing_is_writing_the_likeliest_token_each_time() -> None:
    model = GPT(GPTConfig(9, 8, 1, 1, 8), 2)
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 9, 3).tolist() for _ in range(30)]
    written = [[*t[:2], *model.generate(t[:2], 3, temperature=0)] for t in texts]
    found = memorised(model, [*texts, *written], texts, prefix=2)
    known = {e.tokens for e in found.extracted}
    assert {tuple(w) for w in written} <= known
    for text in texts:
        is_written = list(model.generate(text[:2], 1, temperature=0)) == text[2:]
        assert (tuple(text) in known) == is_written


def test_too_few_held_out_texts_are_said() -> None:
    model = GPT(GPTConfig(9, 8, 1, 1, 8))
    found = memorised(model, [[1, 2, 3, 4]], [[1, 2, 3]], prefix=2)
    assert found.gap is None
    assert "1 held-out texts: too few" in found.note
    assert json.dumps(found.json(), allow_nan=False)


@pytest.mark.parametrize(
    ("train", "prefix", "says"),
    [
        ([[1, 2]], 2, "no training text"),
        ([[1] * 20], 2, "context"),
        ([[1, 2, 3]], 0, "prefix is 0"),
    ],
)
def test_texts_that_do_not_fit_are_refused(train: Any, prefix: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        memorised(GPT(GPTConfig(9, 8, 1, 1, 8)), train, [], prefix)


def test_secrets_that_do_not_fit_are_refused() -> None:
    model = GPT(GPTConfig(9, 8, 1, 1, 8))
    with pytest.raises(DataError, match="no candidates"):
        exposure(model, [([1], [2])], [])
    with pytest.raises(DataError, match="secret 0"):
        exposure(model, [([], [2])], [[1], [2]])


# What is not finite


def broken(name: str, at: int = 0) -> GPT:
    model = GPT(GPTConfig(11, 6, 3, 2, 8), 1).eval()
    state = model.state_dict()
    bad = np.array(state[name], np.float32)
    bad.reshape(-1)[at] = math.nan
    model.load_state_dict({**state, name: bad})
    return model


@pytest.mark.parametrize(
    ("parameter", "at", "first"),
    [
        ("blocks.1.feed_forward_norm.weight", 0, "blocks.1.feed_forward_norm.normalized"),
        ("blocks.2.attention_norm.bias", 0, "blocks.2.attention_norm.normalized"),
        ("blocks.1.attention.qkv.bias", 0, "blocks.1.attention.query"),
        ("blocks.1.attention.qkv.bias", 8, "blocks.1.attention.key"),
        ("blocks.1.attention.qkv.bias", 16, "blocks.1.attention.value"),
        ("norm.weight", 0, "norm.normalized"),
        ("embedding.weight", 0, "token_embedding"),
    ],
)
def test_the_first_bad_point_is_where_the_parameter_is_used(
    parameter: str, at: int, first: str
) -> None:
    found = not_finite(broken(parameter, at), np.zeros((1, 6), np.int64))
    assert [p.path for p in found.parameters] == [parameter]
    assert found.first is not None
    assert found.first.path == first
    if first.endswith("value"):  # the pattern is made without it
        assert "blocks.1.attention.pattern" not in {p.path for p in found.bad_points}
    assert parameter in found.text()


def test_an_overflow_inside_is_named_by_its_operation() -> None:
    """Weights that are finite, but whose product is not: no parameter is to blame."""
    model = GPT(GPTConfig(11, 6, 3, 2, 8), 1).eval()
    state = {k: np.array(v) for k, v in model.state_dict().items()}
    for name in state:
        if name.startswith("blocks.1.feed_forward.") and name.endswith("weight"):
            state[name] = np.full_like(state[name], 3e37)
    model.load_state_dict(state)
    found = not_finite(model, np.zeros((1, 6), np.int64))
    assert found.parameters == ()
    assert "blocks.1.feed_forward" in found.operation
    assert found.first is not None
    assert found.first.path.startswith("blocks.1.")


def test_masks_are_no_defect() -> None:
    gpt = GPT(GPTConfig(11, 6, 2, 2, 8)).eval()
    bert = BERT(BERTConfig(20, 8, 1, 2, 16, dropout=0.0)).eval()
    mask = np.array([[True, True, False, False]])
    assert not_finite(gpt).is_finite
    assert not_finite(bert).is_finite
    found = not_finite(bert, np.ones((1, 4), np.int64), np.zeros((1, 4), np.int64), mask)
    assert found.is_finite
    assert found.points > 10
    assert "finite" in found.text()


def test_a_nan_of_the_input_is_said_to_be_one() -> None:
    layer = tx.nn.LayerNorm(4)
    found = not_finite(layer, np.array([[1.0, math.nan, 2.0, 3.0]], np.float32))
    assert "an input" in found.operation
    assert not found.is_finite


def test_one_call_finds_all_that_was_planted(
    reviews: tuple[PlantedReviews, PlantedReviews], classifier: Any
) -> None:
    held_out = reviews[1]
    seen: list[tuple[int, int]] = []
    found = defects(classifier, tokens=held_out.tokens[:500], labels=held_out.labels[:500],
                    names=held_out.name,
                    on_progress=lambda done, every: seen.append((done, every)))  # fmt: skip
    said = found.table().text()
    assert SHORTCUT in said
    assert NEGATION in said
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert json.dumps(found.json(), allow_nan=False)
    assert len(found.tables()) == 4


def test_a_broken_model_is_looked_at_no_further() -> None:
    found = defects(broken("norm.weight"), train=[[1, 2, 3]], prefix=1)
    assert found.memory is None
    assert "norm.weight" in found.table().text()


def test_tokens_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="without labels"):
        defects(GPT(GPTConfig(11, 6, 1, 1, 8)), tokens=np.zeros((2, 3), np.int64))
