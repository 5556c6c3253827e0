"""Attention opened to be looked at is one kernel again, where nothing inside of it was changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import reasoning
from tinygrad_tx.compiler.reunite import reunite
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.runtime.buffer import Buffer

M = tx.models
TOKENS = np.random.default_rng(0).integers(0, 29, (3, 7))
GPT = M.GPT(M.GPTConfig(29, 16, 2, 2, 8)).eval()
SCORES = "blocks.1.attention.scores"
CASES = {
    "causal": {"causal": True},
    "whole": {"causal": False},
    "bias": {"causal": True, "bias": True},
    "grouped": {"causal": True, "own": 2},
    "longer than a panel": {"causal": True, "keys": 401, "queries": 9},
    "one query": {"causal": True, "queries": 1},
    "one key": {"causal": True, "queries": 1, "keys": 1},
}


def inputs(
    queries: int = 5, keys: int = 7, own: int = 4, bias: bool = False, **_: Any
) -> list[Any]:
    rng = np.random.default_rng(1)
    shapes = [(2, 4, queries, 8), (2, own, keys, 8), (2, own, keys, 8)]
    shapes += [(2, 4, queries, keys)] if bias else []
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def attend(q: Any, k: Any, v: Any, bias: Any = None, causal: bool = True) -> Any:
    return tx.attention(q, k, v, causal=causal, bias=bias)


def operators(outputs: Any) -> list[str]:
    return [n.op.name for n in collect(outputs)]


def opened(names: str) -> tuple[Node, ...]:
    """The recorded graph of all that `names` asks for in GPT, reunited."""
    step = tx.jit(lambda t: (lambda a: (dict(a), a.output))(reasoning.capture(GPT, t, names)))
    return reunite(step.graph(tx.tensor(TOKENS)))


def test_what_is_only_looked_at_is_one_kernel() -> None:
    names = operators(opened("blocks.1.attention.pattern"))
    assert names.count("attention_seen") == 1
    assert names.count("attention") == 1  # of the other block
    assert "attention_scores" not in names
    assert "attention_pattern" not in names


def test_what_is_given_out_is_what_somebody_reads() -> None:
    def shown(names: str) -> list[tuple[bool, bool]]:
        nodes = collect(opened(names))
        attrs = [n.attrs for n in nodes if n.op.name == "attention_seen"]
        return [(a["scores"], a["pattern"]) for a in attrs]

    assert shown("*.scores") == [(True, False)] * 2
    assert shown("*.pattern") == [(False, True)] * 2
    assert shown("*.attention.*") == [(True, True)] * 2
    assert shown("*.context") == []  # plain attention gives that

    def derived(tokens: Any) -> Any:
        found = reasoning.capture(GPT, tokens, SCORES)
        return tx.exp(found[SCORES]).sum(), found.output

    names = operators(reunite(tx.jit(derived).graph(tx.tensor(TOKENS))))
    assert "attention_scores" not in names


@pytest.mark.parametrize("name", ["scores", "pattern"])
def test_what_is_changed_inside_stays_open(name: str) -> None:
    changes = {f"blocks.1.attention.{name}": reasoning.scale(0.5)}
    step = tx.jit(lambda t: reasoning.intervene(GPT, t, changes))
    names = operators(reunite(step.graph(tx.tensor(TOKENS))))
    assert names.count("attention_pattern") == 1
    assert names.count("attention") == 1
    assert "attention_seen" not in names


def test_values_that_are_made_from_the_scores_are_not_put_before_them() -> None:
    b = Builder()
    q, k, v = (Buffer.of(x).leaf for x in inputs(queries=7, keys=7))
    scores = b.attention_scores(q, k, causal=False, scale=1.0)
    pattern, _ = b.attention_pattern(scores)
    again = b.matmul(scores, v)  # as a change of the values by what was captured
    context = b.matmul(pattern, again)
    (found,) = reunite([context])
    assert "attention_seen" not in operators([found])
    assert "attention" not in operators([found])


@pytest.mark.parametrize("case", CASES)
def test_looking_inside_leaves_every_bit(case: str) -> None:
    """Scores, pattern and context given out, the plain result, and the open graph: all the same."""
    options = CASES[case]
    given, causal = inputs(**options), options["causal"]

    f = lambda *x: attend(*x, causal=causal)  # noqa: E731
    x = [tx.tensor(g) for g in given]
    plain = tx.jit(f)(*x).numpy()

    def look(*x: Any) -> Any:
        found = reasoning.capture(f, x)
        return dict(found), found.output

    seen, output = tx.jit(look)(*x)
    outputs = {"seen": output, "context": seen["context"]}
    for name in ("scores", "pattern"):
        step = tx.jit(lambda value, *x, name=name: reasoning.intervene(f, x, {name: value}))
        outputs[name] = step(seen[name], *x)
    for name, found in outputs.items():
        assert found.numpy().tobytes() == plain.tobytes(), name


@pytest.mark.parametrize("case", CASES)
def test_what_is_seen_is_what_the_formula_says(case: str) -> None:
    options = CASES[case]
    given, causal = inputs(**options), options["causal"]
    f = lambda *x: attend(*x, causal=causal)  # noqa: E731
    seen = tx.jit(lambda *x: dict(reasoning.capture(f, x)))(*map(tx.tensor, given))
    q, k, v, *bias = (x.astype(np.float64) for x in given)
    k, v = (np.repeat(x, 4 // x.shape[1], axis=1) for x in (k, v))
    scores = q @ k.swapaxes(-1, -2) / 8**0.5 + (bias[0] if bias else 0)
    if causal:
        queries, keys = scores.shape[-2:]
        scores[..., ~np.tri(queries, keys, keys - queries, dtype=bool)] = -np.inf
    pattern = np.exp(scores - scores.max(-1, keepdims=True))
    pattern /= pattern.sum(-1, keepdims=True)
    for name, value in (("scores", scores), ("pattern", pattern), ("context", pattern @ v)):
        np.testing.assert_allclose(seen[name].numpy(), value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_seen_where_it_is(value: float) -> None:
    given = inputs(queries=7, keys=7)
    given[0][0, 0, 3] = value
    f = lambda *x: attend(*x)  # noqa: E731

    def look(*x: Any) -> Any:
        found = reasoning.capture(f, x)
        return dict(found), found.output, f(*x)

    seen, out, plain = tx.jit(look)(*map(tx.tensor, given))
    assert out.numpy().tobytes() == plain.numpy().tobytes()
    pattern = seen["pattern"].numpy().copy()
    assert not np.isfinite(pattern[0, 0, 3, :4]).all()
    pattern[0, 0, 3] = 0
    assert np.isfinite(pattern).all()
    assert (seen["scores"].numpy()[..., ~np.tri(7, dtype=bool)] == -np.inf).all()


def test_all_points_of_gpt_leave_every_bit_of_its_logits() -> None:
    tokens = tx.tensor(TOKENS)
    plain = tx.jit(lambda t: GPT(t))(tokens)
    for at in ("*", ["*.query", "*.hidden", "logits"], "*.scale", "*.pattern"):
        seen = tx.jit(lambda t, at=at: reasoning.capture(GPT, t, at).output)(tokens)
        assert seen.numpy().tobytes() == plain.numpy().tobytes(), at
