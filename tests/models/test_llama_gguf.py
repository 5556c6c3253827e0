"""Llama out of GGUF files that were packed as llama.cpp packs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tests.models.gguf_files import Array, file_of
from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.models.published.entry import theirs_of
from tinygrad_tx.models.published.llama import LLAMA

NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
SIZES = {"vocab_size": 61, "context": 24, "layers": 2, "heads": 4, "kv_heads": 2, "width": 32}
METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 24,
    "llama.embedding_length": 32,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.freq_base": 500.0,
}


def permuted(weights: Array, heads: int) -> Array:
    """`permute` of llama.cpp's convert_hf_to_gguf.py."""
    shape = (heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return weights.reshape(shape).swapaxes(1, 2).reshape(weights.shape)


def packed(model: tx.models.Llama) -> dict[str, Array]:
    """Arrays as llama.cpp names and turns them."""
    found = {}
    for name, array in theirs_of(LLAMA.entries(model.config), model.state_dict()).items():
        stem = name.removesuffix(".weight")
        heads = {"q_proj": 4, "k_proj": 2}.get(stem.rpartition(".")[2])
        values = permuted(array, heads) if heads else array
        if stem.startswith("layers."):
            _, number, inner = stem.split(".", 2)
            found[f"blk.{number}.{NAMES[inner]}.weight"] = values
        else:
            found[f"{NAMES[stem]}.weight"] = values
    return found


def model_of(**more: Any) -> tx.models.Llama:
    config = tx.models.LlamaConfig(**SIZES, rope_base=500.0, **more)
    model = tx.models.Llama(config, seed=3)
    rng = np.random.default_rng(0)
    state = model.state_dict()
    model.load_state_dict({k: v + rng.normal(0, 0.2, v.shape) for k, v in state.items()})
    return model


def written(folder: Path, arrays: dict[str, Array], **changes: Any) -> Path:
    path = folder / "model.gguf"
    metadata = {k: v for k, v in (METADATA | changes).items() if v is not None}
    path.write_bytes(file_of(metadata, arrays))
    return path


@pytest.mark.parametrize("tied", [True, False])
def test_a_packed_model_gives_the_same_logits(tmp_path: Path, tied: bool) -> None:
    model = model_of(tied=tied)
    again = tx.models.Llama.from_pretrained(written(tmp_path, packed(model)))
    assert (again.config.tied, again.config.rope_base) == (tied, 500.0)
    tokens = np.random.default_rng(1).integers(0, 61, (2, 24))
    np.testing.assert_array_equal(again(tokens).numpy(), model(tokens).numpy())


def test_all_that_does_not_fit_is_listed_at_once(tmp_path: Path) -> None:
    arrays = packed(model_of(tied=True))
    del arrays["blk.1.ffn_up.weight"]
    arrays["blk.0.attn_q.bias"] = np.zeros(32, np.float32)
    arrays["blk.0.attn_v.weight"] = np.zeros((8, 32), np.float32)
    with pytest.raises(CheckpointError) as caught:
        tx.models.Llama.from_pretrained(written(tmp_path, arrays))
    for part in (
        "layers.1.mlp.up_proj",
        "blk.0.attn_q.bias",
        "v_proj.weight (32, 32) + (16, 32) +",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "qwen2"}, "'qwen2'"),
        ({"llama.block_count": None}, "has no llama.block_count"),
        ({"llama.block_count": 2.0}, "is a float, not int"),
        ({"llama.block_count": 4_000_000_000}, "more than"),
        ({"llama.block_count": 10_000_000}, "there are 20 arrays"),
        ({"llama.context_length": 4_000_000_000}, "context is"),
        ({"llama.context_length": 16_000_000, "llama.attention.key_length": 1_000}, "take"),
        ({"llama.attention.head_count": 0}, "heads is 0"),
        ({"llama.attention.head_count": 3}, "multiple"),
        ({"llama.rope.scaling.type": "yarn"}, "'yarn'"),
        ({"llama.expert_count": 8}, "8 experts"),
        ({"llama.rope.dimension_count": 4}, "not the width of a head, 8"),
    ],
)
def test_other_models_and_unbelievable_sizes_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    if "llama.attention.key_length" in changes:
        changes["llama.attention.value_length"] = changes["llama.attention.key_length"]
    path = written(tmp_path, packed(model_of(tied=True)), **changes)
    with pytest.raises(CheckpointError, match=message):
        tx.models.Llama.from_pretrained(path)


def test_only_llama_is_read_from_such_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="GPT is not read from GGUF"):
        tx.models.GPT.from_pretrained(tmp_path / "model.gguf")
