"""What PyTorch exports, with both of its exporters, computes and learns here as it does there."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
torch: Any = pytest.importorskip("torch")

pytestmark = [pytest.mark.parity, pytest.mark.slow]

VOCAB, WIDTH = 50, 32


def encoder() -> Any:
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 4, 64, batch_first=True)
    layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return torch.nn.Sequential(torch.nn.Embedding(VOCAB, WIDTH), layers, torch.nn.Linear(WIDTH, 5))


def activations() -> Any:
    """What transformers of all kinds have in their feed-forward networks."""
    nn = torch.nn
    kinds = (nn.SiLU(), nn.Softplus(), nn.Mish(), nn.ELU(), nn.Hardswish(), nn.GELU("tanh"))
    layers = [m for kind in kinds for m in (nn.Linear(8, 8), nn.LayerNorm(8), kind)]
    return nn.Sequential(nn.Embedding(VOCAB, 8), *layers)


def hugging_face(kind: str) -> Callable[[], Any]:
    """A small model of the library of that name; weights are not shared between layers, as
    exporters keep a copy for each use."""

    def make() -> Any:
        transformers = pytest.importorskip("transformers")
        common = {"vocab_size": VOCAB, "tie_word_embeddings": False}
        if kind == "gpt2":
            sizes = {"n_positions": 16, "n_embd": WIDTH, "n_layer": 2, "n_head": 4}
            config = transformers.GPT2Config(**common, **sizes, attn_implementation="eager")
            inner = transformers.GPT2LMHeadModel(config)
        elif kind == "bert":
            sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
            more = {"intermediate_size": 64, "max_position_embeddings": 16}
            inner = transformers.BertForMaskedLM(transformers.BertConfig(**common, **sizes, **more))
        else:
            sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
            more = {"intermediate_size": 64, "num_key_value_heads": 2}
            config = transformers.LlamaConfig(**common, **sizes, **more)
            inner = transformers.LlamaForCausalLM(config)

        class Logits(torch.nn.Module):  # type: ignore[misc]  # torch counts as untyped
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def forward(self, tokens: Any) -> Any:
                options = {} if kind == "bert" else {"use_cache": False}
                return self.inner(input_ids=tokens, **options).logits

        return Logits()

    return make


CASES = [
    (encoder, True, True),
    (encoder, False, False),  # TorchScript fixes time in the attention
    (activations, True, True),
    (activations, False, True),
    (hugging_face("gpt2"), True, True),
    (hugging_face("bert"), True, True),
    (hugging_face("bert"), False, True),
    (hugging_face("llama"), True, True),
]
IDS = [
    *("encoder", "encoder script", "activations", "activations script", "gpt2", "bert"),
    *("bert script", "llama"),
]


def exported(made: Any, path: Path, dynamo: bool, any_time: bool) -> None:
    names = {0: "batch", 1: "time"} if any_time else {0: "batch"}
    options: dict[str, Any] = {"dynamic_axes": {"tokens": names}}
    if dynamo:
        options = {"dynamic_shapes": ({i: torch.export.Dim(n) for i, n in names.items()},)}
    tokens = torch.zeros((2, 7), dtype=torch.long)
    quiet = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
        ):
            warnings.simplefilter("ignore")  # the exporters' own
            torch.onnx.export(
                made, (tokens,), path, dynamo=dynamo, input_names=["tokens"], **options
            )
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("make", "dynamo", "any_time"), CASES, ids=IDS)
def test_values_and_gradients_agree(
    make: Callable[[], Any], dynamo: bool, any_time: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = make().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.3)  # exporters store equal weights once
    exported(made, tmp_path / "m.onnx", dynamo, any_time)
    back = tx.interop.import_onnx(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    for batch, time in ((2, 7), (3, 7), (1, 5) if any_time else (1, 7)):
        tokens = rng.integers(0, VOCAB, (batch, time))
        truth, found = made(torch.tensor(tokens)), back(tokens)
        numbers = truth.detach().numpy()
        bound = 1e-5 * abs(numbers).max()
        np.testing.assert_allclose(found.numpy(), numbers, rtol=0, atol=bound)
    weights = rng.normal(size=numbers.shape).astype(np.float32)
    (truth * torch.tensor(weights)).sum().backward()
    (found * weights).sum().backward()
    theirs = sorted(float(p.grad.norm()) for p in made.parameters() if p.grad is not None)
    ours = sorted(
        float((p.grad * p.grad).sum()) ** 0.5 for p in back.parameters() if p.grad is not None
    )
    # Exporters rename and transpose weights: norms of gradients tell them all the same.
    found_norms = np.array([min(ours, key=lambda o, t=t: abs(o - t)) for t in theirs])
    np.testing.assert_allclose(found_norms, theirs, rtol=1e-4, atol=1e-5 * max(theirs))
    by_name = dict(back.named_parameters())
    shared = [n for n, p in made.named_parameters() if n in by_name and p.grad is not None]
    assert shared
    for name in shared:
        gradient, own = dict(made.named_parameters())[name].grad.numpy(), by_name[name].grad
        bound = 1e-5 * max(abs(gradient).max(), max(theirs))
        np.testing.assert_allclose(own.numpy(), gradient, rtol=0, atol=bound)
