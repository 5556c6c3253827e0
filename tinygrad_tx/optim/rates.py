"""Which parameters learn, and how fast: factors of the learning rate by a parameter's path."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

__all__ = ["Rates", "frozen", "layer_wise", "same"]

Rates = Callable[[str], float]
"""From the path of a parameter to the factor of its learning rate; 0: it does not learn."""


def same(path: str) -> float:
    """1 for all."""
    return 1.0


def frozen(*patterns: str) -> Rates:
    """0 for paths that a pattern such as "encoder.*" matches, 1 for all others."""
    return lambda path: float(not any(fnmatchcase(path, p) for p in patterns))


def layer_wise(layers: int, decay: float, start: str = "encoder.") -> Rates:
    """decay^(layers - i) for block i below `start`, decay^(layers + 1) for embeddings, 1 for heads.

    Source: Howard and Ruder 2018, section 3.2 (discriminative fine-tuning, there 1 / 2.6).
    """

    def factor(path: str) -> float:
        if not path.startswith(start):
            return 1.0
        block = re.search(r"\bblocks\.(\d+)\.", path)
        return float(decay ** (layers - int(block[1]) if block else layers + 1))

    return factor
