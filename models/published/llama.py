"""Llama as Hugging Face publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.published.entry import Entry, Family, linear, norm
from tinygrad_tx.models.published.llama_gguf import as_published

__all__ = ["LLAMA"]


def sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    rope = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    biased = settings.get("attention_bias") or settings.get("mlp_bias")
    for what, is_there in ((f"rope scaling {kind!r}", kind != "default"), ("biases", biased)):
        if is_there:
            raise CheckpointError(explain("config.json", f"asks for {what}, which is not known"))
    if settings.get("hidden_act", "silu") not in ("silu", "swish"):
        what = f"hidden_act is {settings['hidden_act']!r}, not silu"
        raise CheckpointError(explain("config.json", what))
    return {
        "vocab_size": settings["vocab_size"],
        "context": settings["max_position_embeddings"],
        "layers": settings["num_hidden_layers"],
        "heads": settings["num_attention_heads"],
        "width": settings["hidden_size"],
        "kv_heads": settings.get("num_key_value_heads"),
        "inner": settings["intermediate_size"],
        "head_width": settings.get("head_dim"),
        "rope_base": float(rope.get("rope_theta", settings.get("rope_theta", 10_000.0))),
        "epsilon": settings.get("rms_norm_eps", 1e-6),
        "tied": settings.get("tie_word_embeddings", False),
    }


def settings(config: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_size": config.width,
        "num_key_value_heads": config.kv_heads or config.heads,
        "intermediate_size": config.units,
        "head_dim": config.head_width or config.width // config.heads,
        "rope_theta": config.rope_base,
        "rms_norm_eps": config.epsilon,
        "tie_word_embeddings": config.tied,
        "hidden_act": "silu",
    }


def entries(config: Any) -> list[Entry]:
    head_width = config.head_width or config.width // config.heads
    kv_heads = config.kv_heads or config.heads
    widths = [n * head_width for n in (config.heads, kv_heads, kv_heads)]
    found = [
        Entry("embedding.weight", ("embed_tokens.weight",)),
        *norm("norm", "norm", bias=False),
    ]
    if not config.tied:
        found += linear("output", "lm_head", bias=False)
    for i in range(config.layers):
        here, there = f"blocks.{i}", f"layers.{i}"
        parts = [f"{there}.self_attn.{name}_proj" for name in "qkv"]
        found += linear(f"{here}.attention.qkv", *parts, bias=False, widths=widths)
        found += linear(f"{here}.attention.projection", f"{there}.self_attn.o_proj", bias=False)
        for name in ("gate", "up", "down"):
            found += linear(f"{here}.feed_forward.{name}", f"{there}.mlp.{name}_proj", bias=False)
        found += norm(f"{here}.attention_norm", f"{there}.input_layernorm", bias=False)
        found += norm(f"{here}.feed_forward_norm", f"{there}.post_attention_layernorm", bias=False)
    return found


LLAMA = Family(
    "llama",
    sizes,
    settings,
    entries,
    ("model.",),
    ("rotary_emb.inv_freq", "lm_head."),
    packed=as_published,
)
