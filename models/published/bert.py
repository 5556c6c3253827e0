"""BERT as Hugging Face publishes it, with the heads of pretraining or without any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.published.entry import Entry, Family, linear, norm
from tinygrad_tx.models.published.settings import activation_of

__all__ = ["BERT", "ENCODER", "encoder_entries"]


def sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    if activation_of(settings.get("hidden_act", "gelu")) != "gelu":
        what = f"hidden_act is {settings['hidden_act']!r}, not gelu"
        raise CheckpointError(explain("config.json", what))
    return {
        "vocab_size": settings["vocab_size"],
        "context": settings["max_position_embeddings"],
        "layers": settings["num_hidden_layers"],
        "heads": settings["num_attention_heads"],
        "width": settings["hidden_size"],
        "inner": settings["intermediate_size"],
        "segments": settings.get("type_vocab_size", 2),
        "dropout": settings.get("hidden_dropout_prob", 0.1),
        "epsilon": settings.get("layer_norm_eps", 1e-12),
    }


def settings(config: Any) -> dict[str, Any]:
    return {
        "architectures": ["BertForPreTraining"],
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_size": config.width,
        "intermediate_size": config.inner or 4 * config.width,
        "type_vocab_size": config.segments,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": config.epsilon,
    }


def encoder_entries(config: Any, prefix: str = "") -> list[Entry]:
    """The encoder; `prefix` is its path in the model."""
    own = prefix and f"{prefix}."
    names = (("embedding", "word"), ("position", "position"), ("segment", "token_type"))
    found = [
        Entry(f"{own}{ours}.weight", (f"embeddings.{theirs}_embeddings.weight",))
        for ours, theirs in names
    ]
    found += norm(f"{own}norm", "embeddings.LayerNorm")
    for i in range(config.layers):
        here, there = f"{own}blocks.{i}", f"encoder.layer.{i}"
        parts = [f"{there}.attention.self.{name}" for name in ("query", "key", "value")]
        found += linear(f"{here}.attention.qkv", *parts, widths=(config.width,) * 3)
        found += linear(f"{here}.attention.projection", f"{there}.attention.output.dense")
        found += norm(f"{here}.attention_norm", f"{there}.attention.output.LayerNorm")
        found += linear(f"{here}.feed_forward.up", f"{there}.intermediate.dense")
        found += linear(f"{here}.feed_forward.down", f"{there}.output.dense")
        found += norm(f"{here}.feed_forward_norm", f"{there}.output.LayerNorm")
    return found


def entries(config: Any) -> list[Entry]:
    words = "cls.predictions"
    return [
        *encoder_entries(config, "encoder"),
        *linear("pooler.dense", "pooler.dense"),
        *linear("masked_words.dense", f"{words}.transform.dense"),
        *norm("masked_words.norm", f"{words}.transform.LayerNorm"),
        Entry("masked_words.bias", (f"{words}.bias",)),
        *linear("next_sentence", "cls.seq_relationship"),
    ]


IGNORED = ("embeddings.position_ids", "cls.predictions.decoder.")
BERT = Family("bert", sizes, settings, entries, ("bert.",), IGNORED)
ENCODER = Family(
    "bert",
    sizes,
    lambda config: {**settings(config), "architectures": ["BertModel"]},
    lambda config: encoder_entries(config, "encoder"),
    ("", "bert."),
    (*IGNORED, "pooler.", "cls."),
)
