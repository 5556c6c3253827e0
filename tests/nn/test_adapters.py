"""LoRA and adapters: they start as the model was, train themselves alone, and can be taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import GraphError

TOKENS = np.arange(16).reshape(2, 8) % 11
QKV = "encoder.blocks.*.attention.qkv"
SUBLAYERS = ("encoder.blocks.*.attention", "encoder.blocks.*.feed_forward")


def bert() -> tx.models.BERT:
    return tx.models.BERT(tx.models.BERTConfig(11, 8, 2, 2, 32, dropout=0.0), seed=3)


def lora(model: tx.nn.Module, **options: Any) -> tx.nn.LoRA:
    return tx.nn.LoRA(model, QKV, "encoder.blocks.*.feed_forward.*", rank=4, **options)


def adapters(model: tx.nn.Module, **options: Any) -> tx.nn.Adapters:
    return tx.nn.Adapters(model, 32, *SUBLAYERS, bottleneck=4, **options)


METHODS = [pytest.param(lora, id="lora"), pytest.param(adapters, id="adapters")]


def disturb(model: tx.nn.Module, scale: float = 0.1) -> None:
    """Other values for whatever is trained, so that nothing is at its start."""
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, scale, p.shape).astype(np.float32))


@pytest.mark.parametrize("method", METHODS)
def test_at_first_the_logits_are_those_of_the_model_bit_for_bit(
    method: Callable[..., Any],
) -> None:
    model = bert()
    before = model(TOKENS).numpy()
    method(model)
    assert model(TOKENS).numpy().tobytes() == before.tobytes()
    disturb(model)
    assert not np.allclose(model(TOKENS).numpy(), before, atol=1e-3)


def test_merged_equals_unmerged() -> None:
    model = bert()
    names = [n for n, _ in model.named_parameters()]
    added = lora(model)
    disturb(model, 0.05)
    unmerged = model(TOKENS).numpy()
    added.merge()
    np.testing.assert_allclose(model(TOKENS).numpy(), unmerged, atol=1e-6)
    assert [n for n, _ in model.named_parameters()] == names
    assert all(type(m) is not tx.nn.LoRALinear for _, m in model.named_modules())


def test_adapters_that_are_removed_leave_the_model_as_it_was() -> None:
    model = bert()
    before, names = model(TOKENS).numpy(), [n for n, _ in model.named_parameters()]
    added = adapters(model)
    disturb(model)
    added.remove()
    assert model(TOKENS).numpy().tobytes() == before.tobytes()
    assert [n for n, _ in model.named_parameters()] == names


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # rank x (inputs + outputs): qkv 32 -> 96, up 32 -> 128, down 128 -> 32; two blocks
        (lora, 2 * 4 * (32 + 96 + 32 + 128 + 128 + 32)),
        # two adapters a block: 32 -> 4 -> 32 with biases
        (adapters, 2 * 2 * (32 * 4 + 4 + 4 * 32 + 32)),
    ],
)
def test_only_what_was_added_gets_gradients(method: Callable[..., Any], expected: int) -> None:
    model = bert()
    every = [p for _, p in model.named_parameters()]
    method(model, also=("next_sentence.*",))
    model.loss(TOKENS, TOKENS, [0, 1]).backward()
    head = 2 * 32 + 2
    assert model.num_parameters() == expected + head
    assert all(p.grad is not None for p in model.parameters())
    asked = {id(p) for p in model.parameters()}
    assert all(p.grad is None for p in every if id(p) not in asked)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_agree_with_finite_differences(method: Callable[..., Any]) -> None:
    model = bert()
    model.astype("float64")
    method(model)
    model.astype("float64")
    disturb(model, 0.2)
    model.loss(TOKENS, TOKENS).backward()
    rng, step = np.random.default_rng(1), 1e-5
    for name, p in model.named_parameters():
        direction = rng.normal(size=p.shape)
        at = p.numpy().copy()
        sides = []
        for sign in (1, -1):
            p.assign_(at + sign * step * direction)
            sides.append(model.loss(TOKENS, TOKENS).item())
        p.assign_(at)
        assert p.grad is not None
        found = float((p.grad.numpy() * direction).sum())
        expected = (sides[0] - sides[1]) / (2 * step)
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-8), name


@pytest.mark.parametrize("method", METHODS)
def test_training_moves_what_was_added_and_nothing_else(method: Callable[..., Any]) -> None:
    model = bert()
    before = model.state_dict()
    added = method(model)
    optimizer = tx.optim.AdamW(model.parameters(), 1e-2)

    @tx.jit
    def step() -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(TOKENS, TOKENS)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step().item() for _ in range(20)]
    assert losses[-1] < losses[0] - 0.02
    if isinstance(added, tx.nn.Adapters):
        added.remove()
        for name, value in model.state_dict().items():
            assert value.tobytes() == before[name].tobytes(), name
    else:
        added.merge()
        changed = {n for n, v in model.state_dict().items() if v.tobytes() != before[n].tobytes()}
        parts = ("attention.qkv", "feed_forward.up", "feed_forward.down")
        assert changed == {f"encoder.blocks.{i}.{p}.weight" for i in (0, 1) for p in parts}


def test_patterns_that_match_nothing_are_refused_and_freeze_nothing() -> None:
    model = bert()
    for refused in (
        lambda: tx.nn.LoRA(model, "decoder.*"),
        lambda: tx.nn.LoRA(model, "encoder.blocks.*"),  # there are parts, but no Linear
        lambda: tx.nn.Adapters(model, 32, "decoder.*"),
    ):
        with pytest.raises(GraphError, match="named_modules"):
            refused()
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(ValueError, match="rank is 0"):
        tx.nn.LoRA(model, QKV, rank=0)
