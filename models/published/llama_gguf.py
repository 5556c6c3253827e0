"""Llama as llama.cpp packs it in a GGUF file, told in the words of Hugging Face's folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.models.published.gguf import GGUF, Packed
from tinygrad_tx.shapes import Shape

__all__ = ["Unpaired", "as_published"]

Array = np.ndarray[Any, Any]

_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_BLOCK = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


@dataclass(frozen=True, eq=False)
class Unpaired:
    """Weights of queries or keys, with the rows of each head in the order of the published ones.

    Rotary positions turn numbers in pairs. Llama's published weights pair row i with row
    i + width/2 of a head; llama.cpp pairs neighbours and moves the rows for it:
    packed[h, i, j] = published[h, j, i], for i of width/2 and j of 2.
    """

    packed: Packed
    heads: int

    @property
    def shape(self) -> Shape:
        return self.packed.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        rows, width = self.shape
        paired = self.packed.__array__(dtype, copy).reshape(self.heads, -1, 2, width)
        return paired.swapaxes(1, 2).reshape(rows, width)


def as_published(file: GGUF) -> tuple[dict[str, Any], dict[str, Any]]:
    """What config.json would say, and the arrays by their published names, unpacked when read.

    Names that Llama does not have stay as they are. Errors: CheckpointError.
    """
    _refuse_other_kinds(file)
    heads = file.value("llama.attention.head_count", int)
    kv_heads = file.value("llama.attention.head_count_kv", int, heads)
    settings = _settings(file, heads, kv_heads)
    weights: dict[str, Any] = {}
    paired = {"self_attn.q_proj": heads, "self_attn.k_proj": kv_heads}
    for name, packed in file.tensors.items():
        published = _published_name(name)
        count = next((n for part, n in paired.items() if part in published), 0)
        is_paired = count and len(packed.shape) == 2
        weights[published] = Unpaired(packed, count) if is_paired else packed
    return settings, weights


def _published_name(name: str) -> str:
    """blk.3.attn_q.weight -> model.layers.3.self_attn.q_proj.weight."""
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _IN_BLOCK and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_IN_BLOCK[parts[2]]}.weight"
    return _WHOLE.get(name, name)


def _settings(file: GGUF, heads: int, kv_heads: int) -> dict[str, Any]:
    width = file.value("llama.embedding_length", int)
    head_width = file.value("llama.attention.key_length", int, width // max(heads, 1))
    for key in ("attention.value_length", "rope.dimension_count"):
        found = file.value(f"llama.{key}", int, head_width)
        if found != head_width:
            what = f"its llama.{key} is {found}, not the width of a head, {head_width}"
            raise CheckpointError(explain(file.source, what, remedy="such models are not read"))
    embedding = file.tensors.get("token_embd.weight")
    vocab_size = embedding.shape[0] if embedding else file.value("llama.vocab_size", int)
    base = file.value("llama.rope.freq_base", float, 10_000.0)
    return {
        "model_type": "llama",
        "vocab_size": vocab_size,
        "max_position_embeddings": file.value("llama.context_length", int),
        "num_hidden_layers": file.value("llama.block_count", int),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "hidden_size": width,
        "head_dim": head_width,
        "intermediate_size": file.value("llama.feed_forward_length", int),
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "rms_norm_eps": file.value("llama.attention.layer_norm_rms_epsilon", float),
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "hidden_act": "silu",
    }


def _refuse_other_kinds(file: GGUF) -> None:
    kind = file.value("general.architecture", str)
    scaling = file.value("llama.rope.scaling.type", str, "none")
    experts = file.value("llama.expert_count", int, 0)
    for is_other, what in (
        (kind != "llama", f"holds a model of type {kind!r}, not 'llama'"),
        (scaling != "none", f"asks for rope scaling {scaling!r}, which is not known"),
        ("rope_freqs.weight" in file.tensors, "has rope_freqs, which are not known"),
        (experts, f"has {experts} experts; mixtures are not known"),
    ):
        if is_other:
            raise CheckpointError(explain(file.source, what))
