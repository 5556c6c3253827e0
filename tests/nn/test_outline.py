"""What a prompt shows of a module."""

from __future__ import annotations

import numpy as np

import tinygrad_tx as tx


def gpt(layers: int) -> tx.models.GPT:
    return tx.models.GPT(
        tx.models.GPTConfig(vocab_size=11, context=8, layers=layers, heads=2, width=16)
    )


def test_it_names_class_parts_and_weights_and_counts_all_parameters() -> None:
    model = gpt(1)
    lines = repr(model).splitlines()
    assert lines[0] == f"GPT ({model.num_parameters():,} parameters)"
    assert "  embedding: Embedding (weight 11 × 16)" in lines
    assert "      attention: MultiHeadAttention (1,088 parameters)" in lines
    assert "        qkv: Linear (weight 16 × 48, bias 48)" in lines


def test_equal_parts_in_a_row_stand_there_once() -> None:
    lines = repr(gpt(5)).splitlines()
    assert len(lines) == len(repr(gpt(2)).splitlines())
    assert any(line.strip().startswith("0 to 4: Block") for line in lines)


def test_parts_that_differ_stay_apart() -> None:
    rng = np.random.default_rng(0)
    sizes = [(4, 4), (4, 4), (4, 2), (4, 4)]
    layers = tx.nn.ModuleList([tx.nn.Linear(a, b, rng) for a, b in sizes])
    names = [line.strip().partition(":")[0] for line in repr(layers).splitlines()[1:]]
    assert names == ["0 to 1", "2", "3"]


def test_weights_that_are_frozen_are_not_shown() -> None:
    layer = tx.nn.Linear(2, 3, np.random.default_rng(0))
    layer.bias.requires_grad_(False)
    assert repr(layer) == "Linear (weight 2 × 3)"
    layer.weight.requires_grad_(False)
    assert repr(layer) == "Linear"


def test_a_model_by_shape_alone_is_shown_without_its_memory() -> None:
    assert "0 to 104: Block" in repr(tx.models.abstract("mt-nlg-530b"))


def test_it_can_be_shown_while_a_function_is_recorded() -> None:
    layer, seen = tx.nn.Linear(2, 3, np.random.default_rng(0)), []

    @tx.jit
    def step(x: tx.Tensor) -> tx.Tensor:
        seen.append(repr(layer))
        return layer(x)

    step(np.ones((1, 2), np.float32))
    assert seen == ["Linear (weight 2 × 3, bias 3)"]
