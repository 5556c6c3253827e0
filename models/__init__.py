"""The models, one file for each family."""

from tinygrad_tx.models.gpt import GPT, GPTConfig

__all__ = ["GPT", "GPTConfig"]
