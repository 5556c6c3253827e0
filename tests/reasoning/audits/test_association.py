"""Association tests against enumeration, against vectors made by hand, and on real embeddings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import WordUnits
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.models import BERT, GPT, BERTConfig, GPTConfig
from tinygrad_tx.reasoning.audits.association import (
    Association,
    Leaning,
    hidden_means,
    weat,
    word_vectors,
)
from tinygrad_tx.reasoning.audits.audit import bias_audit
from tinygrad_tx.reasoning.audits.standard_checks import embedding_checks

TARGETS = {"x": [f"x{i}" for i in range(6)], "y": [f"y{i}" for i in range(6)]}
ATTRIBUTES = {"a": [f"a{i}" for i in range(6)], "b": [f"b{i}" for i in range(6)]}


def planted(strength: float, seed: int = 0, width: int = 40) -> Any:
    """Vectors of the words above: x leans to a and y to b, as far as asked."""
    rng = np.random.default_rng(seed)
    centre = {"a": rng.normal(size=width), "b": rng.normal(size=width)}
    known: dict[str, np.ndarray[Any, Any]] = {}
    for name in [*TARGETS["x"], *TARGETS["y"], *ATTRIBUTES["a"], *ATTRIBUTES["b"]]:
        own = rng.normal(size=width)
        side = {"x": "a", "y": "b", "a": "a", "b": "b"}[name[0]]
        known[name] = own + (3.0 if name[0] in "ab" else strength) * centre[side]
    return lambda model, texts: np.stack([known[t.split()[-1]] for t in texts])


def by_hand(embed: Any) -> tuple[float, float]:
    """d and its two-sided p, written out word for word as in Caliskan et al. 2017."""
    vector = {w: embed(None, [w])[0] for s in (*TARGETS.values(), *ATTRIBUTES.values()) for w in s}

    def cosine(u: str, v: str) -> float:
        a, b = vector[u], vector[v]
        return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))

    def s(w: str) -> float:
        to_a = [cosine(w, a) for a in ATTRIBUTES["a"]]
        return float(np.mean(to_a) - np.mean([cosine(w, b) for b in ATTRIBUTES["b"]]))

    words = [*TARGETS["x"], *TARGETS["y"]]
    score = {w: s(w) for w in words}
    found = sum(score[w] for w in TARGETS["x"]) - sum(score[w] for w in TARGETS["y"])
    count = as_far = 0
    for chosen in itertools.combinations(words, 6):
        other = sum(score[w] for w in chosen) - sum(score[w] for w in words if w not in chosen)
        count += 1
        as_far += abs(other) >= abs(found) - 1e-12
    return found / 6 / float(np.std(list(score.values()), ddof=1)), as_far / count


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_weat_is_the_paper_s_formula(strength: float) -> None:
    embed = planted(strength)
    effect = bias_audit(None, [Association("w", TARGETS, ATTRIBUTES, embed=embed)])["w: x with a"]
    d, p = by_hand(embed)
    assert effect.value == pytest.approx(d)
    assert effect.p == pytest.approx(p)


def test_a_planted_association_is_found_and_its_sign_follows_the_sides() -> None:
    embed = planted(1.0)
    effect = Association("w", TARGETS, ATTRIBUTES, embed=embed)(None)[0]
    assert effect.value is not None
    assert effect.value > 1.5
    assert effect.figure is not None
    assert 0 < effect.figure.low < effect.figure.high <= 2
    turned = dict(reversed(TARGETS.items()))
    other = Association("w", turned, ATTRIBUTES, embed=embed)(None)[0]
    assert other.value == pytest.approx(-effect.value)


def test_without_an_association_nothing_is_found() -> None:
    ps = [Association("w", TARGETS, ATTRIBUTES, embed=planted(0.0, seed), draws=20)(None)[0].p
          for seed in range(60)]  # fmt: skip
    assert np.mean(np.array(ps) < 0.05) < 0.15
    assert 0.35 < np.mean(np.array(ps, float)) < 0.65


def test_small_sets_have_no_interval() -> None:
    few = {name: words[:3] for name, words in TARGETS.items()}
    effect = Association("w", few, ATTRIBUTES, embed=planted(1.0))(None)[0]
    assert effect.figure is None
    assert "too few" in effect.note


def test_each_template_has_its_own_effect_in_the_spread() -> None:
    strong, none = planted(1.0), planted(0.0)

    def embed(model: Any, texts: Any) -> Any:
        return (strong if texts[0].startswith("strong") else none)(model, texts)

    check = Association("w", TARGETS, ATTRIBUTES, ["strong {word}", "weak {word}"], embed)
    effect = check(None)[0]
    wanted = sorted([by_hand(strong)[0], by_hand(none)[0]])
    assert effect.spread == pytest.approx(tuple(wanted))


def test_leaning_is_a_paired_difference_of_cosines() -> None:
    width = 6
    axis = np.eye(width)
    known = {"he": axis[0], "man": axis[1], "sir": axis[2], "she": axis[3], "woman": axis[4],
             "lady": axis[5], "job": np.array([0.6, 0.0, 0.64, 0.48, 0.0, 0.0])}  # fmt: skip
    check = Leaning("l", ["job"], [("he", "she"), ("man", "woman"), ("sir", "lady")],
                    embed=lambda model, texts: np.stack([known[t] for t in texts]))  # fmt: skip
    effect = check(None)[0]
    differences = [0.6 - 0.48, 0.0, 0.64]
    assert effect.value == pytest.approx(np.mean(differences))
    assert effect.figure is not None
    reach = 4.30265 * np.std(differences, ddof=1) / 3**0.5  # Student's, two degrees of freedom
    assert effect.figure.high - np.mean(differences) == pytest.approx(reach, rel=1e-5)


def test_vectors_of_our_models() -> None:
    units = WordUnits(["red", "green", "blue"])
    gpt = GPT(GPTConfig(units.vocab_size, 8, 1, 1, 8)).eval()
    bert = BERT(BERTConfig(units.vocab_size, 8, 1, 1, 8, dropout=0.0)).eval()
    rows = gpt.embedding.weight.numpy()
    np.testing.assert_allclose(word_vectors(units)(gpt, ["red", "green blue"]),
                               [rows[5], (rows[6] + rows[7]) / 2], rtol=1e-6)  # fmt: skip
    assert word_vectors(units)(bert, ["red"]).shape == (1, 8)
    with tx.no_grad():
        hidden = gpt.hidden(np.array([[6, 7]])).numpy()[0].mean(0)
        state = bert.encoder(np.array([[1, 5, 2]])).numpy()[0, 1]
    np.testing.assert_allclose(hidden_means(units)(gpt, ["green blue"])[0], hidden, rtol=1e-4)
    np.testing.assert_allclose(hidden_means(units)(bert, ["red"])[0], state, rtol=1e-4)


def test_vectors_that_are_not_finite_give_no_number() -> None:
    def broken(model: Any, texts: Any) -> Any:
        return np.full((len(texts), 3), np.nan)

    effects = [
        *Association("w", TARGETS, ATTRIBUTES, embed=broken)(None),
        *Leaning("l", ["job"], [("he", "she")], embed=broken)(None),
    ]
    assert all(e.value is None and "not finite" in e.note for e in effects)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"targets": {"x": ["u"], "y": ["u"]}}, "share none"),
        ({"targets": {"x": ["u"]}}, "two sets"),
        ({"attributes": {"a": [], "b": ["u"]}}, "two sets"),
        ({"templates": ["This is it."]}, "templates without"),
        ({"templates": []}, "no templates"),
    ],
)
def test_sets_that_do_not_fit_are_refused(changes: dict[str, Any], says: str) -> None:
    given = {"label": "w", "targets": TARGETS, "attributes": ATTRIBUTES, **changes}
    with pytest.raises(DataError, match=says):
        Association(**given)


def test_a_model_without_encode_is_told_what_to_give() -> None:
    with pytest.raises(DataError, match="hidden_means"):
        Association("w", TARGETS, ATTRIBUTES)(object())


def test_words_that_are_all_alike_are_refused() -> None:
    with pytest.raises(DataError, match="spread"):
        weat(np.ones((2, 3)), np.ones((2, 3)), np.eye(3)[:1], np.eye(3)[1:2])


@pytest.mark.slow
def test_minilm_finds_flowers_pleasant_and_insects_not() -> None:
    try:
        model = tx.models.from_package("minilm")[0]
    except CheckpointError as error:
        pytest.skip(str(error))
    audit = bias_audit(model, embedding_checks())
    for name in ("words: flowers with pleasant", "in sentences: flowers with pleasant"):
        assert audit[name].is_found()
        assert (audit[name].value or 0) > 0.8
    assert (audit["he or she: nurse"].value or 0) < (audit["he or she: carpenter"].value or 0)
