"""On a planted model the right explanation wins, and one that ignores the weights is found out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.errors import DataError, NonFiniteError, PointError, ShapeError
from tinygrad_tx.reasoning.trust.faithfulness import AOPC
from tinygrad_tx.reasoning.trust.randomised import cascade

RNG = np.random.default_rng(0)
VOCAB, TIME = 30, 12
TOKENS = RNG.integers(1, VOCAB, (40, TIME))


class Planted(tx.nn.Module):
    """logits = (0, Σ effect of each word): which words matter is known, word 0 does nothing."""

    def __init__(self, effect: Any) -> None:
        super().__init__()
        self.embedding = tx.nn.Embedding(len(effect), 1, np.random.default_rng(0))
        self.embedding.weight.assign_(np.asarray(effect, np.float32)[:, None])

    def forward(self, tokens: Any) -> Any:
        total = self.embedding(tokens).sum(axis=1)
        return tx.concat([total * 0, total], axis=1)


def planted() -> Planted:
    effect = RNG.normal(size=VOCAB) * 0.7
    effect[0] = 0
    return Planted(effect)


def occlusion(model: Any, tokens: Any, target: Any) -> Any:
    """What the target's logit, less the others' mean, loses when a token is replaced by 0."""
    rows = np.arange(len(tokens))

    def margin(texts: Any) -> Any:
        logits = model(texts).numpy()
        logits = logits[:, -1] if logits.ndim == 3 else logits
        return logits[rows, target] - logits.mean(-1)

    found = np.zeros(tokens.shape)
    for i in range(tokens.shape[1]):
        without = tokens.copy()
        without[:, i] = 0
        found[:, i] = margin(tokens) - margin(without)
    return found


def gradient_times_input(model: Any, tokens: Any, target: Any) -> Any:
    path = "token_embedding"
    seen = reasoning.capture(model, tokens, path)
    logits = seen.output[:, -1] if seen.output.ndim == 3 else seen.output
    chosen = (logits * np.eye(logits.shape[-1], dtype=np.float32)[target]).sum()
    return (reasoning.gradients(chosen, seen)[path] * seen[path]).sum(axis=-1)


def edge_detector(model: Any, tokens: Any, target: Any) -> Any:
    """How unlike its neighbour a token is: a plausible map that never asks the model."""
    return np.abs(np.diff(tokens, axis=1, prepend=0)) + np.arange(tokens.shape[1]) / 100


METHODS: dict[str, Any] = {
    "occlusion": occlusion,
    "edge detector": edge_detector,
    "reversed": lambda *a: -occlusion(*a),
}


def test_the_right_method_is_trusted_and_the_others_are_not() -> None:
    told: list[tuple[int, int]] = []
    found = reasoning.faithfulness(
        planted(), TOKENS, METHODS, replacement=0, on_progress=lambda *a: told.append(a)
    )
    assert found["occlusion"].trust == "which tokens are needed and which are enough"
    assert found["edge detector"].trust.startswith("nothing: it hardly depends on the weights")
    assert found["reversed"].trust == "nothing shown: no better than a random order"
    assert found["reversed"].deleted.high < 0
    assert found["occlusion"].comprehensiveness.value > found["edge detector"].sufficiency.low
    assert told == [(i + 1, 16) for i in range(16)]
    assert "trust it for" in str(found.table())
    assert len(found.picture().get_axes()) == 3


def test_the_area_of_the_true_order_is_the_least_of_all_orders() -> None:
    """Exact enumeration: no order of four tokens has a smaller deletion area, or a larger one of
    insertion, than falling effects have."""
    model, tokens = planted(), TOKENS[:12, :4]
    orders = {str(o): o for o in itertools.permutations(range(4))}
    methods: dict[str, Any] = {
        name: lambda m, t, y, o=o: np.broadcast_to(np.array(o), t.shape)
        for name, o in orders.items()
    }
    methods["true"] = occlusion
    found = reasoning.faithfulness(
        model, tokens, methods, replacement=0, sanity=False, orders=1, steps=4
    )
    others = [m for m in found.methods if m.name != "true"]
    assert found["true"].deletion.value < min(m.deletion.value for m in others)
    assert found["true"].insertion.value > max(m.insertion.value for m in others)


def test_curves_and_erasure_are_those_of_loops() -> None:
    model, target = planted(), np.ones(40, int)
    found = reasoning.faithfulness(
        model, TOKENS, {"m": occlusion}, replacement=0, targets=target, sanity=False, orders=1,
        steps=4,
    )["m"]  # fmt: skip
    effect = model.embedding.weight.numpy()[:, 0].astype(float)
    p = lambda texts: 1 / (1 + np.exp(-effect[texts].sum(-1)))  # noqa: E731
    order = np.argsort(-occlusion(model, TOKENS, target), 1, kind="stable")

    def kept(count: int, alone: bool) -> Any:
        texts = np.zeros_like(TOKENS) if alone else TOKENS.copy()
        for row, places in enumerate(order):
            for i in places[:count]:
                texts[row, i] = TOKENS[row, i] if alone else 0
        return p(texts)

    counts = [0, 3, 6, 9, 12]
    without = np.array([kept(c, alone=False) for c in counts])
    alone = np.array([kept(c, alone=True) for c in counts])
    np.testing.assert_allclose(found.deletion_curve, without.mean(1), atol=1e-6)
    np.testing.assert_allclose(found.insertion_curve, alone.mean(1), atol=1e-6)
    area = ((without[1:] + without[:-1]) / 2).mean(0)
    assert found.deletion.value == pytest.approx(area.mean(), abs=1e-6)
    few = [max(1, round(share * 12)) for share in AOPC]
    lost = np.mean([p(TOKENS) - kept(c, alone=False) for c in few])
    short = np.mean([p(TOKENS) - kept(c, alone=True) for c in few])
    assert found.comprehensiveness.value == pytest.approx(lost, abs=1e-6)
    assert found.sufficiency.value == pytest.approx(short, abs=1e-6)


def test_the_model_has_its_weights_back_even_after_an_error() -> None:
    model, calls = planted(), [0]
    before = model.embedding.weight.numpy().tobytes()
    reasoning.faithfulness(model, TOKENS, METHODS, replacement=0, orders=1)
    assert model.embedding.weight.numpy().tobytes() == before

    def breaks(model: Any, tokens: Any, target: Any) -> Any:
        calls[0] += 1
        if calls[0] > 1:
            raise RuntimeError("broken")
        return tokens

    with pytest.raises(RuntimeError, match="broken"):
        reasoning.faithfulness(model, TOKENS, {"b": breaks}, replacement=0, orders=1)
    assert model.embedding.weight.numpy().tobytes() == before


def test_weights_become_random_from_the_output_down_and_keep_their_elements() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 2, 2, 8)).eval()
    kept, seen = model.state_dict(), []

    def scores() -> Any:
        seen.append(model.state_dict())
        return np.arange(6.0).reshape(2, 3)

    found = cascade(model, scores, scores(), np.ones((2, 3), bool))
    assert found.stages == ("as trained", "norm", "blocks.1", "blocks.0", "position", "embedding")
    assert [f.value for f in found.correlations] == [1.0] * 6
    assert found.is_insensitive
    moved = [{k for k in kept if (s[k] != kept[k]).any()} for s in seen]
    assert moved[0] == set() == moved[1]  # Norms start with equal elements.
    assert all(k.startswith("blocks.1") for k in moved[2])
    assert {k.split(".")[0] for k in moved[-1]} == {"blocks", "position", "embedding"}
    for name, value in seen[-1].items():
        np.testing.assert_array_equal(np.sort(value.ravel()), np.sort(kept[name].ravel()))
    with pytest.raises(PointError, match="nowhere"):
        cascade(model, scores, scores(), np.ones((2, 3), bool), [["nowhere"]])


def test_attributions_of_a_transformer_depend_on_its_weights() -> None:
    """On a model whose weights are large, so that its answers depend on its tokens."""
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, TIME, 1, 2, 16)).eval()
    for p in model.parameters():
        p.assign_(p.numpy() + RNG.normal(0, 0.3, p.shape).astype(np.float32))
    methods: dict[str, Any] = {"gradient": gradient_times_input, "occlusion": occlusion}
    found = reasoning.faithfulness(
        model, TOKENS[:16], methods, replacement=0, orders=4, eligible=np.arange(TIME) < TIME - 1
    )
    for method in found.methods:
        assert method.cascade is not None
        assert method.cascade.is_sensitive
    assert found["occlusion"].deleted.value > 0


def test_few_examples_give_no_verdict() -> None:
    found = reasoning.faithfulness(
        planted(), TOKENS[:1], {"m": occlusion}, replacement=0, orders=2, sanity=False
    )
    assert found["m"].trust == "not known: too few examples"
    assert "too few examples" in str(found.table())


def test_a_text_of_one_token_is_taken() -> None:
    found = reasoning.faithfulness(
        planted(), TOKENS[:12, :1], {"m": occlusion}, replacement=0, orders=2
    )
    assert found["m"].deleted.value == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"methods": {"m": lambda m, t, y: t[:, 1:]}}, ShapeError, ("'m'", "(40, 11)")),
        ({"methods": {"m": lambda m, t, y: t * np.nan}}, NonFiniteError, ("'m'", "[0, 0]")),
        ({"methods": {}}, ValueError, ("no methods",)),
        ({"tokens": np.zeros(3, int)}, ShapeError, ("(3,)",)),
        ({"eligible": np.zeros(TIME, bool)}, DataError, ("example 0",)),
    ],
)
def test_bad_input_says_so(change: Any, error: Any, words: Any) -> None:
    given: dict[str, Any] = {"tokens": TOKENS, "methods": {"m": occlusion}, **change}
    with pytest.raises(error) as caught:
        reasoning.faithfulness(planted(), replacement=0, **given)
    assert all(word in str(caught.value) for word in words)
