"""The models of the benchmarks in PyTorch, made of its own modules and fused functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tinygrad_tx import models
from tinygrad_tx.bench.workloads import Workload

__all__ = ["build", "like"]

Run = Callable[[], Any]


class Block(nn.Module):  # type: ignore[misc]  # torch counts as untyped
    """A block of GPT. With `kept` it keeps keys and values of the tokens before."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any, kept: list[Any] | None = None) -> Any:
        rows, time, width = x.shape
        parts = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (p.view(rows, time, self.heads, -1).transpose(1, 2) for p in parts)
        if kept is not None:
            if kept:
                k, v = torch.cat([kept[0], k], 2), torch.cat([kept[1], v], 2)
            kept[:] = [k, v]
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=time > 1)
        x = x + self.projection(y.transpose(1, 2).reshape(rows, time, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):  # type: ignore[misc]  # torch counts as untyped
    def __init__(self, layers: int, heads: int, width: int, context: int, vocab: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(heads, width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def logits(self, x: Any, start: int = 0, kept: list[list[Any]] | None = None) -> Any:
        h = self.embedding(x) + self.position(torch.arange(start, start + x.shape[1]))
        for i, block in enumerate(self.blocks):
            h = block(h, None if kept is None else kept[i])
        return self.norm(h) @ self.embedding.weight.T

    def forward(self, x: Any, y: Any) -> Any:
        logits = self.logits(x)
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


class BERT(nn.Module):  # type: ignore[misc]  # torch counts as untyped
    def __init__(self, layers: int, heads: int, width: int, context: int, vocab: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.segment, self.norm = nn.Embedding(2, width), nn.LayerNorm(width)
        block = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True)
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.dense, self.head_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocab))

    def forward(self, x: Any, y: Any) -> Any:
        h = self.embedding(x) + self.position(torch.arange(x.shape[1]))
        h = self.blocks(self.norm(h + self.segment(torch.zeros_like(x))))
        h = self.head_norm(functional.gelu(self.dense(h)))
        logits = h @ self.embedding.weight.T + self.bias
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


class EncoderDecoder(nn.Module):  # type: ignore[misc]  # torch counts as untyped
    def __init__(self, layers: int, heads: int, width: int, context: int, vocab: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.register_buffer("places", torch.randn(context, width))
        sizes = (width, heads, layers, layers, 4 * width, 0.0, "relu")
        self.both = nn.Transformer(*sizes, batch_first=True)
        # Its blocks end in a norm each; the norms behind the stacks are not in the paper.
        self.both.encoder.norm = self.both.decoder.norm = None
        self.scale = width**0.5

    def forward(self, x: Any, z: Any, y: Any) -> Any:
        source = self.embedding(x) * self.scale + self.places[: x.shape[1]]
        target = self.embedding(z) * self.scale + self.places[: z.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(z.shape[1])
        h = self.both(source, target, tgt_mask=mask, tgt_is_causal=True)
        logits = h @ self.embedding.weight.T
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


# Names of its parts, beside ours.
NAMES = {
    "norm1": "attention_norm",
    "norm2": "feed_forward_norm",
    "qkv": "attention.qkv",
    "projection": "attention.projection",
    "up": "feed_forward.up",
    "down": "feed_forward.down",
}


def like(ours: models.GPT) -> GPT:
    """The same model with the same weights. Theirs are (out, in), ours (in, out)."""
    c = ours.config
    model = GPT(c.layers, c.heads, c.width, c.context, c.vocab_size)
    weights = {k: torch.from_numpy(v.copy()) for k, v in ours.state_dict().items()}
    given = {}
    for theirs in model.state_dict():
        own = theirs
        for short, long in NAMES.items():
            own = own.replace(f".{short}.", f".{long}.")
        is_linear = own.endswith(("qkv.weight", "projection.weight", "up.weight", "down.weight"))
        given[theirs] = weights[own].T if is_linear else weights[own]
    model.load_state_dict(given)
    return model


def build(work: Workload, compiled: bool) -> Run:
    """A training step, or a text, as `tinygrad_tx.bench.ours` does it."""
    layers, heads, width, context, batch, vocab = work.sizes
    sizes = (layers, heads, width, context, vocab)
    if work.kind == "write":
        return _write(GPT(*sizes).eval(), context, vocab)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, vocab, (batch, context + 1)))
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    if work.option == "bert":
        return _training(BERT(*sizes), (x, y), compiled)
    if work.option == "encoder-decoder":
        return _training(EncoderDecoder(*sizes), (x, x, y), compiled)
    return _training(GPT(*sizes), (x, y), compiled)


def _training(model: Any, batch: tuple[Any, ...], compiled: bool) -> Run:
    optimizer = torch.optim.AdamW(
        model.parameters(), 1e-3, (0.9, 0.95), weight_decay=0.1, fused=True
    )
    loss_of = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.item())

    return step


def _write(model: GPT, context: int, vocab: int) -> Run:
    prompt = torch.from_numpy(np.random.default_rng(0).integers(0, vocab, (1, context // 4)))

    def write() -> int:
        kept: list[list[Any]] = [[] for _ in model.blocks]
        with torch.inference_mode():
            token = model.logits(prompt, 0, kept)[0, -1].argmax()
            for place in range(prompt.shape[1], context):
                token = model.logits(token.view(1, 1), place, kept)[0, -1].argmax()
        return int(token)

    return write
