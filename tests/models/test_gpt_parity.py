"""A whole GPT against PyTorch: the same weights give the same loss and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx

VOCAB, CONTEXT, LAYERS, HEADS, WIDTH, BATCH = 65, 32, 3, 2, 64, 4


def torch_loss(torch: Any, weights: dict[str, Any], tokens: Any, targets: Any) -> Any:
    """The GPT of models/gpt.py written with PyTorch's own functions."""
    f = torch.nn.functional
    h = weights["embedding.weight"][tokens] + weights["position.weight"][: tokens.shape[1]]

    def norm(x: Any, at: str) -> Any:
        return f.layer_norm(x, x.shape[-1:], weights[f"{at}.weight"], weights[f"{at}.bias"])

    def linear(x: Any, at: str) -> Any:
        return x @ weights[f"{at}.weight"] + weights[f"{at}.bias"]

    for i in range(LAYERS):
        block = f"blocks.{i}"
        shape = (*tokens.shape, HEADS, WIDTH // HEADS)
        qkv = linear(norm(h, f"{block}.attention_norm"), f"{block}.attention.qkv")
        q, k, v = (part.view(shape).transpose(1, 2) for part in qkv.chunk(3, -1))
        mixed = f.scaled_dot_product_attention(q, k, v, is_causal=True)
        joined = mixed.transpose(1, 2).reshape(h.shape)
        h = h + linear(joined, f"{block}.attention.projection")
        inner = f.gelu(linear(norm(h, f"{block}.feed_forward_norm"), f"{block}.feed_forward.up"))
        h = h + linear(inner, f"{block}.feed_forward.down")
    logits = norm(h, "norm") @ weights["embedding.weight"].T
    return f.cross_entropy(logits.reshape(-1, VOCAB), targets.reshape(-1))


@pytest.mark.parity
@pytest.mark.parametrize("captured", [False, True])
def test_gradients_of_a_gpt_agree_with_pytorch(captured: bool) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, VOCAB, (BATCH, CONTEXT))
    targets = rng.integers(0, VOCAB, (BATCH, CONTEXT))
    model = tx.models.GPT(tx.models.GPTConfig(VOCAB, CONTEXT, LAYERS, HEADS, WIDTH))
    # Larger weights than at the start, so that attention and GELU leave their linear range.
    model.load_state_dict(
        {
            k: v + rng.normal(0, 0.1, v.shape).astype(np.float32)
            for k, v in model.state_dict().items()
        }
    )
    parameters = dict(model.named_parameters())

    def gradients(x: Any, y: Any) -> dict[str, tx.Tensor]:
        loss = model.loss(x, y)
        loss.backward()
        found = {k: p.grad for k, p in parameters.items()} | {"loss": loss}
        for p in parameters.values():
            p.grad = None
        return found

    ours = (tx.jit(gradients) if captured else gradients)(tokens, targets)
    theirs = {
        k: torch.tensor(p.numpy().astype(np.float64), requires_grad=True)
        for k, p in parameters.items()
    }
    loss = torch_loss(torch, theirs, torch.tensor(tokens), torch.tensor(targets))
    loss.backward()
    assert ours["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    for name, tensor in theirs.items():
        truth = tensor.grad.numpy()
        error = np.linalg.norm(ours[name].numpy() - truth) / np.linalg.norm(truth)
        assert error < 1e-4, f"{name}: {error:.1e}"
