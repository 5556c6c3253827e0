"""Words that config.json uses for what we call otherwise."""

from __future__ import annotations

from tinygrad_tx.errors import CheckpointError, explain

__all__ = ["ACTIVATIONS", "activation_of"]

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
    "tanh": "tanh",
}
_OTHER_WORDS = {"gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "swish": "silu"}


def activation_of(word: str) -> str:
    """Our name for an activation. Errors: CheckpointError."""
    found = _OTHER_WORDS | {theirs: ours for ours, theirs in ACTIVATIONS.items()}
    if word not in found:
        known = ", ".join(sorted(found))
        what = f"activation {word!r} is not one of {known}"
        raise CheckpointError(explain("config.json", what))
    return found[word]
