"""Modules: what models are built from."""

from tinygrad_tx.nn.layers import Embedding, FeedForward, LayerNorm, Linear, MultiHeadAttention
from tinygrad_tx.nn.module import Module, ModuleList

__all__ = [
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
]
