"""GPT-2 as Hugging Face publishes it. Its Conv1D keeps weights as (inputs, outputs), like ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_tx.models.published.entry import Entry, Family, norm
from tinygrad_tx.models.published.settings import ACTIVATIONS, activation_of

__all__ = ["GPT2"]


def sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "vocab_size": settings["vocab_size"],
        "context": settings["n_positions"],
        "layers": settings["n_layer"],
        "heads": settings["n_head"],
        "width": settings["n_embd"],
        "dropout": settings.get("resid_pdrop", 0.1),
        "activation": activation_of(settings.get("activation_function", "gelu_new")),
    }


def settings(config: Any) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_embd": config.width,
        "activation_function": ACTIVATIONS[config.activation],
        **{f"{where}_pdrop": config.dropout for where in ("resid", "embd", "attn")},
    }


def entries(config: Any) -> list[Entry]:
    found = [
        Entry("embedding.weight", ("wte.weight",)),
        Entry("position.weight", ("wpe.weight",)),
        *norm("norm", "ln_f"),
    ]
    for i in range(config.layers):
        for ours, theirs in (
            ("attention_norm", "ln_1"),
            ("attention.qkv", "attn.c_attn"),
            ("attention.projection", "attn.c_proj"),
            ("feed_forward_norm", "ln_2"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
        ):
            found += norm(f"blocks.{i}.{ours}", f"h.{i}.{theirs}")
    return found


GPT2 = Family(
    "gpt2", sizes, settings, entries, ("transformer.",), (".attn.bias", ".masked_bias", "lm_head.")
)
