"""Modules: names, state, and layers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx.errors import CheckpointError, PointError, ShapeError
from tinygrad_tx.nn.points import marked


def gpt(seed: int = 0, **changes: int) -> tx.models.GPT:
    sizes = {"vocab_size": 11, "context": 8, "layers": 2, "heads": 2, "width": 32} | changes
    return tx.models.GPT(tx.models.GPTConfig(**sizes), seed)


def test_names_and_numbers_of_parameters() -> None:
    names = [n for n, _ in gpt().named_parameters()]
    assert len(names) == len(set(names)) == 2 + 2 + 2 * 12
    assert "blocks.1.attention.qkv.weight" in names
    width, vocab, context = 32, 11, 8
    block = 12 * width * width + 13 * width
    expected = (vocab + context) * width + 2 * block + 2 * width
    assert gpt().num_parameters() == expected


def test_state_goes_to_another_model_and_wrong_states_change_nothing() -> None:
    tokens = np.arange(8)[None]
    first, second = gpt(0), gpt(1)
    assert not np.array_equal(first(tokens).numpy(), second(tokens).numpy())
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first(tokens).numpy(), second(tokens).numpy())
    before = second.state_dict()
    state = gpt(2).state_dict()
    name = "blocks.0.attention.qkv.weight"
    for wrong, words in (
        ({k: v for k, v in state.items() if k != name}, "missing"),
        ({**state, "extra": state[name]}, "unknown"),
        ({**state, name: state[name].T}, "shapes"),
    ):
        with pytest.raises(CheckpointError, match=words):
            second.load_state_dict(wrong)
    for key, value in second.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_scopes_are_the_paths_of_the_modules() -> None:
    from tinygrad_tx.graph.walk import collect

    model = gpt()
    scopes = {n.scope for n in collect([model(np.arange(8)[None]).node])}
    paths = {path for path, _ in model.named_modules()}
    assert scopes <= paths
    assert "blocks.1.feed_forward.up" in scopes


def test_training_and_evaluation_differ_by_dropout_alone() -> None:
    model = tx.models.GPT(tx.models.GPTConfig(11, 8, 1, 1, 32, dropout=0.5))
    tokens = np.arange(8)[None]
    quiet = model.eval()(tokens).numpy()
    np.testing.assert_array_equal(model(tokens).numpy(), quiet)
    assert not np.array_equal(model.train()(tokens).numpy(), quiet)


def test_layers_against_numpy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8)).astype(np.float32)
    linear = tx.nn.Linear(8, 5, rng)
    linear.bias.assign_(rng.normal(size=5).astype(np.float32))  # type: ignore[union-attr]  # it has one
    expected = x @ linear.weight.numpy() + linear.bias.numpy()  # type: ignore[union-attr]  # it has one
    np.testing.assert_allclose(linear(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    norm = tx.nn.LayerNorm(8)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    np.testing.assert_allclose(
        norm(x).numpy(), (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5
    )
    rms = tx.nn.RMSNorm(8)
    scale = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(rms(x).numpy(), x / scale, rtol=1e-5, atol=1e-6)
    table = tx.nn.Embedding(7, 4, rng)
    np.testing.assert_array_equal(table([[6, 0]]).numpy(), table.weight.numpy()[[[6, 0]]])


def test_a_causal_model_does_not_see_the_future() -> None:
    model, tokens = gpt(), np.arange(8)[None] % 11
    changed = tokens.copy()
    changed[0, 5:] = 0
    before, after = model(tokens).numpy(), model(changed).numpy()
    np.testing.assert_allclose(before[0, :5], after[0, :5], atol=1e-6)
    assert not np.allclose(before[0, 5:], after[0, 5:])


@pytest.mark.parametrize(
    "changes", [{"heads": 3}, {"layers": 0}, {"vocab_size": -1}, {"context": 0}]
)
def test_impossible_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ShapeError, match="GPTConfig"):
        gpt(**changes)


def test_tokens_the_model_has_no_room_for() -> None:
    with pytest.raises(ShapeError, match="context"):
        gpt()(np.zeros((1, 9), np.int64))
    with pytest.raises(tx.errors.IndexRangeError, match="11"):
        gpt()(np.full((1, 3), 11)).numpy()


def test_a_point_that_is_in_no_table_is_told_how_to_be_named() -> None:
    with pytest.raises(PointError, match=r"marked: 'middle' is not one of .*logits.*tx\.point"):
        marked(tx.ones((2, 3, 4)), "middle")
    named = tx.point(tx.ones((2, 3, 4)), "middle", ("batch", "time", "width"))
    assert named.node.name == "middle"
