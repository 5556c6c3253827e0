"""LoRA beside full fine-tuning: how much is learnt, how much is trained, how much is forgotten.

A GPT learns the English of the language reference, then reads Python code from the standard
library. LoRA trains two thin matrices beside each linear map and leaves the weights alone: what it
adds can be kept as a file of its own, merged into the weights, or left out.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from types import ModuleType

import numpy as np

import tinygrad_tx as tx

CONTEXT, BATCH = 64, 16
WHERE = ("blocks.*.attention.*", "blocks.*.feed_forward.*")


def learn(model: tx.models.GPT, batches: tx.data.Windows, steps: int, peak: float) -> None:
    # Made after LoRA: only what asks for gradients is a parameter then.
    optimizer = tx.optim.AdamW(model.parameters(), weight_decay=0.01)
    rate = tx.optim.cosine(peak, steps, warmup=max(1, steps // 20), floor=0.05)

    @tx.jit
    def step(tokens: tx.Tensor, targets: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = model.loss(tokens, targets)
        loss.backward()
        tx.optim.clip_grad_norm(optimizer.parameters, 1.0)
        optimizer.step()
        return loss

    for number in range(steps):
        optimizer.lr = rate(number)
        step(*batches.draw())


def loss_on(model: tx.models.GPT, held_out: np.ndarray) -> float:
    losses = tx.jit(lambda tokens, targets: model.loss(tokens, targets))
    with tx.no_grad():
        exam = tx.data.Windows(held_out, BATCH, CONTEXT).in_order(most=16)
        return float(np.mean([losses(*batch).item() for batch in exam]))


def main(steps: int, tuning: int, modules: list[ModuleType]) -> None:
    english = tx.data.default_text()
    code = "\n".join(inspect.getsource(module) for module in modules)
    tokenizer = tx.data.CharTokenizer.train(english + code)
    (read, exam), (read_code, exam_code) = (
        tx.data.split(tokenizer.encode(text)) for text in (english, code)
    )
    config = tx.models.GPTConfig(tokenizer.vocab_size, context=CONTEXT, layers=2, width=64)
    model = tx.models.GPT(config)
    learn(model, tx.data.Windows(read, BATCH, CONTEXT), steps, 2e-3)
    start = model.state_dict()
    before = loss_on(model, exam), loss_on(model, exam_code)
    print(f"pretrained: loss {before[0]:.3f} on English, {before[1]:.3f} on code")

    adapted = tx.nn.LoRA(model, *WHERE, rank=8)
    trained = model.num_parameters()
    learn(model, tx.data.Windows(read_code, BATCH, CONTEXT), tuning, 5e-3)
    lora = loss_on(model, exam), loss_on(model, exam_code)
    print(f"LoRA: loss {lora[0]:.3f} on English, {lora[1]:.3f} on code; {trained:,} trained")
    # What was trained is all that has to be kept: `state_dict` holds it alone.
    kept = sum(array.nbytes for array in model.state_dict().values())
    whole = sum(array.nbytes for array in start.values())
    print(f"to keep: {kept / 1e3:.0f} KB, where the model has {whole / 1e3:.0f} KB")
    adapted.merge()
    merged = loss_on(model, exam_code)
    print(f"merged into the weights: loss {merged:.3f} on code")

    model.load_state_dict(start)
    learn(model, tx.data.Windows(read_code, BATCH, CONTEXT), tuning, 2e-3)
    full = loss_on(model, exam), loss_on(model, exam_code)
    print(f"all weights: loss {full[0]:.3f} on English, {full[1]:.3f} on code")
    print(
        f"LoRA trains {trained / model.num_parameters():.0%} of the weights, gains "
        f"{before[1] - lora[1]:.2f} nats on code and forgets {lora[0] - before[0]:.2f}; all "
        f"weights gain {before[1] - full[1]:.2f} and forget {full[0] - before[0]:.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="LoRA beside full fine-tuning.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    if parser.parse_args().quick:
        main(steps=5, tuning=5, modules=[textwrap])
    else:
        main(steps=600, tuning=300, modules=[argparse, inspect, textwrap])
