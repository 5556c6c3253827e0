"""Optimisers: plain tensor code, so that a whole step is one captured graph."""

from tinygrad_tx.optim.adamw import SGD, AdamW
from tinygrad_tx.optim.clip import clip_grad_norm
from tinygrad_tx.optim.schedules import Schedule, constant, cosine, linear

__all__ = ["SGD", "AdamW", "Schedule", "clip_grad_norm", "constant", "cosine", "linear"]
