"""Modules: what models are built from.

Read module.py and layers.py, then attention.py with positions.py and cache.py; points.py names
what `reasoning` looks at, parameters.py is where parameters start.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.nn.adapters import Adapter, Adapters, LoRA, LoRALinear
from tinygrad_tx.nn.attention import CrossAttention, MultiHeadAttention
from tinygrad_tx.nn.cache import Cache
from tinygrad_tx.nn.feed_forward import FeedForward
from tinygrad_tx.nn.layers import Dropout, Embedding, LayerNorm, Linear, RMSNorm
from tinygrad_tx.nn.module import Module, ModuleList
from tinygrad_tx.nn.positions import (
    ALiBi,
    Position,
    RelativeBias,
    Rotary,
    ShawRelative,
    Sinusoidal,
)

__all__ = [
    "ALiBi",
    "Adapter",
    "Adapters",
    "Cache",
    "CrossAttention",
    "Dropout",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "Linear",
    "LoRA",
    "LoRALinear",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "Position",
    "RMSNorm",
    "RelativeBias",
    "Rotary",
    "ShawRelative",
    "Sinusoidal",
]

__getattr__ = of_package(__name__, __all__)
