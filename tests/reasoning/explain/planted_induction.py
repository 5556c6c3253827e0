"""A GPT whose weights are set by hand: block 0 head 0 looks at the token before, block 1 head 0 is
an induction head. The other head of each block and all feed-forward networks say nothing.

The residual stream has three places: the token (one-hot), its position (one-hot), and the token
before, which head 0 of block 0 writes. Layer norm takes the same constant from every element, since
all positions have equally many ones; a constant in queries and keys changes no softmax.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_tx as tx

VOCAB, CONTEXT = 8, 16
WIDTH = 2 * VOCAB + CONTEXT
HEAD = WIDTH // 2
TOKEN, PLACE, BEFORE = slice(0, VOCAB), slice(VOCAB, VOCAB + CONTEXT), slice(VOCAB + CONTEXT, WIDTH)


def planted(sharpness: float = 30.0) -> Any:
    """Sharp heads. After A B ... A the model says B."""
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, CONTEXT, 2, 2, WIDTH))
    w = {k: np.zeros_like(v) for k, v in model.state_dict().items()}
    for name in w:
        if name.endswith("norm.weight"):
            w[name][:] = 1
    w["embedding.weight"][:, TOKEN] = np.eye(VOCAB)
    w["position.weight"][:, PLACE] = np.eye(CONTEXT)
    first = w["blocks.0.attention.qkv.weight"].reshape(WIDTH, 3, 2, HEAD)
    # The query at position i is the key at position i - 1.
    first[PLACE, 0, 0, :CONTEXT] = np.eye(CONTEXT, k=-1) * sharpness
    first[PLACE, 1, 0, :CONTEXT] = np.eye(CONTEXT)
    first[TOKEN, 2, 0, :VOCAB] = np.eye(VOCAB)
    w["blocks.0.attention.projection.weight"][:VOCAB, BEFORE] = np.eye(VOCAB)
    second = w["blocks.1.attention.qkv.weight"].reshape(WIDTH, 3, 2, HEAD)
    # The query is the token here, the key the token before there, the value the token there.
    second[TOKEN, 0, 0, :VOCAB] = np.eye(VOCAB) * sharpness
    second[BEFORE, 1, 0, :VOCAB] = np.eye(VOCAB)
    # The first position has no token before it and sees itself instead: every query shuns it.
    w["blocks.1.attention.qkv.bias"].reshape(3, 2, HEAD)[0, 0, VOCAB] = 2 * sharpness
    second[PLACE.start, 1, 0, VOCAB] = -1
    second[TOKEN, 2, 0, :VOCAB] = np.eye(VOCAB)
    w["blocks.1.attention.projection.weight"][:VOCAB, TOKEN] = 4 * np.eye(VOCAB)
    model.load_state_dict(w)
    return model.eval()
