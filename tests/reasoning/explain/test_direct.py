"""Direct logit attribution: the parts are what the formula says, and add up to the logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tests.reasoning.explain.planted_induction import planted
from tests.reasoning.explain.small_models import MODELS, TARGET, TOKENS, gpt, lively, run
from tinygrad_tx import reasoning
from tinygrad_tx.errors import IndexRangeError, NonFiniteError, PointError, ShapeError

LINEAR = [k for k in MODELS if k != "bert"]


@pytest.mark.parametrize("kind", LINEAR)
def test_the_parts_add_up_to_the_models_own_logits(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    logits = run(model, inputs)
    found = reasoning.direct_attribution(model, inputs, 3)
    np.testing.assert_allclose(found.value, logits[..., 3], atol=1e-6)
    np.testing.assert_allclose(found.contributions.sum(0), logits[..., 3], atol=3e-6)
    assert found.error < 3e-6
    assert found.exact
    less = reasoning.direct_attribution(model, inputs, 3, 5)
    np.testing.assert_allclose(
        less.contributions.sum(0), logits[..., 3] - logits[..., 5], atol=3e-6
    )


def test_every_part_of_gpt_is_its_formula() -> None:
    """In float64 NumPy: (p - mean p) scale w . (E[a] - E[b]) for what each part p writes."""
    model = gpt()
    w = {k: v.astype(np.float64) for k, v in model.state_dict().items()}
    seen = {k: v.astype(np.float64) for k, v in reasoning.capture(model, TOKENS).numpy().items()}
    direction = w["embedding.weight"][3] - w["embedding.weight"][5]
    scale = seen["norm.scale"]

    def added(part: Any) -> Any:
        return ((part - part.mean(-1, keepdims=True)) * scale * w["norm.weight"]) @ direction

    truth = {"embedding": added(seen["token_embedding"])}
    truth["position embedding"] = added(np.broadcast_to(seen["position_embedding"], (3, 7, 8)))
    for i in (0, 1):
        at = f"blocks.{i}"
        weight = w[f"{at}.attention.projection.weight"].reshape(2, 4, 8)
        for h in (0, 1):
            context = seen[f"{at}.attention.context"][:, h]
            truth[f"block {i} head {h}"] = added(context @ weight[h])
        bias = np.broadcast_to(w[f"{at}.attention.projection.bias"], (3, 7, 8))
        truth[f"block {i} attention bias"] = added(bias)
        truth[f"block {i} feed-forward"] = added(seen[f"{at}.feed_forward.output"])
    truth["biases behind the stream"] = np.full((3, 7), w["norm.bias"] @ direction)
    found = reasoning.direct_attribution(model, TOKENS, 3, 5)
    assert set(found.parts) == truth.keys()
    for name, value in zip(found.parts, found.contributions, strict=True):
        np.testing.assert_allclose(value, truth[name], atol=2e-6, err_msg=name)
    assert found.heads().keys() == {n for n in truth if " head " in n}


def test_the_planted_induction_head_gives_the_answer() -> None:
    tokens = np.array([[3, 5, 1, 6, 3]])
    found = reasoning.direct_attribution(planted(), tokens, 5, 1)
    at = dict(zip(found.parts, found.contributions[:, 0, -1], strict=True))
    assert max(at, key=lambda name: at[name]) == "block 1 head 0"
    assert at["block 1 head 0"] > 0.95 * found.value[0, -1]


def test_berts_head_is_not_linear_and_the_error_says_so() -> None:
    make, inputs = MODELS["bert"]
    model = make()
    found = reasoning.direct_attribution(model, inputs, 3)
    total = found.contributions.sum(0, dtype=np.float64)
    assert found.error == pytest.approx(np.abs(total - run(model, inputs)[..., 3]).max(), rel=1e-3)
    assert not found.exact
    assert "not linear" in found.table().text()
    (row,) = reasoning.completeness(found).rows
    assert row[0] == found.error
    assert row[3] is False


def test_only_norms_in_the_stream_are_warned_of() -> None:
    warned = {}
    for kind in LINEAR:
        make, inputs = MODELS[kind]
        warned[kind] = (
            "trust the last block" in reasoning.direct_attribution(make(), inputs).table().text()
        )
    assert warned == {"gpt": False, "llama": False, "transformer": True, "t5": False}


@pytest.mark.parametrize("kind", MODELS)
def test_heads_and_the_bias_make_the_output_of_attention(kind: str) -> None:
    make, inputs = MODELS[kind]
    model = make()
    heads = reasoning.head_outputs(model, inputs)
    outputs = reasoning.capture(model, inputs, [f"{path}.output" for path in heads])
    parameters = model.state_dict()
    assert heads
    for path, written in heads.items():
        bias = parameters.get(f"{path}.projection.bias", 0.0)
        np.testing.assert_allclose(
            written.sum(1) + bias, outputs[f"{path}.output"].numpy(), atol=2e-6, err_msg=path
        )


def test_examples_do_not_mix_and_progress_is_told() -> None:
    model, told = gpt(), []
    whole = reasoning.direct_attribution(model, TOKENS, 3, on_progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]
    for i in range(3):
        one = reasoning.direct_attribution(model, TOKENS[i : i + 1], 3)
        np.testing.assert_allclose(one.contributions[:, 0], whole.contributions[:, i], atol=1e-6)


def test_a_model_of_one_head_and_one_token_adds_up() -> None:
    found = reasoning.direct_attribution(gpt(layers=1, heads=1), np.array([[4]]))
    assert found.contributions.shape == (6, 1, 1)
    assert found.exact


def test_the_table_keeps_the_sum_when_it_is_cut() -> None:
    found = reasoning.direct_attribution(gpt(), TOKENS, 3)
    rows = found.table(most=2).rows
    assert rows[2][0] == f"{len(found.parts) - 2} other parts"
    assert sum(r[1] for r in rows[:3]) == pytest.approx(rows[3][1])
    assert rows[3][1] == pytest.approx(rows[4][1], abs=1e-5)
    assert "block 1 head 0" in reasoning.picture_bytes(found.picture()).decode()


def test_bad_input_is_explained() -> None:
    model = gpt()
    with pytest.raises(IndexRangeError, match="within the 29"):
        reasoning.direct_attribution(model, TOKENS, -1)
    with pytest.raises(ShapeError, match="do not fit"):
        reasoning.direct_attribution(model, TOKENS, [1, 2])
    with pytest.raises(PointError, match="context"):
        reasoning.head_outputs(model, TOKENS, "blocks.7.attention.context")
    weight = model.embedding.weight
    weight.assign_(np.full(weight.shape, np.inf, np.float32))
    with pytest.raises(NonFiniteError, match="logits are not finite"):
        reasoning.direct_attribution(model, TOKENS)


def test_an_untied_output_and_a_gated_t5_add_up() -> None:
    config = tx.models.EncoderDecoderConfig(29, 16, 1, 2, 2, 8, form="t5.1.1")
    model = lively(tx.models.EncoderDecoder(config))
    assert reasoning.direct_attribution(model, (TOKENS, TARGET)).exact
