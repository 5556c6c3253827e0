"""Trains a GPT on the characters of a text, in a loop of your own, and lets it write.

    python train_gpt.py                    # the language reference inside Python
    python train_gpt.py --text novel.txt   # any UTF-8 text, in any language

All that `tinygrad-tx train` adds to this is care: checkpoints, resuming, a run folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import tinygrad_tx as tx


def train(text: str, steps: int, context: int, width: int) -> None:
    """Prints losses in nats a character, beside those of a bigram count model, then a sample."""
    tokenizer = tx.data.CharTokenizer.train(text)
    learnt, held_out = tx.data.split(tokenizer.encode(text), held_out=0.1)
    batches = tx.data.Windows(learnt, batch=16, context=context)
    exam = list(tx.data.Windows(held_out, batch=16, context=context).in_order(most=20))
    vocab = tokenizer.vocab_size
    config = tx.models.GPTConfig(vocab, context=context, layers=3, heads=4, width=width)
    model = tx.models.GPT(config, seed=0)
    optimizer = tx.optim.AdamW(model.parameters())
    rate = tx.optim.cosine(3e-3, steps, warmup=steps // 20, floor=0.05)
    print(f"{model.num_parameters():,} parameters, {len(learnt):,} characters to learn from")

    # Recorded at the first call, compiled as a whole, replayed from then on. The weights and the
    # optimiser's moments are state of the recording: a call changes them in place.
    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = tx.jit(lambda tokens, targets: model.loss(tokens, targets))

    def measure() -> float:
        model.eval()
        with tx.no_grad():
            loss = float(np.mean([losses(*batch).item() for batch in exam]))
        model.train()
        return loss

    for number in range(steps):
        optimizer.lr = rate(number)  # a tensor inside: the recorded step sees the new value
        loss = step(*batches.draw())
        # Reading a loss waits for the step; the check ends a run that has gone wrong.
        if number % max(1, steps // 8) == 0:
            print(f"step {number:5}  loss {loss.item():.3f}  held out {measure():.3f}")
            if not np.isfinite(loss.item()):
                sys.exit("The loss is not a number: try a smaller learning rate.")

    model.eval()
    prompt = tokenizer.decode(held_out[:32])
    print(f"\n{prompt}", end="")
    options = {"temperature": 0.8, "top_p": 0.95, "seed": 0}
    for piece in tx.models.write(model, tokenizer, prompt, 300, **options):
        print(piece, end="", flush=True)
    bigram = tx.data.bigram_loss(learnt, held_out, vocab)
    print(f"\nheld-out loss {measure():.2f} nats a character; bigram counts {bigram:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains a GPT on a text and lets it write.")
    parser.add_argument("--text", type=Path, help="a UTF-8 file; the default comes with Python")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    given = parser.parse_args()
    try:
        text = tx.data.read_text(given.text) if given.text else tx.data.default_text()
        if given.quick:
            train(text, steps=20, context=32, width=32)
        else:
            train(text, given.steps, context=64, width=96)
    except tx.errors.DataError as error:
        sys.exit(str(error))
