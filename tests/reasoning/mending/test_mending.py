"""The table of controls: measured alike before and after, costs with intervals, all taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import CheckpointError, DataError, ShapeError
from tinygrad_tx.reasoning.audits.audit import Effect
from tinygrad_tx.reasoning.mending.edit import Edit, fingerprint
from tinygrad_tx.reasoning.mending.side_effects import SideEffect, right_answers, text_losses

PATH = "blocks.0.feed_forward.down.bias"
TOKENS = np.random.default_rng(0).integers(1, 12, (40, 7))


def model_of() -> Any:
    model = tx.models.GPT(tx.models.GPTConfig(12, 8, 1, 2, 16), seed=3).eval()
    for p in model.parameters():
        p.assign_(p.numpy() * (10 if p.ndim > 1 else 1))
    return model


MODEL = model_of()


def check(model: Any) -> list[Effect]:
    """The logits of four tokens after one text, as if they were effects."""
    logits = model(TOKENS[:1]).numpy()[0, -1]
    return [Effect(f"token {i}", float(logits[i])) for i in range(4)]


def shifted(size: float) -> Any:
    def control(model: Any) -> Edit:
        old = dict(model.named_parameters())[PATH].numpy().copy()
        return Edit(model, {PATH: old}, {PATH: (old + size).astype(old.dtype)}, ("shifted",))

    return control


def loss() -> dict[str, SideEffect]:
    return {"loss": text_losses(TOKENS)}


def test_every_control_is_measured_and_the_model_is_as_it_was() -> None:
    bits = fingerprint(MODEL)
    seen = []
    controls = {
        "nothing": lambda m: reasoning.Changed(m, {}),
        "edit": shifted(3.0),
        "a list": lambda m: [shifted(1.0)(m)],
        "no edits": lambda m: [],
        "zero": lambda m: reasoning.Changed(m, {"logits": reasoning.zero(units=[0, 1])}),
    }
    found = reasoning.mend(
        MODEL, [check], controls, loss(), mended="token [01]", kept="token [23]",
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert fingerprint(MODEL) == bits
    assert seen == [(i, 5) for i in range(1, 6)]
    assert found["nothing"].skew == found.before.skew
    assert found["nothing"].kept == 0
    assert found["nothing"].costs["loss"].change == 0
    assert found["nothing"].harms == ()
    assert found["a list"].changed == 16
    assert found["no edits"].skew == found.before.skew
    assert found["zero"].skew == 0
    assert found["zero"].kept == 0  # logits of the others
    assert found["edit"].changed == 16
    assert found["edit"].notes == ("shifted",)
    with shifted(3.0)(MODEL).applied():
        values = [e.value for e in check(MODEL)]
        losses = loss()["loss"].measure(MODEL)
    assert found["edit"].skew == pytest.approx(np.mean(np.abs(values[:2])))
    assert found["edit"].costs["loss"].after == pytest.approx(losses.mean())
    assert found.best.name == "zero"
    text = found.table().text()
    assert "as it is" in text
    assert "numbers changed" in text
    assert found.compared("zero").rows[0][4] == 0
    assert len(found.costs().rows) == 5
    with pytest.raises(DataError, match="tried"):
        found["none"]


def test_harm_is_what_surely_goes_the_wrong_way() -> None:
    values = np.linspace(0, 1, 40)

    def effect(better: str, is_implied: bool = False) -> SideEffect:
        return SideEffect(
            lambda m: values + (0.0 if m is MODEL else 0.1), better, is_implied=is_implied
        )

    noise = np.random.default_rng(0).normal(0, 1, 40)
    effects = {
        "loss": effect("less"),
        "right": effect("more"),
        "implied": effect("less", True),
        "noise": SideEffect(lambda m: values if m is MODEL else values + noise - noise.mean()),
        "infinite": SideEffect(lambda m: values if m is MODEL else values / 0.0 * 0),
        "few": SideEffect(lambda m: values[:2] + (m is not MODEL)),
    }
    with np.errstate(all="ignore"):
        found = reasoning.mend(
            MODEL, [check], {"other": lambda m: reasoning.Changed(m, {})}, effects
        )
    assert found["other"].harms == ("loss", "infinite")
    assert found["other"].costs["few"].figure is None  # two examples: no interval, no claim
    assert found["other"].costs["loss"].change == pytest.approx(0.1)
    assert found["other"].costs["loss"].figure.low == pytest.approx(0.1)
    assert "loss, infinite" in found.table().text()


def test_the_least_harm_that_is_good_enough_is_found() -> None:
    controls = {
        "zero all": lambda m: reasoning.Changed(m, {"logits": reasoning.zero()}),
        "nothing": lambda m: reasoning.Changed(m, {}),
    }
    found = reasoning.mend(MODEL, [check], controls, loss())
    assert found.least_harm(1e-6).name == "zero all"
    assert found.least_harm(found.before.skew + 1).name in controls
    assert found.least_harm(-1) is None


def test_a_control_that_leaves_its_mark_is_refused() -> None:
    model = model_of()

    def careless(m: Any) -> Any:
        bias = dict(m.named_parameters())[PATH]
        bias.assign_(bias.numpy() + 1)
        return reasoning.Changed(m, {})

    with pytest.raises(CheckpointError, match=r"careless.*down\.bias"):
        reasoning.mend(model, [check], {"careless": careless}, {})


def test_what_fails_while_it_is_measured_leaves_the_model_as_it_was() -> None:
    bits = fingerprint(MODEL)
    calls = []

    def failing(model: Any) -> list[Effect]:
        calls.append(model)
        if len(calls) > 1:
            raise ZeroDivisionError
        return check(model)

    with pytest.raises(ZeroDivisionError):
        reasoning.mend(MODEL, [failing], {"edit": shifted(1.0)}, {})
    assert fingerprint(MODEL) == bits
    twice = {"edits": lambda m: [shifted(1.0)(m), shifted(2.0)(m)]}  # the second does not fit
    with pytest.raises(CheckpointError, match="put in"):
        reasoning.mend(MODEL, [check], twice, {})
    assert fingerprint(MODEL) == bits


def test_losses_and_answers_are_those_of_numpy() -> None:
    padded = TOKENS.copy()
    padded[::3, 4:] = 0
    found = text_losses(padded, padding=0, batch=16).measure(MODEL)
    logits = MODEL(padded[:, :-1]).numpy().astype(np.float64)
    wide = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    each = -np.take_along_axis(wide, padded[:, 1:, None], -1)[..., 0]
    counted = padded[:, 1:] != 0
    np.testing.assert_allclose(found, (each * counted).sum(1) / counted.sum(1), rtol=1e-4)
    prompts = [row[: 2 + i % 4].tolist() for i, row in enumerate(TOKENS)]
    truth = [int(MODEL(np.array([p])).numpy()[0, -1].argmax()) for p in prompts]
    wanted = [t if i % 2 else (t + 1) % 12 for i, t in enumerate(truth)]
    right = right_answers(prompts, wanted, batch=16).measure(MODEL)
    np.testing.assert_array_equal(right, np.arange(40) % 2)


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="names no effect"):
        reasoning.mend(MODEL, [check], {}, {}, mended="pronouns")
    with pytest.raises(DataError, match="better"):
        SideEffect(lambda m: np.zeros(3), "higher")
    with pytest.raises(DataError, match="each example"):
        reasoning.mend(MODEL, [check], {}, {"x": SideEffect(lambda m: np.float64(3))})
    with pytest.raises(ShapeError, match="text"):
        text_losses(np.zeros((0, 4), int))
    with pytest.raises(DataError, match="padding alone"):
        text_losses(np.zeros((2, 4), int), padding=0)
    with pytest.raises(DataError, match="an answer for each"):
        right_answers([[1], [2]], [3])
