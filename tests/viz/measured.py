"""A small GPT that overlays are tried on, and its values from NumPy in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_tx as tx
from tinygrad_tx.viz.picture import Box, Picture

Wide = np.ndarray[Any, np.dtype[np.float64]]

LAYERS, HEADS, WIDTH, TIME, VOCAB = 3, 2, 16, 8, 17
RNG = np.random.default_rng(7)
TOKENS = RNG.integers(0, VOCAB, (2, TIME))
TARGETS = RNG.integers(0, VOCAB, (2, TIME))


def gpt(layers: int = LAYERS, heads: int = HEADS, context: int = TIME) -> tx.models.GPT:
    """With weights large enough for attention that is far from uniform."""
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, context, layers, heads, WIDTH))
    rng = np.random.default_rng(3)
    for name, p in model.named_parameters():
        if "norm" not in name:
            p.assign_(rng.normal(size=p.shape, scale=0.5).astype(np.float32))
    return model


def drawn(target: Any, **options: Any) -> Picture:
    drawing = tx.draw(target, **options)
    assert isinstance(drawing, tx.viz.Drawing)
    return drawing.picture


def facts(box: Box, name: str) -> list[float]:
    (value,) = [v for n, v in box.facts if n == name]
    return [float(v) for v in value.split(", ")]


def computed(model: tx.models.GPT, tokens: Any) -> dict[str, list[Wide]]:
    """The residual stream, what the parts add, the pattern and the logits, from the weights."""
    w = {name: p.numpy().astype(np.float64) for name, p in model.named_parameters()}

    def norm(x: Wide, name: str) -> Wide:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def linear(x: Wide, name: str) -> Wide:
        return np.asarray(x @ w[f"{name}.weight"] + w[f"{name}.bias"])

    batch, time = tokens.shape
    heads = model.config.heads
    found: dict[str, list[Wide]] = {k: [] for k in ("attention", "pattern", "feed_forward", "sum")}
    h = w["embedding.weight"][tokens] + w["position.weight"][:time]
    for layer in range(model.config.layers):
        block = f"blocks.{layer}"
        qkv = linear(norm(h, f"{block}.attention_norm"), f"{block}.attention.qkv")
        split = qkv.reshape(batch, time, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        scores = split[0] @ split[1].swapaxes(-1, -2) / math.sqrt(split.shape[-1])
        scores[..., np.triu(np.ones((time, time), bool), 1)] = -np.inf
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        pattern = powers / powers.sum(-1, keepdims=True)
        context = (pattern @ split[2]).transpose(0, 2, 1, 3).reshape(batch, time, -1)
        found["pattern"].append(pattern)
        found["attention"].append(linear(context, f"{block}.attention.projection"))
        h = h + found["attention"][-1]
        up = linear(norm(h, f"{block}.feed_forward_norm"), f"{block}.feed_forward.up")
        gelu = up * 0.5 * (1 + np.vectorize(math.erf)(up / math.sqrt(2)))
        found["feed_forward"].append(linear(gelu, f"{block}.feed_forward.down"))
        h = h + found["feed_forward"][-1]
        found["sum"].append(h)
    found["logits"] = [norm(h, "norm") @ w["embedding.weight"].T]
    return found
