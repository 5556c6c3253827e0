"""The workloads through the public API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_tx as tx  # for tx.reasoning, loaded where a workload needs it
from tinygrad_tx import nn, optim
from tinygrad_tx.bench.real import decode, prompt
from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.config import config
from tinygrad_tx.functional import vjp
from tinygrad_tx.jit import Jitted, jit
from tinygrad_tx.models import (
    BERT,
    GPT,
    BERTConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    GPTConfig,
)
from tinygrad_tx.models.generation import Decoder
from tinygrad_tx.tensor import (
    Tensor,
    attention,
    cross_entropy,
    gelu,
    layer_norm,
    matmul,
    no_grad,
    ones,
    softmax,
    tensor,
)

__all__ = ["POINTS", "Step", "build"]

Run = Callable[[], Any]

POINTS = {
    "everything": "*",
    "hidden": "blocks.1.feed_forward.hidden",
    "pattern": "blocks.1.attention.pattern",
}


def build(work: Workload, threads: int) -> Run:
    """A function that does the work once and waits for the result."""
    config.threads = threads
    return _BUILDERS[work.kind](work)


def _step(work: Workload) -> Run:
    layers, heads, width, context, batch, vocab = work.sizes
    tokens = np.random.default_rng(0).integers(0, vocab, (batch, context + 1))
    x, y = tokens[:, :-1].copy(), tokens[:, 1:].copy()
    if work.option == "bert":
        bert = BERT(BERTConfig(vocab, context, layers, heads, width, dropout=0.0))
        return _training(bert, (x, y))
    if work.option == "encoder-decoder":
        config = EncoderDecoderConfig(vocab, context, layers, layers, heads, width, dropout=0.0)
        return _training(EncoderDecoder(config), (x, x, y))
    return _training(GPT(GPTConfig(vocab, context, layers, heads, width)), (x, y))


def _training(model: Any, batch: tuple[np.ndarray[Any, Any], ...]) -> Step:
    optimizer = optim.AdamW(model.parameters(), 1e-3)

    @jit
    def step(*batch: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model.loss(*batch)
        loss.backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return Step(step, batch)


@dataclass(frozen=True)
class Step:
    """A captured training step on its batch."""

    step: Jitted[..., Any]
    batch: tuple[np.ndarray[Any, Any], ...]

    def __call__(self) -> float:
        loss: float = self.step(*self.batch).item()
        return loss

    @property
    def planned_bytes(self) -> int:
        return self.step.plan(*self.batch).peak_bytes


def _write(work: Workload) -> Run:
    """The likeliest tokens after a prompt of a quarter of the context, up to its end."""
    layers, heads, width, context, _, vocab = work.sizes
    model = GPT(GPTConfig(vocab, context, layers, heads, width))
    model.eval()
    decoder = Decoder(model)
    start = np.random.default_rng(0).integers(0, vocab, context // 4).tolist()

    def write() -> int:
        token = int(decoder.read([start])[0].argmax())
        while not decoder.is_full:
            token = int(decoder.step(np.array([[token]]))[0, -1].argmax())
        return token

    return write


def _capture(work: Workload) -> Run:
    """The logits of a batch, and what is captured on the way."""
    layers, heads, width, context, batch, vocab = work.sizes
    model = GPT(GPTConfig(vocab, context, layers, heads, width))
    model.eval()
    tokens = tensor(np.random.default_rng(0).integers(0, vocab, (batch, context)))

    def seen(tokens: Tensor) -> Any:
        with no_grad():
            if work.option == "nothing":
                return model(tokens)
            found = tx.reasoning.capture(model, tokens, POINTS[work.option])
            return found.output, dict(found)

    step = jit(seen)
    return lambda: step(tokens)


def _graph(work: Workload) -> Run:
    """A chain of so many nodes, recorded, differentiated and compiled each time."""
    (nodes,) = work.sizes
    x = tensor(np.ones(8, np.float32))

    def chain(x: Tensor) -> Tensor:
        for _ in range(nodes):
            x = x * 0.99999
        return x

    def both(x: Tensor) -> Any:
        out, pull = vjp(chain, x)
        return out, pull(out)

    return lambda: jit(both).plan(x)


def _matmul(work: Workload) -> Run:
    m, k, n = work.sizes
    rng = np.random.default_rng(0)
    left = rng.normal(size=(k, m) if work.option == "TN" else (m, k)).astype(np.float32)
    right = rng.normal(size=(n, k) if work.option == "NT" else (k, n)).astype(np.float32)

    @jit
    def product(x: Tensor, y: Tensor) -> Tensor:
        return matmul(x.T if work.option == "TN" else x, y.T if work.option == "NT" else y)

    x, y = tensor(left), tensor(right)
    return lambda: product(x, y)


def _both_ways(f: Callable[..., Tensor], *inputs: Any) -> Run:
    """The result and the gradients of all inputs, from a given cotangent."""
    given = [tensor(i) for i in inputs]
    cotangent = ones(f(*given).shape)

    @jit
    def run(c: Tensor, *xs: Tensor) -> Any:
        out, pull = vjp(f, *xs)
        return out, pull(c)

    return lambda: run(cotangent, *given)


def _rows(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _cross_entropy(work: Workload) -> Run:
    rows, vocab = work.sizes
    targets = np.random.default_rng(1).integers(0, vocab, rows)
    return _both_ways(lambda x: cross_entropy(x, targets), _rows(work.sizes))


def _layer_norm(work: Workload) -> Run:
    width = work.sizes[1]
    weights = np.ones(width, np.float32), np.zeros(width, np.float32)
    return _both_ways(layer_norm, _rows(work.sizes), *weights)


def _attention(work: Workload) -> Run:
    q, k, v = (_rows(work.sizes) for _ in range(3))
    return _both_ways(lambda q, k, v: attention(q, k, v, causal=work.option == "causal"), q, k, v)


def _adamw(work: Workload) -> Run:
    (count,) = work.sizes
    module = nn.Module()
    rows = count // 1000
    module.weight = tensor(_rows((rows, 1000)), requires_grad=True)
    optimizer = optim.AdamW(module.parameters(), 1e-3)
    gradient = tensor(_rows((rows, 1000)))

    @jit
    def update(g: Tensor) -> None:
        module.parameters()[0].grad = g
        optimizer.step()

    return lambda: update(gradient)


_BUILDERS: dict[str, Callable[[Workload], Run]] = {
    "step": _step,
    "write": _write,
    "capture": _capture,
    "graph": _graph,
    "matmul": _matmul,
    "softmax": lambda w: _both_ways(softmax, _rows(w.sizes)),
    "gelu": lambda w: _both_ways(gelu, _rows(w.sizes)),
    "layer_norm": _layer_norm,
    "cross_entropy": _cross_entropy,
    "attention": _attention,
    "adamw": _adamw,
    "prompt": prompt,
    "decode": decode,
}
