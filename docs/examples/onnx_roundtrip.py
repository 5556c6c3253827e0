"""A GPT out to ONNX, run by onnxruntime, read back as a module, and trained on.

The file holds a graph and weights, no code. Needs the extra interop:

    pip install 'tinygrad-tx[interop]'
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_tx as tx

try:
    import onnxruntime
except ImportError:
    sys.exit("This example runs a file by onnxruntime: pip install 'tinygrad-tx[interop]'")

CONTEXT, BATCH = 48, 16


def trained(loss_of: Any, parameters: list[tx.Tensor], batches: Any, steps: int) -> None:
    """Steps of AdamW; loss_of: a function of tokens and targets."""
    optimizer = tx.optim.AdamW(parameters, lr=2e-3)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = loss_of(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        return loss

    for _ in range(steps):
        step(*batches.draw())


def main(steps: int, out: Path) -> None:
    text = tx.data.default_text()
    tokenizer = tx.data.CharTokenizer.train(text)
    learnt, held_out = tx.data.split(tokenizer.encode(text))
    batches = tx.data.Windows(learnt, BATCH, CONTEXT)
    exam = list(tx.data.Windows(held_out, BATCH, CONTEXT).in_order(most=8))
    config = tx.models.GPTConfig(tokenizer.vocab_size, context=CONTEXT, layers=2, width=64)
    model = tx.models.GPT(config)
    trained(model.loss, model.parameters(), batches, steps)

    # Sizes of batch and text stay open: that is proven on several recordings, not assumed.
    print(tx.models.save_onnx(model.eval(), out))
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    worst = 0.0
    for shape in ((1, 1), (3, 7), (2, CONTEXT)):
        tokens = np.random.default_rng(0).integers(0, tokenizer.vocab_size, shape)
        (theirs,) = session.run(None, {"tokens": tokens})
        ours = model(tokens).numpy()
        worst = max(worst, float(abs(theirs - ours).max() / abs(ours).max()))

    # What comes back has the parameters of the file, under the names that they had here.
    back = tx.interop.import_onnx(out)
    state = model.state_dict()
    same = all(np.array_equal(state[name], p.numpy()) for name, p in back.named_parameters())
    print(f"read back: {len(state)} parameters, the same bits: {same}")

    def loss_of(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        return tx.cross_entropy(back(tokens), targets)

    def held_out_loss() -> float:
        with tx.no_grad():
            return float(np.mean([loss_of(*batch).item() for batch in exam]))

    before = held_out_loss()
    trained(loss_of, back.parameters(), batches, steps)
    print(f"held-out loss {before:.3f} as read back, {held_out_loss():.3f} trained on")
    print(f"onnxruntime is off by {worst:.1e} of the largest logit; weights are the same: {same}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes a GPT as ONNX and reads it back.")
    parser.add_argument("--out", type=Path, default=Path("gpt.onnx"))
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    given = parser.parse_args()
    main(steps=10 if given.quick else 400, out=given.out)
