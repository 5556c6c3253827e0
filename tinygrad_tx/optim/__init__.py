"""Optimisers: plain tensor code, so that a whole step is one captured graph."""

from tinygrad_tx.optim.adamw import SGD, AdamW
from tinygrad_tx.optim.clip import clip_grad_norm

__all__ = ["SGD", "AdamW", "clip_grad_norm"]
