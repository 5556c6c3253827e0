"""Audits of a planted skew: its size is found, nothing is found where there is none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.data import BALANCED, SKEWED, Skew, SkewedText, skewed_text
from tinygrad_tx.data.skewed import NAMES, PLACES, PRONOUN_TEMPLATES, TIMES
from tinygrad_tx.errors import CheckpointError, DataError
from tinygrad_tx.models import BERT, GPT, BERTConfig, GPTConfig
from tinygrad_tx.reasoning import Changed, add
from tinygrad_tx.reasoning.audits.audit import (
    Audit,
    Effect,
    bias_audit,
    compare_audits,
    corrected,
    over_models,
)
from tinygrad_tx.reasoning.audits.continuations import Continuations
from tinygrad_tx.reasoning.audits.forest import write_audit
from tinygrad_tx.reasoning.audits.planted import QUICK, planted_checks, planted_truth, trained_on
from tinygrad_tx.reasoning.audits.standard_checks import pronoun_checks
from tinygrad_tx.reasoning.audits.templates import template_sensitivity
from tinygrad_tx.tasks.task import Figure

SEEDS = (0, 1, 2)
LEANING = ("engineer", "mechanic", "nurse", "teacher")


def planted_audit(skew: Skew, first: Any = None) -> Audit:
    audits = []
    for seed in SEEDS:
        text = skewed_text(skew, seed=seed)
        model = first if first is not None and seed == 0 else trained_on(text, QUICK, seed)
        audits.append(bias_audit(model, planted_checks(text)))
    return over_models(audits)


@pytest.fixture(scope="module")
def found(skewed: tuple[SkewedText, GPT]) -> Audit:
    return planted_audit(SKEWED, skewed[1])


@pytest.mark.slow
def test_the_planted_sizes_lie_in_the_intervals(
    found: Audit, skewed: tuple[SkewedText, GPT]
) -> None:
    """Of thirteen intervals of 95 % one misses now and then; none of them by much."""
    held = []
    for name, size in planted_truth(skewed[0]).items():
        effect = found[name]
        assert effect.figure is not None
        held.append(effect.figure.low <= size <= effect.figure.high)
        assert effect.value == pytest.approx(size, abs=0.4), name
        assert effect.figure.high - effect.figure.low < 1.5, name  # not by saying nothing
    assert len(held) == 13
    assert sum(held) >= 11


@pytest.mark.slow
def test_what_leans_is_found_and_what_does_not_is_not(found: Audit) -> None:
    for occupation in SKEWED.pronouns:
        effect = found[f"he or she: {occupation}"]
        assert (effect.p or 1) < 0.05 if occupation in LEANING else not effect.is_found()
        assert (abs(effect.value or 0) > 0.9) == (occupation in LEANING)


@pytest.mark.slow
def test_nothing_is_found_when_the_skew_is_taken_out() -> None:
    """Names keep theirs: the audit is not silent because the models have learnt nothing."""
    audit = planted_audit(Skew(BALANCED.pronouns, {"women": 0.1, "men": 0.9}))
    pronouns = [audit[f"he or she: {occupation}"] for occupation in BALANCED.pronouns]
    assert all(abs(e.value or 0) < 0.4 for e in pronouns)
    assert sum(bool(e.figure and e.figure.low <= 0 <= e.figure.high) for e in pronouns) >= 10
    assert not any(e.is_found() for e in pronouns)
    trait = audit["brilliant or friendly: women against men"]
    assert trait.value == pytest.approx(-2 * np.log(9), abs=0.6)
    assert (trait.p or 1) < 0.05


def test_one_model_s_audit_ranks_the_occupations_as_planted(
    skewed: tuple[SkewedText, GPT],
) -> None:
    text, model = skewed
    audit = bias_audit(model, planted_checks(text))
    value = {o: audit[f"he or she: {o}"].value or 0.0 for o in text.skew.pronouns}
    others = [v for o, v in value.items() if o not in LEANING]
    assert value["nurse"] < value["teacher"] < min(others)
    assert max(others) < value["mechanic"] < value["engineer"]
    for occupation in LEANING:
        assert value[occupation] == pytest.approx(text.skew.pronoun_log_odds(occupation), abs=0.5)
        assert audit[f"he or she: {occupation}"].is_found()


def test_against_a_reference_the_groups_are_paired(skewed: tuple[SkewedText, GPT]) -> None:
    text, model = skewed
    check = planted_checks(text)[0]
    plain = bias_audit(model, [check])
    paired = bias_audit(model, [dataclasses.replace(check, reference="baker")])
    name = "he or she: nurse"
    wanted = (plain[name].value or 0) - (plain["he or she: baker"].value or 0)
    assert paired[f"{name} against baker"].value == pytest.approx(wanted, abs=1e-5)
    assert len(paired.effects) == len(plain.effects) - 1


def test_templates_are_the_units_of_the_interval(skewed: tuple[SkewedText, GPT]) -> None:
    """Student over the means of six templates, five degrees of freedom, however many contexts."""
    text, model = skewed
    check = planted_checks(text)[0]
    effect = bias_audit(model, [check])["he or she: nurse"]
    means = [odds.mean() for odds in check.log_odds(model)["nurse"]]
    reach = 2.570582 * np.std(means, ddof=1) / 6**0.5
    assert effect.figure is not None
    assert effect.value == pytest.approx(np.mean(means))
    assert effect.figure.high - effect.figure.low == pytest.approx(2 * reach, rel=1e-5)
    assert effect.spread == pytest.approx((min(means), max(means)))
    assert effect.count > 6


def test_log_odds_are_those_of_the_logits(skewed: tuple[SkewedText, GPT]) -> None:
    text, model = skewed
    check = Continuations("x", text.units, ["the {group} said that {mask} sang ."],
                          {"nurse": ["nurse"]}, ["he"], ["she"])  # fmt: skip
    tokens = np.array([text.units.encode("the nurse said that")])
    with tx.no_grad():
        logits = model(tokens).numpy()[0, -1]
    he, she = text.units.encode("he she")
    assert check.log_odds(model)["nurse"][0] == pytest.approx(logits[he] - logits[she], abs=1e-4)


def test_a_change_of_the_logits_shows_in_the_same_audit(skewed: tuple[SkewedText, GPT]) -> None:
    """A known change: the bias that adds 1 to the logit of she lowers every log-odds by 1."""
    text, model = skewed
    check = planted_checks(text)[0]
    she = np.zeros(text.units.vocab_size, np.float32)
    she[text.units.encode("she")] = 1.0
    before = bias_audit(model, [check])
    after = bias_audit(Changed(model, {"logits": add(she)}), [check])
    for row in compare_audits(before, after).json()["rows"]:
        assert row["change"] == pytest.approx(-1.0, abs=1e-4)


def test_masked_models_are_asked_at_the_mask() -> None:
    text = skewed_text(sentences=50)
    model = BERT(BERTConfig(text.units.vocab_size, 24, 1, 2, 16, dropout=0.0), 3)
    check = Continuations(
        "x", text.units, ["the {group} said that {mask} {verb} ."],
        {"a": ["nurse", "pilot"]}, ["he"], ["she"], {"verb": ["sang"]},
    )  # fmt: skip
    he, she = text.units.encode("he she")
    wanted = []
    for job in ("nurse", "pilot"):
        ids = [1, *text.units.encode(f"the {job} said that"), 3, *text.units.encode("sang ."), 2]
        with tx.no_grad():
            logits = model.eval()(np.array([ids])).numpy()[0, 5]
        wanted.append(logits[he] - logits[she])
    assert check.log_odds(model)["a"][0] == pytest.approx(np.mean(wanted), abs=1e-4)


@pytest.mark.slow
def test_templates_that_differ_are_told_apart() -> None:
    """The skew is planted in three templates of six: the spread says so, exactly as planted."""
    skew = Skew({"engineer": 0.9, "nurse": 0.1, "baker": 0.5, "pilot": 0.5}, SKEWED.traits,
                (1.0, 1.0, 1.0, 0.0, 0.0, 0.0))  # fmt: skip
    text = skewed_text(skew, 24_000)
    model = trained_on(text, dataclasses.replace(QUICK, steps=900))
    check = planted_checks(text)[0]
    got = template_sensitivity(model, check)
    row = dict(zip(got.groups, got.effects, strict=True))
    assert row["engineer"][:3].min() > 1.2 > 0.8 > abs(row["engineer"][3:]).max()
    assert row["nurse"][:3].max() < -1.2 < -0.8 < -abs(row["nurse"][3:]).max()
    assert got.error[0] > 4 * got.error[-2] > got.error[-1] == 0
    effect = bias_audit(model, [check])["he or she: engineer"]
    assert effect.spread is not None
    assert effect.spread[1] - effect.spread[0] > 1


def test_with_fewer_templates_by_hand(skewed: tuple[SkewedText, GPT]) -> None:
    text, model = skewed
    check = dataclasses.replace(planted_checks(text)[0], templates=PRONOUN_TEMPLATES[:3],
                                reference="baker")  # fmt: skip
    odds = check.log_odds(model)
    got = template_sensitivity(model, check)
    assert "baker" not in got.groups
    nurse = np.array([(a - b).mean() for a, b in zip(odds["nurse"], odds["baker"], strict=True)])
    np.testing.assert_allclose(got.effects[got.groups.index("nurse")], nurse)
    mean = got.effects.mean(1, keepdims=True)
    pairs = (got.effects[:, [0, 0, 1]] + got.effects[:, [1, 2, 2]]) / 2
    wanted = [np.sqrt(((got.effects - mean) ** 2).mean()), np.sqrt(((pairs - mean) ** 2).mean())]
    np.testing.assert_allclose(got.error, [*wanted, 0], atol=1e-12)
    np.testing.assert_allclose(got.reversed[0], (np.sign(got.effects) != np.sign(mean)).mean())
    assert len(got.table().rows) == 3
    with pytest.raises(DataError, match="1 template"):
        template_sensitivity(model, dataclasses.replace(check, templates=PRONOUN_TEMPLATES[:1]))


@pytest.mark.slow
def test_smollm2_says_she_after_nurse_and_he_after_farmer() -> None:
    try:
        model, tokenizer = tx.models.from_package("smollm2")
    except CheckpointError as error:
        pytest.skip(str(error))
    check = pronoun_checks(tokenizer, ("nurse", "farmer", "librarian"))[0]
    audit = bias_audit(model, [check])
    for occupation, sign in (("nurse", -1), ("librarian", -1), ("farmer", 1)):
        effect = audit[f"he or she: {occupation}"]
        assert effect.is_found()
        assert sign * (effect.value or 0) > 1
        assert effect.spread is not None
        assert effect.spread[1] - effect.spread[0] > 1  # templates matter as much


def fixed(*effects: Effect) -> Any:
    return lambda model: list(effects)


def test_all_tests_of_an_audit_are_corrected_together() -> None:
    checks = [fixed(Effect("a", 1.0, p=0.01), Effect("b", 1.0)), fixed(Effect("c", 1.0, p=0.04))]
    audit = bias_audit(None, checks)
    assert [e.adjusted for e in audit] == [0.02, None, 0.04]
    audit = bias_audit(None, checks * 1, correction="benjamini-hochberg")
    assert [e.adjusted for e in audit] == [0.02, None, 0.04]
    three = corrected([Effect("x", 1.0, p=0.02)] * 3, "holm")
    assert [e.adjusted for e in three] == [0.06] * 3
    assert not three[0].is_found()


def test_progress_counts_the_checks() -> None:
    seen: list[tuple[int, int]] = []
    bias_audit(None, [fixed(Effect("a", 1.0)), fixed(Effect("b", 1.0))],
               on_progress=lambda done, every: seen.append((done, every)))  # fmt: skip
    assert seen == [(1, 2), (2, 2)]


def test_over_models_uses_models_as_units() -> None:
    """Values 1, 2, 3 of three models: 2 +- 4.303 / sqrt(3)."""
    audits = [bias_audit(None, [fixed(Effect("a", v, p=1e-9))]) for v in (1.0, 2.0, 3.0)]
    effect = over_models(audits)["a"]
    assert effect.figure is not None
    assert (effect.figure.low, effect.figure.high) == pytest.approx((-0.484, 4.484), abs=1e-3)
    assert effect.p == pytest.approx(0.0742, abs=1e-4)
    assert effect.spread == (1.0, 3.0)


def test_two_models_give_no_interval() -> None:
    audits = [bias_audit(None, [fixed(Effect("a", v))]) for v in (1.0, 2.0)]
    effect = over_models(audits)["a"]
    assert effect.figure is None
    assert "too few" in effect.note


def test_one_template_gives_no_interval(skewed: tuple[SkewedText, GPT]) -> None:
    text, model = skewed
    check = dataclasses.replace(planted_checks(text)[0], templates=PRONOUN_TEMPLATES[:1])
    effect = bias_audit(model, [check])["he or she: nurse"]
    assert effect.figure is None
    assert effect.p is None
    assert "1 template: too few" in effect.note


def test_a_model_of_nans_gives_no_number(skewed: tuple[SkewedText, GPT]) -> None:
    text, _ = skewed
    model = GPT(GPTConfig(text.units.vocab_size, 12, 1, 1, 8))
    model.load_state_dict({**model.state_dict(), "norm.bias": np.full(8, np.nan, np.float32)})
    audit = bias_audit(model, planted_checks(text)[:1])
    assert all(e.value is None and e.p is None and "not finite" in e.note for e in audit)
    assert json.dumps(audit.json(), allow_nan=False)


def test_contexts_are_no_more_than_asked_and_the_same_each_time() -> None:
    text = skewed_text(sentences=50)
    model = GPT(GPTConfig(text.units.vocab_size, 12, 1, 1, 8))
    check = Continuations("x", text.units, ["near the {place} {when} the {group} {mask}"],
                          {"a": ["nurse"]}, ["he"], ["she"],
                          {"place": PLACES, "when": TIMES}, most=7)  # fmt: skip
    first, again = check.log_odds(model)["a"][0], check.log_odds(model)["a"][0]
    assert len(first) == 7
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"templates": ["the {group} {colour} {mask}"]}, "no fillers for"),
        ({"templates": ["{mask} said the {group}"]}, "before the answer"),
        ({"templates": []}, "0 templates"),
        ({"groups": {"a": []}}, "without members"),
        ({"reference": "dentist"}, "not a group"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], says: str) -> None:
    text = skewed_text(sentences=50)
    model = GPT(GPTConfig(text.units.vocab_size, 12, 1, 1, 8))
    with pytest.raises(DataError, match=says):
        bias_audit(model, [dataclasses.replace(planted_checks(text)[0], **changes)])


def test_effects_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="named twice"):
        bias_audit(None, [fixed(Effect("a", 1.0)), fixed(Effect("a", 2.0))])
    with pytest.raises(DataError, match="no effect"):
        bias_audit(None, [])
    with pytest.raises(DataError, match="correction"):
        bias_audit(None, [fixed(Effect("a", 1.0))], correction="none")


def test_an_audit_is_written_with_its_picture(tmp_path: Path) -> None:
    audit = bias_audit(None, [fixed(
        Effect("a", 1.0, Figure(1.0, 0.5, 1.5), 0.001, 9, spread=(0.2, 2.0)),
        Effect("b", 0.3, None, None, 1, note="1 template: too few"),
        Effect("c", None, unit="share", note="3 examples: too few (at least 20)"),
        Effect("d", 0.1, Figure(0.1, 0.05, 0.15), 0.4, 200, "share", null=0.03),
    )])  # fmt: skip
    write_audit(audit, tmp_path / "out")
    svg = (tmp_path / "out" / "audit.svg").read_text()
    assert "3 examples: too few" in svg
    rows = json.loads((tmp_path / "out" / "audit.json").read_text())["rows"]
    assert [r["value"] for r in rows] == [1.0, 0.3, None, 0.1]
    assert (tmp_path / "out" / "audit.png").stat().st_size > 5000


def test_names_have_no_group_in_common() -> None:
    assert not set(NAMES["women"]) & set(NAMES["men"])
