"""Small models with weights large enough that every part matters, for the tests of explanations."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_tx as tx

M = tx.models
VOCAB = 29
TOKENS = np.random.default_rng(0).integers(0, VOCAB, (3, 7))
TARGET = np.random.default_rng(1).integers(0, VOCAB, (3, 5))


def lively(model: Any, deviation: float = 0.15) -> Any:
    rng = np.random.default_rng(2)
    for p in model.parameters():
        p.assign_(p.numpy() + rng.normal(0, deviation, p.shape).astype(np.float32))
    return model.eval()


def gpt(**sizes: Any) -> Any:
    given = {"context": 16, "layers": 2, "heads": 2, "width": 8, **sizes}
    return lively(M.GPT(M.GPTConfig(VOCAB, **given)))


def llama() -> Any:
    return lively(M.Llama(M.LlamaConfig(VOCAB, 16, 2, 4, 16, kv_heads=2)))


def bert() -> Any:
    return lively(M.BERT(M.BERTConfig(VOCAB, 16, 2, 2, 8)))


def encoder_decoder(form: str) -> Any:
    return lively(M.EncoderDecoder(M.EncoderDecoderConfig(VOCAB, 16, 2, 2, 2, 8, form=form)))


MODELS: dict[str, Any] = {
    "gpt": (gpt, TOKENS),
    "llama": (llama, TOKENS),
    "bert": (bert, TOKENS),
    "transformer": (lambda: encoder_decoder("transformer"), (TOKENS, TARGET)),
    "t5": (lambda: encoder_decoder("t5"), (TOKENS, TARGET)),
}


def run(model: Any, inputs: Any) -> Any:
    """The output, as float64."""
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    with tx.no_grad():
        return model(*args).numpy().astype(np.float64)
