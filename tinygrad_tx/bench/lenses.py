"""Captured activations by TransformerLens and TorchLens, with the weights of our model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from tinygrad_tx.bench import torch_models
from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.models import GPT, GPTConfig

__all__ = ["build", "hooked", "logits_model", "tokens_of"]

Run = Callable[[], Any]


def build(name: str, work: Workload, threads: int) -> Run:
    """A function that computes the logits once, and captures what the workload says."""
    torch.set_num_threads(threads)
    run = (_transformer_lens if name == "transformer lens" else _torchlens)(work, tokens_of(work))

    def without_gradients() -> Any:
        with torch.inference_mode():
            return run()

    return without_gradients


def tokens_of(work: Workload) -> Any:
    _, _, _, context, batch, vocab = work.sizes
    return torch.from_numpy(np.random.default_rng(0).integers(0, vocab, (batch, context)))


def _weights(work: Workload) -> dict[str, Any]:
    layers, heads, width, context, _, vocab = work.sizes
    model = GPT(GPTConfig(vocab, context, layers, heads, width))
    return {k: torch.from_numpy(v.copy()) for k, v in model.state_dict().items()}


def _transformer_lens(work: Workload, tokens: Any) -> Run:
    model = hooked(work)
    if work.option == "nothing":
        return lambda: model(tokens)
    point = {"hidden": "mlp.hook_post", "pattern": "attn.hook_pattern"}.get(work.option)
    chosen = None if point is None else f"blocks.1.{point}"
    return lambda: model.run_with_cache(tokens, names_filter=chosen)


def hooked(work: Workload) -> Any:
    """Our model as a HookedTransformer."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    layers, heads, width, context, _, vocab = work.sizes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # gone in 4.0; [bench] stays below
        config = HookedTransformerConfig(
            n_layers=layers,
            d_model=width,
            n_ctx=context,
            d_head=width // heads,
            n_heads=heads,
            d_mlp=4 * width,
            d_vocab=vocab,
            act_fn="gelu",
            normalization_type="LN",
            device="cpu",
        )
        model = HookedTransformer(config).eval()
    ours = _weights(work)
    given = {
        "embed.W_E": ours["embedding.weight"],
        "unembed.W_U": ours["embedding.weight"].T,
        "pos_embed.W_pos": ours["position.weight"],
        "ln_final.w": ours["norm.weight"],
        "ln_final.b": ours["norm.bias"],
    }
    for i in range(layers):
        given |= {f"blocks.{i}.{k}": v for k, v in _hooked_block(ours, i, heads).items()}
    model.load_state_dict({k: v.contiguous() for k, v in given.items()}, strict=False)
    return model


def _hooked_block(ours: Mapping[str, Any], number: int, heads: int) -> dict[str, Any]:
    at = f"blocks.{number}"
    qkv, bias = ours[f"{at}.attention.qkv.weight"], ours[f"{at}.attention.qkv.bias"]
    width = qkv.shape[0]
    found = {"attn.W_O": ours[f"{at}.attention.projection.weight"].reshape(heads, -1, width)}
    # (width, 3 x heads x head width) -> for each of the three (heads, width, head width)
    parts = qkv.reshape(width, 3, heads, -1).permute(1, 2, 0, 3)
    for name, w, b in zip("QKV", parts, bias.reshape(3, heads, -1), strict=True):
        found |= {f"attn.W_{name}": w, f"attn.b_{name}": b}
    names = {
        "ln1.w": "attention_norm.weight",
        "ln1.b": "attention_norm.bias",
        "ln2.w": "feed_forward_norm.weight",
        "ln2.b": "feed_forward_norm.bias",
        "attn.b_O": "attention.projection.bias",
        "mlp.W_in": "feed_forward.up.weight",
        "mlp.b_in": "feed_forward.up.bias",
        "mlp.W_out": "feed_forward.down.weight",
        "mlp.b_out": "feed_forward.down.bias",
    }
    return found | {theirs: ours[f"{at}.{own}"] for theirs, own in names.items()}


class _Logits(torch.nn.Module):  # type: ignore[misc]  # torch counts as untyped
    """A model that gives logits and no loss, for who records its forward pass."""

    def __init__(self, model: torch_models.GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Any) -> Any:
        return self.model.logits(tokens)


def logits_model(work: Workload) -> Any:
    """Our model in PyTorch's own modules and fused functions."""
    layers, heads, width, context, _, vocab = work.sizes
    return _Logits(torch_models.like(GPT(GPTConfig(vocab, context, layers, heads, width))).eval())


def _torchlens(work: Workload, tokens: Any) -> Run:
    import torchlens

    model = logits_model(work)
    if work.option == "nothing":
        return lambda: model(tokens)
    if work.option == "everything":
        return lambda: torchlens.trace(model, tokens)
    chosen = torchlens.func("gelu") & torchlens.in_module("model.blocks.1")
    return lambda: torchlens.trace(model, tokens, save=chosen)
