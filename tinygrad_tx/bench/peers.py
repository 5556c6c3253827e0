"""The same workloads by PyTorch (eager and compiled), JAX and NumPy, imported when asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_tx.bench.real import torch_decode, torch_prompt
from tinygrad_tx.bench.workloads import Workload

__all__ = ["build"]

Run = Callable[[], Any]


def build(name: str, work: Workload, threads: int) -> Run:
    """A function that does the work once and waits for the result."""
    if work.kind == "capture":
        from tinygrad_tx.bench import lenses

        return lenses.build(name, work, threads)
    if name == "numpy":
        return _numpy(work)
    if name == "jax":
        return _jax(work)
    return _torch(work, threads, compiled=name == "torch compiled")


def _numpy(work: Workload) -> Run:
    m, k, n = work.sizes
    rng = np.random.default_rng(0)
    left = rng.normal(size=(k, m) if work.option == "TN" else (m, k)).astype(np.float32)
    right = rng.normal(size=(n, k) if work.option == "NT" else (k, n)).astype(np.float32)
    x = left.T if work.option == "TN" else left
    y = right.T if work.option == "NT" else right
    return lambda: x @ y


def _torch(work: Workload, threads: int, compiled: bool) -> Run:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if work.kind in ("step", "write"):
        from tinygrad_tx.bench import torch_models

        return torch_models.build(work, compiled)
    if work.kind == "prompt":
        return torch_prompt(work)
    if work.kind == "decode":
        return torch_decode(work)
    if work.kind == "adamw":
        parameter = torch.nn.Parameter(torch.randn(work.sizes[0] // 1000, 1000))
        optimizer = torch.optim.AdamW([parameter], 1e-3, fused=True)
        parameter.grad = torch.randn_like(parameter)
        update: Run = optimizer.step
        return update
    return _torch_part(work)


def _torch_part(work: Workload) -> Run:
    import torch
    from torch.nn import functional

    count = 3 if work.kind == "attention" else 1
    inputs = [torch.randn(*work.sizes, requires_grad=True) for _ in range(count)]
    if work.kind == "layer_norm":
        width = work.sizes[1]
        inputs += [torch.ones(width, requires_grad=True), torch.zeros(width, requires_grad=True)]
    targets = (
        torch.randint(0, work.sizes[1], (work.sizes[0],)) if work.kind == "cross_entropy" else None
    )
    functions: dict[str, Callable[..., Any]] = {
        "softmax": lambda x: functional.softmax(x, -1),
        "gelu": functional.gelu,
        "layer_norm": lambda x, w, b: functional.layer_norm(x, x.shape[-1:], w, b),
        "cross_entropy": lambda x: functional.cross_entropy(x, targets),
        "attention": lambda q, k, v: functional.scaled_dot_product_attention(
            q, k, v, is_causal=work.option == "causal"
        ),
    }
    f = functions[work.kind]
    cotangent = torch.ones_like(f(*inputs))
    return lambda: torch.autograd.grad(f(*inputs), inputs, cotangent)


def _jax(work: Workload) -> Run:
    import jax
    import jax.numpy as jnp

    layers, heads, width, context, batch, vocab = work.sizes
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        return jnp.asarray(rng.normal(0, 0.02, shape), jnp.float32)

    def norm_weights() -> list[Any]:
        return [jnp.ones(width), jnp.zeros(width)]

    def block_weights() -> dict[str, Any]:
        linear = {"qkv": (width, 3 * width), "projection": (width, width)}
        linear |= {"up": (width, 4 * width), "down": (4 * width, width)}
        found: dict[str, Any] = {n: [normal(*s), jnp.zeros(s[1])] for n, s in linear.items()}
        return found | {"norm1": norm_weights(), "norm2": norm_weights()}

    weights: dict[str, Any] = {
        "embedding": normal(vocab, width),
        "position": normal(context, width),
        "blocks": [block_weights() for _ in range(layers)],
        "norm": norm_weights(),
    }
    tokens = rng.integers(0, vocab, (batch, context + 1))
    x, y = jnp.asarray(tokens[:, :-1]), jnp.asarray(tokens[:, 1:])
    mask = jnp.tril(jnp.ones((context, context), bool))

    def norm(x: Any, w: Any) -> Any:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(variance + 1e-5) * w[0] + w[1]

    def attend(h: Any, b: Any) -> Any:
        qkv = (h @ b["qkv"][0] + b["qkv"][1]).reshape(batch, context, 3, heads, width // heads)
        q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
        scores = jnp.where(mask, q @ k.transpose(0, 1, 3, 2) * (width // heads) ** -0.5, -jnp.inf)
        y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, context, width)
        return y @ b["projection"][0] + b["projection"][1]

    def loss_of(w: Any) -> Any:
        h = w["embedding"][x] + w["position"]
        for b in w["blocks"]:
            h = h + attend(norm(h, b["norm1"]), b)
            inner = jax.nn.gelu(norm(h, b["norm2"]) @ b["up"][0] + b["up"][1], approximate=False)
            h = h + inner @ b["down"][0] + b["down"][1]
        logits = jax.nn.log_softmax(norm(h, w["norm"]) @ w["embedding"].T)
        return -jnp.take_along_axis(logits, y[..., None], -1).mean()

    def update(w: Any, m: Any, v: Any, t: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(w)
        length = jnp.sqrt(sum((x**2).sum() for x in jax.tree.leaves(g)))
        g = jax.tree.map(lambda a: a * jnp.minimum(1.0, 1 / (length + 1e-6)), g)
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.95 * a + 0.05 * b * b, v, g)

        def moved(w: Any, m: Any, v: Any) -> Any:
            change = m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.95**t)) + 1e-8)
            return w - 1e-3 * (change + (0.1 * w if w.ndim > 1 else 0.0))

        return loss, jax.tree.map(moved, w, m, v), m, v, t + 1

    jitted = jax.jit(update, donate_argnums=(0, 1, 2))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [weights, zeros, jax.tree.map(jnp.zeros_like, weights), jnp.float32(1)]

    def step() -> float:
        loss, *state[:] = jitted(*state)
        return float(loss)

    return step
