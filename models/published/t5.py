"""T5 as Hugging Face publishes it, in the form of 2019 and in that of version 1.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.published.entry import Entry, Family, linear, norm

__all__ = ["T5"]

_FORMS = {"relu": "t5", "gated-gelu": "t5.1.1"}


def sizes(settings: Mapping[str, Any]) -> dict[str, Any]:
    kind = settings.get("feed_forward_proj", "relu")
    if kind not in _FORMS:
        what = f"feed_forward_proj is {kind!r}, not one of {', '.join(_FORMS)}"
        raise CheckpointError(explain("config.json", what))
    layers = settings["num_layers"]
    return {
        "vocab_size": settings["vocab_size"],
        "context": settings.get("n_positions", 512),
        "encoder_layers": layers,
        "decoder_layers": settings.get("num_decoder_layers") or layers,
        "heads": settings["num_heads"],
        "width": settings["d_model"],
        "inner": settings["d_ff"],
        "head_width": settings["d_kv"],
        "form": _FORMS[kind],
        "buckets": settings.get("relative_attention_num_buckets", 32),
        "farthest": settings.get("relative_attention_max_distance", 128),
        "dropout": settings.get("dropout_rate", 0.1),
        "epsilon": settings.get("layer_norm_epsilon", 1e-6),
    }


def settings(config: Any) -> dict[str, Any]:
    kinds = {form: kind for kind, form in _FORMS.items()}
    if config.form not in kinds:
        what = f"form {config.form!r} has no published format of its own"
        raise CheckpointError(explain("save_pretrained", what))
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": config.vocab_size,
        "n_positions": config.context,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.heads,
        "d_model": config.width,
        "d_ff": config.inner or 4 * config.width,
        "d_kv": config.head_width or config.width // config.heads,
        "feed_forward_proj": kinds[config.form],
        "relative_attention_num_buckets": config.buckets,
        "relative_attention_max_distance": config.farthest,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.epsilon,
        "tie_word_embeddings": config.form == "t5",
        "decoder_start_token_id": 0,
        "is_encoder_decoder": True,
    }


def entries(config: Any) -> list[Entry]:
    found = [Entry("embedding.weight", ("shared.weight",))]
    if config.form != "t5":
        found += linear("output", "lm_head", bias=False)
    inner = config.heads * (config.head_width or config.width // config.heads)
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        found.append(Entry(f"{side}.position.embedding.weight", (bias,)))
        found += norm(f"{side}.norm", f"{side}.final_layer_norm", bias=False)
        for i in range(layers):
            found += _block(f"{side}.blocks.{i}", f"{side}.block.{i}.layer", config, inner)
    return found


def _block(here: str, there: str, config: Any, inner: int) -> list[Entry]:
    """Self-attention, in the decoder attention to the memory, and feed-forward."""
    own = f"{there}.0.SelfAttention"
    found = linear(
        f"{here}.attention.qkv", *(f"{own}.{n}" for n in "qkv"), bias=False, widths=(inner,) * 3
    )
    found += linear(f"{here}.attention.projection", f"{own}.o", bias=False)
    found += norm(f"{here}.attention_norm", f"{there}.0.layer_norm", bias=False)
    last = 1
    if here.startswith("decoder"):
        last, cross = 2, f"{there}.1.EncDecAttention"
        found += linear(f"{here}.cross_attention.query", f"{cross}.q", bias=False)
        parts = (f"{cross}.k", f"{cross}.v")
        found += linear(
            f"{here}.cross_attention.key_value", *parts, bias=False, widths=(inner,) * 2
        )
        found += linear(f"{here}.cross_attention.projection", f"{cross}.o", bias=False)
        found += norm(f"{here}.cross_attention_norm", f"{there}.1.layer_norm", bias=False)
    dense = f"{there}.{last}.DenseReluDense"
    gated = config.form != "t5"
    names = {"gate": "wi_0", "up": "wi_1", "down": "wo"} if gated else {"up": "wi", "down": "wo"}
    for ours, theirs in names.items():
        found += linear(f"{here}.feed_forward.{ours}", f"{dense}.{theirs}", bias=False)
    found += norm(f"{here}.feed_forward_norm", f"{there}.{last}.layer_norm", bias=False)
    return found


T5 = Family(
    "t5",
    sizes,
    settings,
    entries,
    (),
    ("encoder.embed_tokens.", "decoder.embed_tokens.", "lm_head."),
)
